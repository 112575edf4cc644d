from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelport
from tests.pipeline.test_stages import graph, rows


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """y = 2x, and y = x + 1. They are not to be changed."""
    folder = tmp_path_factory.mktemp("models")
    made = {}
    for name, op, factor in (("twice", "Mul", 2), ("more", "Add", 1)):
        made[name] = folder / f"{name}.port"
        modelport.deploy(graph(op, folder / f"{name}.onnx", factor), made[name])
    return made


def words(models: dict[str, Path], output: Path, *more: object) -> list[object]:
    stages = [f"{name}={path}" for name, path in models.items()]
    wires = ["--connect", "twice.x=values", "--connect", "more.x=twice.y", "--batch", "more=4"]
    return ["bundle", "join", *stages, *wires, *more, "-o", output]


@pytest.fixture
def both(cli: Any, models: dict[str, Path], tmp_path: Path) -> Path:
    path = tmp_path / "both.port"
    given = ["--give", "sum=more.y", "--give", "product=twice.y"]
    assert cli(*words(models, path, *given)).code == 0
    return path


@pytest.mark.parametrize("zipped", [False, True])
def test_a_joined_bundle_runs(
    cli: Any, models: dict[str, Path], tmp_path: Path, zipped: bool
) -> None:
    path = tmp_path / "both.port"
    ran = cli(*words(models, path, "--json", *(["--zip"] if zipped else [])))
    assert ran.code == 0
    told = json.loads(ran.out)
    assert told["stages"] == ["twice", "more"]
    # The outputs are those of the last stage, and the stages' cases were run.
    assert [spec["name"] for spec in told["signature"]["outputs"]] == ["y"]
    assert told["cases"] > 0
    assert not told["findings"]
    np.save(tmp_path / "values.npy", rows(9))
    files = [
        *("--input", f"values=@{tmp_path / 'values.npy'}"),
        *("--output", f"y=@{tmp_path / 'y.npy'}"),
    ]
    assert cli("run", path, *files).code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), 2 * rows(9) + 1)


def test_equal_input_gives_equal_bytes(cli: Any, models: dict[str, Path], tmp_path: Path) -> None:
    one, other = tmp_path / "one.port", tmp_path / "other.port"
    assert cli(*words(models, one, "--zip")).code == cli(*words(models, other, "--zip")).code == 0
    assert one.read_bytes() == other.read_bytes()


def test_ls_and_info_look_into_the_stages(cli: Any, both: Path) -> None:
    listed = json.loads(cli("bundle", "ls", both, "--json").out)["files"]
    found = {entry["path"]: entry for entry in listed}
    graph_entry = found["stages/more/graphs/model.onnx"]
    assert (graph_entry["role"], graph_entry["stage"]) == ("graph", "more")
    assert graph_entry["targets"] == ["onnxruntime:cpu:fp32"]
    assert found["stages/twice/manifest.json"]["role"] == "manifest"
    told = json.loads(cli("bundle", "info", both, "--json").out)
    assert told["outputs"] == {"sum": "more.y", "product": "twice.y"}
    twice, more = told["stages"]
    assert (more["inputs"], more["batch"]) == ({"x": "twice.y"}, 4)
    assert twice["model"]["targets"][0]["verified"]
    plain = cli("bundle", "info", both).out
    assert "stage more: more, x = twice.y, 4 rows at most" in plain
    assert "target onnxruntime:cpu:fp32: graphs/model.onnx, agreed with the reference" in plain


def test_selftest_runs_the_stages_and_the_whole(cli: Any, both: Path) -> None:
    ran = cli("bundle", "selftest", both, "--json")
    assert ran.code == 0
    engines = json.loads(ran.out)["engines"]
    assert [engine["stage"] for engine in engines] == ["twice", "more", ""]
    assert all(engine["verification"]["cases"] for engine in engines)
    assert "twice: onnxruntime:cpu:fp32: agrees on" in cli("bundle", "selftest", both).out


def test_verify_compares_the_stages(cli: Any, both: Path, models: dict[str, Path]) -> None:
    ran = cli("verify", both, "--json")
    assert ran.code == 0
    cases = json.loads(ran.out)["targets"]["onnxruntime:cpu:fp32"]["cases"]
    assert {case["case"].partition(":")[0] for case in cases} == {"twice", "more"}
    source = models["more"].parent / "more.onnx"
    ran = cli("verify", both, "--against", source)
    assert ran.code == 2
    assert "pipeline of several models" in ran.err


def test_parts_are_added_and_taken_out_in_all_stages(cli: Any, both: Path, tmp_path: Path) -> None:
    more, less = tmp_path / "more.port", tmp_path / "less.port"
    ran = cli("bundle", "add", both, "--target", "openvino", "-o", more, "--json")
    assert json.loads(ran.out)["targets"] == {"openvino:cpu:fp32": "twice: built; more: built"}
    engine = modelport.load(more, "openvino")
    np.testing.assert_allclose(engine.run({"values": rows(3)})["sum"], 2 * rows(3) + 1, rtol=1e-6)
    folder = tmp_path / "image"
    assert cli("bundle", "dockerfile", more, "-o", folder).code == 0
    lines = (folder / "requirements.txt").read_text()
    assert "onnxruntime==" in lines
    assert "openvino==" in lines
    words = ["--target", "onnxruntime", "--cases", "--report"]
    removed = json.loads(cli("bundle", "strip", more, *words, "-o", less, "--json").out)["removed"]
    assert any(name.startswith("cases/") for name in removed)
    assert "stages/more/report.html" in removed
    assert str(modelport.load(less).target) == "openvino:cpu:fp32"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--give", "a=more.z"], "no stage has the output more.z"),
        (["--connect", "more.z=twice.y"], "there is no more.z"),
        (["--batch", "more"], "cannot read 'more'"),
        (["--batch", "twice=x"], "'x' rows"),
        (["--labels", "a,b"], "add --result"),
        (["--result", "boxes"], "needs 'boxes'"),
        (["--result", "nothing"], "no result 'nothing'"),
    ],
)
def test_what_does_not_fit_is_wrong_use(
    cli: Any, models: dict[str, Path], tmp_path: Path, more: list[str], said: str
) -> None:
    ran = cli(*words(models, tmp_path / "both.port", *more))
    assert ran.code == 2
    assert said in ran.err
    assert list(tmp_path.iterdir()) == []


def test_stages_that_cannot_follow_each_other_are_told(
    cli: Any, models: dict[str, Path], bundle: Path, tmp_path: Path
) -> None:
    # The one gives rows of three, the other takes something else.
    stages = [f"more={models['more']}", f"tiny={bundle}"]
    (name,) = [spec.name for spec in modelport.load(bundle).signature.inputs]
    wires = ["--connect", f"tiny.{name}=more.y", "-o", str(tmp_path / "both.port")]
    ran = cli("bundle", "join", *stages, *wires)
    assert ran.code == 2
    assert f"cannot take more.y for its input '{name}'" in ran.err


def test_code_of_stages_is_asked_about_and_remembered(
    cli: Any, native: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (taken,) = [spec.name for spec in modelport.load(native).signature.inputs]
    words = ["bundle", "join", f"own={native}", "-o", tmp_path / "whole.port"]
    monkeypatch.setenv("MODELPORT_CACHE", str(tmp_path / "elsewhere"))
    ran = cli(*words)
    assert ran.code == 0
    assert "pipeline was not run" in ran.out
    whole = tmp_path / "whole.port"
    values = tmp_path / "x.npy"
    np.save(values, np.zeros([1, 4], np.float32))
    shape = [2 if isinstance(size, str) else size for size in _shape(native)]
    np.save(values, np.zeros(shape, np.float32))
    ran = cli("run", whole, "--input", f"{taken}=@{values}")
    assert ran.code != 0
    assert "code that is not known here" in ran.err
    assert cli("bundle", "trust", whole).code == 0
    assert cli("run", whole, "--input", f"{taken}=@{values}").code == 0


def _shape(path: Path) -> tuple[int | str, ...]:
    manifest = json.loads((path / "manifest.json").read_text())
    return tuple(manifest["signature"]["inputs"][0]["shape"])
