"""Engines: what is written, sizes, precisions, and what is refused. No GPU is needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import modelport
from modelport import BuildError, Dim, Model, Target, UsageError
from modelport.backends import get_backend
from tests.conftest import RunCli
from tests.support import onnx_text, snapshot

pytest.importorskip("tensorrt_rtx")

TARGET = "tensorrt-rtx:sm89"
CONVOLUTION = """
g (float[N,3,H,W] x) => (float[N,4,H,W] y)
<float[4,3,3,3] w = {WEIGHTS}>
{ c = Conv<pads=[1,1,1,1]>(x, w)
  y = Relu(c) }
"""


def convolution(folder: Path, **dims: Dim) -> Model:
    weights = ", ".join(f"{(place % 7 - 3) / 8}" for place in range(108))
    path = onnx_text(folder / "model.onnx", CONVOLUTION.replace("WEIGHTS", weights))
    model = Model.load(path)
    ranges = {"N": Dim("N", 1, 8), "H": Dim("H", 16, 64), "W": Dim("W", 16, 64)}
    model.dims = {**ranges, **dims}
    model.save(path)
    return model


def profile_of(model: Model, folder: Path, **options: Any) -> Any:
    record = modelport.compile(model, folder / "m.engine", target=TARGET, **options).record
    return [profile["x"] for profile in record.profiles]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    convolution(tmp_path)
    return tmp_path / "model.onnx"


def test_engine_and_record_lie_beside_each_other(cli: RunCli, file: Path, tmp_path: Path) -> None:
    output = tmp_path / "m.engine"
    ran = cli("compile", file, "--target", TARGET, "-o", output, "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert {path.name for path in tmp_path.iterdir()} == {
        "model.onnx",
        "m.engine",
        "m.engine.json",
    }
    assert told["size"] == output.stat().st_size > 1000
    assert told["capabilities"] == ["sm89"]
    assert told["profiles"] == [{"x": [[1, 3, 16, 16], [3, 3, 32, 32], [8, 3, 64, 64]]}]
    assert told["signature"]["inputs"][0]["shape"] == ["N", 3, "H", "W"]
    layers = [layer for layer in told["layers"] if layer["nodes"]]
    dtypes = {tensor["dtype"] for layer in layers for tensor in layer["outputs"]}
    assert dtypes == {"float32"}


def test_layers_are_printed_with_types_and_shapes(cli: RunCli, file: Path, tmp_path: Path) -> None:
    ran = cli(
        "compile", file, "--target", "tensorrt-rtx:fp16:sm89", "-o", tmp_path / "m", "--layers"
    )
    assert ran.code == 0, ran.err
    assert "float16[-1, 4, -1, -1]" in ran.out
    assert "fastest at [3, 3, 32, 32]" in ran.out
    assert "the layers of m are not timed: " in ran.out
    # The library's own log is not shown, its phases are.
    assert "Building engine" in ran.err
    assert "TRT" not in ran.err
    assert "Myelin" not in ran.err + ran.out


def test_the_user_chooses_what_the_engine_is_fastest_at(tmp_path: Path) -> None:
    model = convolution(tmp_path)
    ((least, usual, most),) = profile_of(model, tmp_path, opt={"N": 2, "H": 48})
    assert (least, usual, most) == ([1, 3, 16, 16], [2, 3, 48, 32], [8, 3, 64, 64])
    assert profile_of(model, tmp_path, max_batch=32)[0][2] == [32, 3, 64, 64]
    given = [{"N": 1, "H": [16, 32, 64]}, {"N": [2, 4, 8]}]
    first, second = profile_of(model, tmp_path, profiles=given)
    assert first == ([1, 3, 16, 16], [1, 3, 32, 32], [1, 3, 64, 64])
    assert second == ([2, 3, 16, 16], [4, 3, 32, 32], [8, 3, 64, 64])


def test_the_most_frequent_case_is_what_the_engine_is_fastest_at(tmp_path: Path) -> None:
    import torch

    recipe = modelport.Recipe(
        torch.nn.Conv2d(3, 4, 3),
        args=(torch.rand(4, 3, 20, 20),),
        cases=[(torch.rand(5, 3, 24, 20),), (torch.rand(5, 3, 24, 20),)],
        input_names=["x"],
        dynamic={"x": {0: Dim("batch", 1, 8), 2: Dim("height", 8, 64)}},
        capture="trace",
    )
    built = modelport.compile(recipe, tmp_path / "m.engine", target=TARGET)
    assert built.record.profiles[0]["x"][1] == [5, 3, 24, 20]


def test_a_size_without_bound_is_assumed_and_said(tmp_path: Path) -> None:
    model = convolution(tmp_path, N=Dim("N"))
    built = modelport.compile(model, tmp_path / "m.engine", target=TARGET)
    assert built.record.profiles[0]["x"][2] == [16, 3, 64, 64]
    (finding,) = [item for item in built.findings if item.rule == "profile-assumed"]
    assert finding.where == "N"
    told = modelport.compile(
        model, tmp_path / "m.engine", target=TARGET, profiles=[{"N": [1, 2, 4]}]
    )
    assert not told.findings


def test_a_fixed_model_takes_another_shape(cli: RunCli, tmp_path: Path) -> None:
    path = onnx_text(
        tmp_path / "fixed.onnx",
        "g (float[1,1,8,8] x) => (float[1,1,8,8] y) { y = Relu(x) }",
    )
    arguments = ("compile", path, "--target", TARGET, "-o", tmp_path / "m.engine", "--json")
    ran = cli(*arguments, "--shape", "x=1x1x20x30")
    assert json.loads(ran.out)["signature"]["outputs"][0]["shape"] == [1, 1, 20, 30]
    ran = cli(*arguments, "--shape", "x=batch,1,8,8", "--max-batch", 4, "--opt", "batch=3")
    assert json.loads(ran.out)["profiles"] == [{"x": [[1, 1, 8, 8], [3, 1, 8, 8], [4, 1, 8, 8]]}]
    ran = cli(*arguments, "--max-batch", 4)
    assert ran.code == 2
    assert "no input has a dynamic first axis" in ran.err


def test_tf32_is_a_choice_and_builds_are_reproducible(tmp_path: Path) -> None:
    model = convolution(tmp_path)
    output = tmp_path / "m.engine"

    def build(tokens: str) -> bytes:
        modelport.compile(model, output, target=f"tensorrt-rtx:{tokens}")
        return output.read_bytes()

    plain = build("sm89")
    assert plain == build("fp32:sm89")
    assert plain != build("tf32:sm89")
    assert plain != build("sm89:sm120")


QUANTIZED = """
g (float[1,16,8,8] x) => (float[1,16,8,8] y)
<float[16,16,3,3] w = {WEIGHTS}, float s = {0.05}, int8 z = {0}>
{ q = QuantizeLinear(x, s, z)
  d = DequantizeLinear(q, s, z)
  v = QuantizeLinear(w, s, z)
  u = DequantizeLinear(v, s, z)
  y = Conv<pads=[1,1,1,1]>(d, u) }
"""


def test_int8_is_what_the_graph_quantizes(tmp_path: Path) -> None:
    weights = ", ".join(f"{(place % 9 - 4) / 16}" for place in range(16 * 16 * 9))
    path = onnx_text(tmp_path / "q.onnx", QUANTIZED.replace("WEIGHTS", weights))
    (tmp_path / "graphs").mkdir()
    Model.load(path).save(tmp_path / "graphs" / "model.onnx")
    target = Target.parse("tensorrt-rtx:int8:sm89")
    artifact = get_backend(target).compile(tmp_path, "graphs/model.onnx", target)
    record = json.loads((tmp_path / artifact.options["record"]).read_text())
    taken = {tensor["dtype"] for layer in record["layers"] for tensor in layer["inputs"]}
    assert "int8" in taken
    with pytest.raises(UsageError, match="int8"):
        modelport.compile(convolution(tmp_path), tmp_path / "n.engine", target=target)


def test_types_that_the_graph_lacks_are_an_error(tmp_path: Path) -> None:
    # Without the rewrite before it the backend is given float32, and must not call it fp16.
    (tmp_path / "graphs").mkdir()
    convolution(tmp_path).save(tmp_path / "graphs" / "model.onnx")
    target = Target.parse("tensorrt-rtx:fp16:sm89")
    with pytest.raises(BuildError, match="no tensor of the graph is float16"):
        get_backend(target).compile(tmp_path, "graphs/model.onnx", target)


def test_capabilities_keep_their_order_and_come_once(tmp_path: Path) -> None:
    model = convolution(tmp_path)
    built = modelport.compile(model, tmp_path / "b.engine", target=f"{TARGET}:sm120:sm89")
    assert built.record.capabilities == ("sm89", "sm120")


@pytest.mark.parametrize(
    ("options", "code", "texts"),
    [
        (["--target", "tensorrt-rtx:sm90"], 2, ["does not build for sm90", "sm75", "sm121"]),
        (["--target", "tensorrt:sm90"], 2, ["'tensorrt"]),
        (["--target", "onnxruntime"], 2, ["no engine file of its own"]),
        (["--target", "tensorrt-rtx:cpu"], 2, ["does not run on cpu"]),
        (["--workspace", "1"], 1, ["does not fit into the workspace", "--workspace"]),
        (["--workspace", "many"], 2, ["512M"]),
        (["--profile", "N=4:2:8"], 2, ["impossible", "rise"]),
        (["--profile", "N=1:2:80"], 2, ["80 lies outside of the declared range N in 1..8"]),
        (["--profile", "batch=1"], 2, ["no dynamic dimension 'batch'", "N, H, W"]),
        (["--profile", "N=1:2"], 2, ["is not of the form"]),
        (["--opt", "N=9"], 2, ["cannot be fastest at N=9"]),
        (["--opt", "N=x"], 2, ["is not a number"]),
        (["--shape", "z=1x3x8x8"], 2, ["no input 'z'"]),
        (["--shape", "x=1x3"], 2, ["cannot become [1, 3]"]),
        (["--max-batch", "0"], 2, ["empty range"]),
        (["--version-compatible"], 2, ["builds no version-"]),
        (["--hardware-compatible", "ampere+"], 2, ["builds no version-", "sm120"]),
        (["--hardware-compatible", "all"], 2, ["ampere+, same"]),
        (["--strip-weights"], 1, ["on a GPU, and there is none here"]),
        (["--plugins", "x.so"], 2, ["takes no plugins"]),
        (["--reshape", "no.py:rule"], 2, ["no such file"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    cli: RunCli, file: Path, tmp_path: Path, options: list[str], code: int, texts: list[str]
) -> None:
    before = snapshot(tmp_path)
    target = () if "--target" in options else ("--target", TARGET)
    ran = cli("compile", file, "-o", tmp_path / "m.engine", *target, *options)
    assert ran.code == code, ran.err
    assert all(text in ran.err for text in texts), ran.err
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x0a" * 50])
def test_what_is_no_onnx_file_is_refused(cli: RunCli, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    ran = cli("compile", path, "--target", TARGET, "-o", tmp_path / "m.engine")
    assert ran.code in (1, 2)
    assert not (tmp_path / "m.engine").exists()
    assert "Traceback" not in ran.err


def test_custom_nodes_are_found_before_parsing(tmp_path: Path) -> None:
    """The parser would take ``mine.Relu`` for the standard's Relu."""
    path = onnx_text(tmp_path / "m.onnx", "g (float[2] x) => (float[2] y) { y = mine.Relu(x) }")
    with pytest.raises(modelport.ModelportError, match="mine::Relu"):
        modelport.compile(Model.load(path), tmp_path / "m.engine", target=TARGET)
    assert not (tmp_path / "m.engine").exists()


def test_a_refusal_names_the_node_and_its_place_in_pytorch(tmp_path: Path) -> None:
    import torch

    class Product(torch.nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return torch.matmul(x, y)

    model = modelport.export(
        Product(), (torch.rand(4, 8), torch.rand(8, 4)), capture="trace", probes=False
    )
    with pytest.raises(BuildError) as caught:
        modelport.compile(model, tmp_path / "m.engine", target="tensorrt-rtx:sm75")
    assert caught.value.where is not None
    file, _, line = caught.value.where.rpartition("from ")[2].rpartition(":")
    assert file == __file__
    assert "torch.matmul" in Path(file).read_text().splitlines()[int(line) - 1]
    assert "tensorrt-rtx:fp16:sm75" in str(caught.value.fix)
    assert "/_src/" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["float", "int64", "bool"])
def test_a_graph_of_indices_alone_asks_for_no_precision(tmp_path: Path, dtype: str) -> None:
    path = onnx_text(
        tmp_path / "m.onnx", f"g ({dtype}[N] x) => (int64[1,K] y) {{ y = NonZero(x) }}"
    )
    done = modelport.deploy(path, tmp_path / "m.port", targets=[TARGET])
    (verification,) = done.verifications.values()
    assert verification.ok
    assert list(done.path.rglob("*.engine"))
