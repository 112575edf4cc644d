"""Every refusal ends as an engine or as an error that names the node and the way out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import modelport
from modelport import BuildError, Dim, Severity, Target
from modelport.deployment import Plan, Workspace
from modelport.errors import ModelportError
from modelport.passes import lint_for
from tests.backends.tensorrt.corpus import BUILDS, ENDS, Refused

pytest.importorskip("tensorrt_rtx")

TARGET = Target.parse("tensorrt-rtx:sm89")
SAMPLE = {"Resize by float scales", "detection head", "DeformConv", "sequence"}
SAMPLE_OF_ENDS = {"custom node", "TopK over selected boxes", "RoiAlign, the largest"}
RAW = ("Error Code", "/_src/", ".cpp", "Assertion", "node_of_")

UNPREPARED = """
import sys
import tensorrt_rtx as trt
log = trt.Logger(trt.Logger.INTERNAL_ERROR)
builder = trt.Builder(log)
network = builder.create_network(0)
parser = trt.OnnxParser(network, log)
if not parser.parse_from_file(sys.argv[1]):
    sys.exit(3)
config = builder.create_builder_config()
config.num_compute_capabilities = 1
config.set_compute_capability(trt.ComputeCapability.SM89, 0)
profile = builder.create_optimization_profile()
for place in range(network.num_inputs):
    item = network.get_input(place)
    if any(size < 0 for size in item.shape):
        sizes = [[size if size > 0 else given for size in item.shape] for given in (1, 4, 8)]
        profile.set_shape(item.name, *sizes)
    if item.is_shape_tensor:
        count = max(1, sum(item.shape))
        profile.set_shape_input(item.name, *([given] * count for given in (1, 4, 8)))
config.add_optimization_profile(profile)
sys.exit(0 if builder.build_serialized_network(network, config) else 4)
"""


def cases(table: dict[str, Refused], sample: set[str]) -> list[object]:
    assert sample <= set(table)
    return [pytest.param(name, marks=() if name in sample else pytest.mark.slow) for name in table]


def opened(case: Refused, folder: Path) -> modelport.Model:
    """The model, with ranges for what is open."""
    model = modelport.Model.load(case.write(folder / "model.onnx"))
    shapes = [spec.shape or () for spec in model.signature.inputs]
    names = {size for shape in shapes for size in shape if isinstance(size, str)}
    model.dims = {name: Dim(name, 1, 8) for name in names}
    return model


def compiled(case: Refused, folder: Path) -> Path:
    model = opened(case, folder)
    workspace = Workspace.create(folder, model, [TARGET])
    built = workspace.build(Plan(TARGET, {"values": dict(case.values)}))
    return folder / built.artifact.options["engine"]


@pytest.mark.parametrize("name", cases({**BUILDS}, SAMPLE))
def test_what_a_rewrite_helps_is_built(name: str, tmp_path: Path) -> None:
    assert compiled(BUILDS[name], tmp_path).stat().st_size > 0


@pytest.mark.parametrize("name", cases({**ENDS}, SAMPLE_OF_ENDS))
def test_what_no_rewrite_helps_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelportError) as caught:
        compiled(ENDS[name], tmp_path)
    error = caught.value
    assert ENDS[name].names in f"{error.what} {error.where}"
    assert error.fix
    assert "names what it does not take" not in error.fix
    assert not any(word in str(error) for word in RAW), str(error)
    assert not list(tmp_path.rglob("*.engine"))


@pytest.mark.parametrize("name", cases({**ENDS}, SAMPLE_OF_ENDS))
def test_lint_says_so_beforehand(name: str, tmp_path: Path) -> None:
    found = lint_for(opened(ENDS[name], tmp_path), TARGET)
    errors = [item for item in found if item.severity is Severity.ERROR]
    named = [item for item in errors if ENDS[name].names in f"{item.where} {item.message}"]
    assert named
    assert named[0].fix


@pytest.mark.slow
@pytest.mark.parametrize("name", [*BUILDS, *ENDS])
def test_lint_has_no_error_where_it_builds(name: str, tmp_path: Path) -> None:
    errors = {
        item.severity for item in lint_for(opened({**BUILDS, **ENDS}[name], tmp_path), TARGET)
    } & {Severity.ERROR}
    assert bool(errors) is (name in ENDS)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*BUILDS, *ENDS])
def test_it_is_refused_as_it_is(name: str, tmp_path: Path) -> None:
    path = {**BUILDS, **ENDS}[name].write(tmp_path / "model.onnx")
    command = [sys.executable, "-c", UNPREPARED, str(path)]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_lint_of_the_command_line(tmp_path: Path, cli: object) -> None:
    BUILDS["MaxPool dilated"].write(tmp_path / "good.onnx")
    ENDS["Unique"].write(tmp_path / "bad.onnx")
    good = cli("graph", "lint", tmp_path / "good.onnx", "--target", "tensorrt-rtx")
    assert good.code == 0
    assert "rewritten-operator" in good.out
    bad = cli("graph", "lint", tmp_path / "bad.onnx", "--target", "tensorrt-rtx", "--json")
    assert bad.code == 1
    assert "trt-parser" in bad.out


def test_build_error_is_the_class(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="mine::Foo"):
        compiled(ENDS["custom node"], tmp_path)
