"""Python plugins, in the order in which TensorRT asks them.

TensorRT for RTX has the same classes, and takes no plugins; so they are made with its classes, and
asked by the test.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from modelport import Operator, OperatorError
from modelport.backends.tensorrt.plugins import PluginLibrary, build_plugins
from modelport.backends.tensorrt.plugins.python_plugin import make_creator
from modelport.ops.build import BuildOptions
from modelport.ops.library import load
from modelport.ops.scaffold import load_folder

FOLDER = Path(__file__).parents[3] / "plugin_operators"
GIVEN = {"share": 0.25, "sizes": [2, 3], "whole": True, "name": "fine"}

trt = pytest.importorskip("tensorrt_rtx")


@pytest.fixture(scope="module")
def blended() -> Operator:
    (operator,) = load_folder(FOLDER / "blended")
    return operator


@pytest.fixture(scope="module")
def library(blended: Operator, tensorrt_headers: Path) -> PluginLibrary:
    options = BuildOptions(cuda=True, capabilities=(86,))
    return PluginLibrary(build_plugins([blended], options))


@pytest.fixture
def creator(blended: Operator, library: PluginLibrary) -> Any:
    return make_creator(blended, library, trt)


kept: list[Any] = []
"""What fields point to: they do not keep it."""


def fields(**values: Any) -> Any:
    types = trt.PluginFieldType
    made = []
    for name, value in values.items():
        if isinstance(value, str):
            kept.append(np.frombuffer(value.encode(), np.int8))
            made.append(trt.PluginField(name, kept[-1], types.CHAR))
        else:
            dtype = np.float32 if isinstance(value, float) else np.int32
            kept.append(np.array(value, dtype).reshape(-1))
            kind = types.FLOAT32 if dtype is np.float32 else types.INT32
            made.append(trt.PluginField(name, kept[-1], kind))
    return trt.PluginFieldCollection(made)


class Size:
    """An expression of TensorRT."""

    def __init__(self, value: int, known: bool = False) -> None:
        self.value, self.known = value, known

    def is_constant(self) -> bool:
        return self.known

    def get_constant_value(self) -> int:
        return self.value


class Builder:
    def constant(self, value: int) -> Size:
        return Size(value, known=True)

    def operation(self, operation: Any, first: Size, second: Size) -> Size:
        a, b, kinds = first.value, second.value, trt.DimensionOperation
        results = {
            kinds.SUM: a + b,
            kinds.SUB: a - b,
            kinds.PROD: a * b,
            kinds.FLOOR_DIV: a // max(b, 1),
        }
        return Size(results[operation], first.known and second.known)


class Shapes(list):
    """Stands for DimsExprs, which takes TensorRT's own expressions alone."""

    def __init__(self, sizes: Any) -> None:
        super().__init__([None] * sizes if isinstance(sizes, int) else sizes)


@pytest.fixture
def plugin(creator: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    made = creator.create_plugin("layer", fields(**GIVEN), None)
    monkeypatch.setattr(made._tensorrt, "DimsExprs", Shapes)
    return made


def desc(data_type: Any, shape: Any = (), layout: Any = None) -> Any:
    made = trt.PluginTensorDesc()
    made.type, made.dims = data_type, trt.Dims(list(shape))
    made.format = layout or trt.TensorFormat.LINEAR
    return made


def test_creator_and_plugin_are_named_alike(creator: Any, plugin: Any) -> None:
    assert isinstance(creator, trt.IPluginCreatorV3One)
    assert (creator.name, creator.plugin_namespace, creator.plugin_version) == (
        *("blended", "plugged"),
        "1",
    )
    assert [field.name for field in creator.field_names] == [
        *("share", "sizes", "shares", "whole", "name")
    ]
    for kind in (
        trt.IPluginV3,
        trt.IPluginV3OneCore,
        trt.IPluginV3OneBuild,
        trt.IPluginV3OneRuntime,
    ):
        assert isinstance(plugin, kind)
    assert (plugin.plugin_name, plugin.plugin_namespace, plugin.num_outputs) == (
        *("blended", "plugged"),
        1,
    )
    assert plugin.get_capability_interface(trt.PluginCapabilityType.BUILD) is plugin
    assert trt.get_plugin_registry().register_creator(creator, "plugged")


def test_types_shapes_and_formats(plugin: Any) -> None:
    half, single = trt.DataType.HALF, trt.DataType.FLOAT
    assert plugin.get_output_data_types([half, half]) == [half]
    with pytest.raises(OperatorError, match=r"no kernel for \(float32, float16\)"):
        plugin.get_output_data_types([single, half])
    inputs = [Shapes([Size(4), Size(5)]), Shapes([Size(4), Size(5)])]
    (dims,) = plugin.get_output_shapes(inputs, [], Builder())
    assert [size.value for size in dims] == [8, 15]
    assert not any(size.known for size in dims)
    known = [Shapes([Size(4, True), Size(5)])] * 2
    (dims,) = plugin.get_output_shapes(known, [], Builder())
    assert [(size.value, size.known) for size in dims] == [(8, True), (15, False)]

    def supported(*descs: Any) -> bool:
        wrapped = [SimpleNamespace(desc=item) for item in descs]
        return plugin.supports_format_combination(len(descs) - 1, wrapped, 2)

    assert supported(desc(half))
    assert supported(desc(half), desc(half), desc(half))
    assert not supported(desc(half), desc(single))
    assert not supported(desc(half), desc(half), desc(single))
    assert not supported(desc(trt.DataType.BOOL))
    assert not supported(desc(half, layout=trt.TensorFormat.CHW4))


def test_it_is_made_again_from_what_it_serializes(creator: Any, plugin: Any) -> None:
    kept = plugin.get_fields_to_serialize()
    again = creator.create_plugin("layer", kept, None)
    assert again._given == plugin._given == {**GIVEN, "shares": [0.5]}
    clone = plugin.attach_to_context(None)
    assert clone is not plugin
    assert clone._given == plugin._given
    assert clone.plugin_name == "blended"


def test_it_calls_the_kernel(plugin: Any) -> None:
    single = trt.DataType.FLOAT
    inputs = [desc(single, (4, 5)), desc(single, (4, 5))]
    outputs = [desc(single, (8, 15))]
    plugin.configure_plugin(inputs, outputs)
    plugin.set_tactic(0)
    plugin.on_shape_change(inputs, outputs)
    memory = [np.ones(20, np.float32), np.ones(20, np.float32), np.zeros(120, np.float32)]
    places = [item.ctypes.data for item in memory]
    if has_gpu():
        pytest.skip("the memory here is the CPU's; the host of plugins runs kernels on a GPU")
    # Without a GPU the kernel's own code is reached, and its launch fails.
    with pytest.raises(OperatorError, match="plugged::blended failed") as raised:
        plugin.enqueue(inputs, outputs, places[:2], places[2:], 0, 0)
    assert "could not be launched" in str(raised.value.why)


def has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.mark.parametrize(
    ("given", "why"),
    [({"sizes": [1, 1]}, "missing: share"), ({"share": 1.0, "alpha": 2.0}, "not know: alpha")],
)
def test_fields_that_are_wrong(given: dict[str, Any], why: str, creator: Any) -> None:
    with pytest.raises(OperatorError, match="cannot be created") as raised:
        creator.create_plugin("layer", fields(**given), None)
    assert why in str(raised.value.why)


def test_operators_that_need_the_library(library: PluginLibrary, tensorrt_headers: Path) -> None:
    with pytest.raises(OperatorError, match="has no CUDA kernel of modelport::nms"):
        make_creator(load()["nms"], library, trt)
    (windows,) = load_folder(FOLDER / "windows")
    options = BuildOptions(cuda=True, capabilities=(86,))
    with pytest.raises(OperatorError, match="cannot be a Python plugin") as raised:
        make_creator(windows, PluginLibrary(build_plugins([windows], options)), trt)
    assert "memory of the CPU" in str(raised.value.why)
