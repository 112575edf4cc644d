"""A right capture that one engine computes wrongly: what is kept, and what the error says."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import torch

import modelport
from modelport import ProofError
from modelport.bundle import require_replaceable
from modelport.numerics import read_case
from tests.conftest import RunCli


class Wide(torch.nn.Module):
    """OpenVINO computes int64 in int32: the second product is beyond it."""

    def forward(self, x: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return torch.relu((x * k * k).to(torch.float32))


def recipe(**options: object) -> modelport.Recipe:
    rows = torch.tensor([1, 2, 3])
    return modelport.Recipe(
        Wide(),
        (rows, torch.tensor(100_000)),
        input_names=["x", "k"],
        output_names=["y"],
        dynamic={"x": [0]},
        **options,  # type: ignore[arg-type]
    )


class Heard:
    def __init__(self) -> None:
        self.steps: list[str] = []

    def start(self, step: str) -> None:
        self.steps.append(step)

    def finish(self, step: str, seconds: float) -> None:
        pass

    def fail(self, step: str) -> None:
        pass


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ProofError, Heard]:
    folder, heard = tmp_path_factory.mktemp("failed"), Heard()
    with pytest.raises(ProofError, match="engine for openvino") as caught:
        modelport.deploy(
            recipe(), folder / "a.port", targets=["onnxruntime", "openvino"], progress=heard
        )
    return folder, caught.value, heard


def test_no_other_capture_is_tried(failed: tuple[Path, ProofError, Heard]) -> None:
    _, error, heard = failed
    assert heard.steps.count("capture") == 1
    assert "the capture by dynamo is right" in str(error)
    assert "[differs]" not in str(error)


def test_graph_case_and_report_are_kept_and_nothing_else(
    failed: tuple[Path, ProofError, Heard],
) -> None:
    folder, error, _ = failed
    kept = folder / "a.port.failed"
    assert str(kept) in str(error)
    assert [path.name for path in folder.iterdir()] == ["a.port.failed"]
    assert {path.name for path in kept.iterdir()} == {"case.npz", "model.onnx", "report.html"}
    case, outputs = read_case(kept / "case.npz")
    x, k = (torch.from_numpy(case.inputs[name]) for name in ("x", "k"))
    torch.testing.assert_close(torch.from_numpy(outputs["y"]), Wide()(x, k))
    report = (kept / "report.html").read_text()
    assert "openvino:cpu:fp32" in report
    assert "differs" not in report.partition("Findings")[2].partition("</table>")[0]


def test_the_command_in_the_error_finds_the_node(
    failed: tuple[Path, ProofError, Heard],
    cli: RunCli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, error, _ = failed
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(str(error.fix).split("`")[1])
    assert program == "modelport"
    assert "--target" in words
    ran = cli(*words)
    assert ran.code == 1
    assert "(Mul)" in ran.out


def test_a_kept_failure_gives_way_to_the_next(
    failed: tuple[Path, ProofError, Heard], tmp_path: Path
) -> None:
    for _ in range(2):
        with pytest.raises(ProofError):
            modelport.deploy(recipe(capture="trace"), tmp_path / "a.port", targets=["openvino"])
    require_replaceable(tmp_path / "a.port")
    assert len(list((tmp_path / "a.port.failed").iterdir())) == 3
