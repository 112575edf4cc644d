"""``modelport ops new|build|test|list``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import RunCli

TRIAL = Path(__file__).parent.parent / "operators"


def test_new_builds_and_passes_as_it_stands(tmp_path: Path, cli: RunCli) -> None:
    ran = cli("ops", "new", "fresh::scaled", "--into", tmp_path, "--json")
    assert ran.code == 0
    folder = Path(json.loads(ran.out)["folder"])
    ran = cli("ops", "build", folder, "--json")
    assert ran.code == 0, ran.err
    (built,) = json.loads(ran.out)
    assert Path(built["library"]) == folder / "build" / "fresh.so"
    assert Path(built["library"]).stat().st_size == built["bytes"]
    assert built["kernels"] == [
        f"scaled(In<{dtype}>, Out<{dtype}>, float) on cpu" for dtype in ("float32", "float64")
    ]
    ran = cli("ops", "test", folder, "--cases", 4, "--json")
    assert ran.code == 0, ran.out
    (found,) = json.loads(ran.out)
    assert found["ok"]
    ways = {check["way"] for check in found["checks"]}
    assert {"kernel", "gradient", "onnxruntime", "body", "opcheck", "dynamo", "trace"} <= ways


def test_operator_that_is_wrong(tmp_path: Path, cli: RunCli) -> None:
    cli("ops", "new", "fresh::wrong", "--into", tmp_path)
    file = tmp_path / "wrong" / "op.py"
    file.write_text(file.read_text().replace("return gradient * factor", "return gradient * 2"))
    ran = cli("ops", "test", tmp_path / "wrong", "--cases", 6, "--seed", 3)
    assert ran.code == 1
    assert "gradient" in ran.out


def test_list(cli: RunCli) -> None:
    ran = cli("ops", "list", TRIAL, "--json")
    assert ran.code == 0
    rows = {row["operator"]: row for row in json.loads(ran.out)}
    assert rows["tinted::blend"] == {
        "operator": "tinted::blend",
        "schema": "blend(Tensor a, Tensor b, *, float share=0.5) -> Tensor",
        "folder": str(TRIAL / "blend"),
        "kernels": ["cpu"],
        "dtypes": [["float32", "float64"]],
        "body_since": 18,
        "gradient": True,
    }
    assert rows["trial::pick"]["gradient"] is False
    ran = cli("ops", "list", "--json")
    assert "modelport::my_add" in {row["operator"] for row in json.loads(ran.out)}
    assert "trial::" in cli("ops", "list", TRIAL).out


@pytest.mark.parametrize(
    "arguments",
    [
        ["new", "nameless"],
        ["build", "absent"],
        ["test", "absent"],
        ["list", "absent"],
        ["build", str(Path(__file__).parent)],
        ["test", str(TRIAL / "workers")],
    ],
)
def test_wrong_use(arguments: list[str], cli: RunCli, tmp_path: Path) -> None:
    if arguments[0] == "new":
        arguments = [*arguments, "--into", str(tmp_path)]
    ran = cli("ops", *arguments)
    assert ran.code == 2
    assert ran.err.startswith("modelport: error: ")
    assert not any(tmp_path.iterdir())
