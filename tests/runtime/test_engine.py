"""An engine in C++ gives what it gives in Python, errors included."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes  # noqa: F401
import numpy as np
import pytest
import torch

import modelport
from tests.promises.test_tensorrt_plugin import plugin_file
from tests.runtime.driver import Driver, Refused
from tests.support import Arrays, onnx_text

EVERY_DTYPE = (
    *("float32", "float64", "float16", "bfloat16", "bool", "int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64"),
)


def image(batch: int = 1, height: int = 18, width: int = 20) -> Arrays:
    rng = np.random.default_rng(batch * height + width)
    return {"image": (rng.random((batch, 3, height, width)) * 255).astype(np.float32)}


def require_equal(came: Arrays, wanted: Arrays) -> None:
    assert list(came) == list(wanted)
    for name, array in wanted.items():
        assert came[name].dtype == array.dtype
        assert came[name].shape == array.shape
        assert came[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("form", ["directory", "zip"])
def test_results_are_pythons_to_the_bit(
    driver: Driver, deployed: modelport.Deployment, zipped: Path, form: str
) -> None:
    path = deployed.path if form == "directory" else zipped
    engine = modelport.load(path, threads=1)
    told = driver.load(path)
    assert told.startswith(f"{engine.target} ONNX Runtime ")
    for inputs in (image(), image(3, 16, 7), image(2, 64, 33)):
        require_equal(driver.run(inputs), engine.run(inputs))


def test_options_change_what_runs(driver: Driver, deployed: modelport.Deployment) -> None:
    driver.load(deployed.path, threads=2, graph_optimization="none")
    engine = modelport.load(deployed.path, threads=2, graph_optimization="none")
    require_equal(driver.run(image()), engine.run(image()))
    with pytest.raises(Refused, match="unknown graph_optimization 'most'") as caught:
        driver.load(deployed.path, graph_optimization="most")
    assert caught.value.kind == "UsageError"


def test_signature_is_told(driver: Driver, deployed: modelport.Deployment) -> None:
    driver.load(deployed.path)
    given, gives = driver.ask("specs").split()
    assert given == "image:1:-1,batch,1,-1:3,,3,3:-1,height,16,64:-1,width,1,-1"
    assert gives.startswith("result:1:-1,batch,1,-1:3,,3,3:")


@pytest.mark.parametrize("dtype", EVERY_DTYPE)
def test_every_dtype_passes_through(driver: Driver, dtype: str, tmp_path: Path) -> None:
    onnx_name = {"float32": "float", "float64": "double"}.get(dtype, dtype)
    body = f"g ({onnx_name}[n, 3] x) => ({onnx_name}[n, 3] y) {{ y = Identity(x) }}"
    path = tmp_path / "same.port"
    modelport.deploy(str(onnx_text(tmp_path / "same.onnx", body)), path)
    driver.load(path)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2 if dtype == "bool" else 120, (4, 3)).astype(np.dtype(dtype))
    require_equal(driver.run({"x": x}), {"y": x})


def test_strings_pass_through(driver: Driver, tmp_path: Path) -> None:
    body = "g (string[n] x) => (string[n] y) { y = Identity(x) }"
    path = tmp_path / "same.port"
    modelport.deploy(str(onnx_text(tmp_path / "same.onnx", body)), path)
    driver.load(path)
    x = np.array(["a", "", "déjà vu", "long " * 20], object)
    assert list(driver.run({"x": x})["y"]) == list(x)


def test_scalars_pass_through(driver: Driver, tmp_path: Path) -> None:
    body = "g (float[n] x, float s) => (float[n] y, float t) { y = Mul(x, s)  t = Neg(s) }"
    path = tmp_path / "small.port"
    recipe = onnx_text(tmp_path / "small.onnx", body)
    modelport.deploy(str(recipe), path)
    driver.load(path)
    engine = modelport.load(path, threads=1)
    for size in (1, 3):
        inputs = {"x": np.arange(size, dtype=np.float32), "s": np.array(2.5, np.float32)}
        require_equal(driver.run(inputs), engine.run(inputs))


class Half(torch.nn.Module):
    """As many rows as come, even none."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 2


def test_empty_tensors_pass_through(driver: Driver, tmp_path: Path) -> None:
    dynamic = {"x": {0: modelport.Dim("n", min=0)}}
    recipe = modelport.Recipe(
        Half(), (torch.ones(2, 3),), input_names=["x"], dynamic=dynamic, capture="trace"
    )
    path = modelport.deploy(recipe, tmp_path / "half.port").path
    driver.load(path)
    for rows in (0, 2):
        inputs = {"x": np.full((rows, 3), 5, np.float32)}
        require_equal(driver.run(inputs), modelport.load(path, threads=1).run(inputs))


def test_operators_of_the_bundle_run(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "old.port"
    modelport.deploy(str(plugin_file(tmp_path / "old.onnx", "HSwish")), path)
    assert list(path.glob("operators/*/*.so"))
    driver.load(path)
    rng = np.random.default_rng(0)
    inputs = {name: rng.normal(0, 4, (3, 4)).astype(np.float32) for name in ("input1", "input2")}
    require_equal(driver.run(inputs), modelport.load(path, threads=1).run(inputs))


def test_wanted_outputs_come_in_the_order_asked(driver: Driver, rows: Path) -> None:
    driver.load(rows)
    engine = modelport.load(rows, threads=1)
    inputs = {"x": np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)}
    for wanted in (["z", "y"], ["z"]):
        require_equal(driver.run(inputs, wanted), engine.run(inputs, wanted))
    with pytest.raises(modelport.RunError) as there:
        engine.run(inputs, ["z", "u", "v"])
    with pytest.raises(Refused) as here:
        driver.run(inputs, ["z", "u", "v"])
    assert (here.value.kind, str(here.value)) == ("RunError", str(there.value))


@pytest.fixture(scope="module")
def two_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of `TWO`."""
    folder = tmp_path_factory.mktemp("two")
    modelport.deploy(str(onnx_text(folder / "two.onnx", TWO)), folder / "two.port")
    return folder / "two.port"


TWO = """g (float[n, 3] a, float[n, m] b) => (float[n, m] y) {
    s = ReduceSum<keepdims = 1>(a)
    y = Add(b, s)
}"""


def wrong_inputs() -> dict[str, Arrays]:
    a, b = np.ones((2, 3), np.float32), np.ones((2, 4), np.float32)
    return {
        "missing": {"a": a},
        "unknown": {"a": a, "b": b, "c": b, "d": b},
        "both": {"a": a, "it's": b},
        "nothing": {},
        "dtype": {"a": a.astype(np.float64), "b": b},
        "dtype of two bytes": {"a": a, "b": b.astype(np.float16)},
        "dtype of one byte": {"a": a.astype(bool), "b": b},
        "rank": {"a": a[0], "b": b},
        "rank of none": {"a": np.array(1, np.float32), "b": b},
        "fixed size": {"a": a[:, :2].copy(), "b": b},
        "unequal": {"a": a, "b": b[:1].copy()},
    }


@pytest.mark.parametrize("case", wrong_inputs())
def test_refused_inputs_are_told_in_the_same_words(
    driver: Driver, case: str, two_inputs: Path
) -> None:
    inputs = wrong_inputs()[case]
    driver.load(two_inputs)
    with pytest.raises(modelport.RunError) as there:
        modelport.load(two_inputs).run(inputs)
    with pytest.raises(Refused) as here:
        driver.run(inputs)
    assert (here.value.kind, str(here.value)) == ("RunError", str(there.value))


@pytest.mark.parametrize("sizes", [(1, 65, 4), (1, 15, 4), (0, 18, 4), (2, 18, 0)])
def test_sizes_outside_the_ranges_are_told_in_the_same_words(
    driver: Driver, deployed: modelport.Deployment, sizes: tuple[int, int, int]
) -> None:
    driver.load(deployed.path)
    inputs = image(*sizes)
    with pytest.raises(modelport.RunError) as there:
        modelport.load(deployed.path).run(inputs)
    with pytest.raises(Refused) as here:
        driver.run(inputs)
    assert str(here.value) == str(there.value)


def test_a_run_that_fails_is_told_in_the_same_words(driver: Driver, tmp_path: Path) -> None:
    path = failing(tmp_path)
    driver.load(path)
    inputs = {"x": np.ones((2, 3), np.float32), "i": np.array([7], np.int64)}
    with pytest.raises(modelport.RunError) as there:
        modelport.load(path).run(inputs)
    with pytest.raises(Refused) as here:
        driver.run(inputs)
    assert "ONNX Runtime failed on x [2, 3], i [1]" in str(here.value)
    assert str(here.value) == str(there.value)
    # It runs on after that.
    good = {**inputs, "i": np.array([1], np.int64)}
    require_equal(driver.run(good), modelport.load(path).run(good))


class Row(torch.nn.Module):
    """A row of a matrix by its number, which may be none."""

    def forward(self, x: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
        return x.index_select(0, i)


def failing(folder: Path) -> Path:
    """The bundle of `Row`."""
    path = folder / "row.port"
    args = (torch.ones(2, 3), torch.zeros(1, dtype=torch.int64))
    recipe = modelport.Recipe(Row(), args, input_names=["x", "i"], capture="trace")
    modelport.deploy(recipe, path)
    return path


@pytest.mark.parametrize("threads", [1, 2])
def test_many_threads_run_one_engine(
    driver: Driver, deployed: modelport.Deployment, threads: int
) -> None:
    driver.load(deployed.path, threads=threads)
    driver.give(image())
    assert driver.ask("together", 8, 25) == "0"


def test_a_library_that_is_no_onnxruntime_is_told(
    driver: Driver, deployed: modelport.Deployment, tmp_path: Path
) -> None:
    for name in ("libc.so.6", tmp_path / "libonnxruntime.so"):
        with pytest.raises(Refused, match="ONNX Runtime") as caught:
            driver.load(deployed.path, onnxruntime=name)
        assert caught.value.kind == "BuildError"
        assert "MODELPORT_ONNXRUNTIME" in str(caught.value)
