"""Ahead-of-time plugins: the kernel compiles to what TensorRT launches; the functions are its own.

TensorRT itself is not there: a stand-in has the names of its module that are used.
"""

from __future__ import annotations

import inspect
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from modelport import Operator, OperatorError
from modelport.backends.tensorrt.plugins import ahead_of_time
from modelport.backends.tensorrt.plugins.ahead_of_time import compile_ahead, register_ahead
from modelport.ops.library import load


def parameters(ptx: str, name: str) -> list[str]:
    (found,) = re.findall(rf"\.visible \.entry {name}\(([^)]*)\)", ptx)
    return re.findall(r"\.param \.(\w+)", found)


@pytest.mark.parametrize(
    ("name", "dtype", "inputs"),
    [("hswish", "float16", 1), ("hsigmoid", "bfloat16", 1), ("foo", "float32", 2)],
)
def test_a_kernel_has_the_parameters_that_tensorrt_gives(
    name: str, dtype: str, inputs: int
) -> None:
    kernel = compile_ahead(load()[name], [dtype] * inputs, [dtype], {})
    assert kernel.name == f"modelport_{name}"
    # Pointers to the inputs, an int32, a pointer to the output.
    assert parameters(kernel.ptx, kernel.name) == ["u64"] * inputs + ["u32", "u64"]
    assert ".target sm_75" in kernel.ptx


def test_attributes_become_constants() -> None:
    operator = load()["my_add"]
    kernels = [
        compile_ahead(operator, ["float32"] * 2, ["float32"], {"alpha": alpha}, 86)
        for alpha in (1.5, 0.375)
    ]
    for kernel, hexadecimal in zip(kernels, ("0f3FC00000", "0f3EC00000"), strict=True):
        assert parameters(kernel.ptx, kernel.name) == ["u64", "u64", "u32", "u64"]
        assert hexadecimal in kernel.ptx
        assert ".target sm_86" in kernel.ptx
    assert kernels[0].ptx != kernels[1].ptx


def test_operators_of_several_launches_have_none() -> None:
    with pytest.raises(OperatorError, match="cannot lie in an engine") as raised:
        compile_ahead(load()["nms"], ["float32"] * 2, ["int64"], {"iou_threshold": 0.5})
    assert "nms_ahead" in str(raised.value.why)
    assert {name for name, item in load().items() if ahead_of_time.has_ahead(item)} == {
        *("foo", "hsigmoid", "hswish", "my_add")
    }


class Expressions(list):
    """Sizes of a tensor, here known."""

    def numel(self) -> int:
        count = 1
        for size in self:
            count *= size
        return count


class TensorDesc:
    def __init__(self, shape: Any, dtype: Any) -> None:
        self.shape_expr, self.dtype = Expressions(shape), dtype


class KernelLaunchParams:
    grid_x = block_x = shared_mem = None


class SymIntExprs(dict):
    def __init__(self, length: int) -> None:
        super().__init__(dict.fromkeys(range(length)))


@pytest.fixture
def tensorrt(monkeypatch: pytest.MonkeyPatch) -> Any:
    plugin: Any = ModuleType("stand_in.plugin")
    plugin.registered = {}

    def keep(kind: str) -> Any:
        return lambda name: lambda function: plugin.registered.setdefault((kind, name), function)

    plugin.register, plugin.aot_impl = keep("register"), keep("aot_impl")
    plugin.TensorDesc, plugin.KernelLaunchParams = TensorDesc, KernelLaunchParams
    plugin.SymIntExprs, plugin.SymInt32 = SymIntExprs, int
    plugin.cdiv = lambda number, by: -(-number // by)
    plugin.from_shape_expr = lambda shape, dtype: TensorDesc(shape, dtype)
    monkeypatch.setitem(sys.modules, "stand_in", ModuleType("stand_in"))
    monkeypatch.setitem(sys.modules, "stand_in.plugin", plugin)
    return SimpleNamespace(__name__="stand_in", DataType=int, plugin=plugin)


def test_what_is_registered(tensorrt: Any) -> None:
    register_ahead(load()["my_add"], tensorrt, 86)
    describe = tensorrt.plugin.registered["register", "modelport::my_add"]
    implement = tensorrt.plugin.registered["aot_impl", "modelport::my_add"]
    # TensorRT reads annotations as types, and wants tensors before attributes, without defaults.
    signature = inspect.signature(describe)
    assert {name: item.annotation for name, item in signature.parameters.items()} == {
        **{"a": TensorDesc, "b": TensorDesc, "alpha": float, "beta": float}
    }
    assert all(item.default is inspect.Parameter.empty for item in signature.parameters.values())
    assert list(inspect.signature(implement).parameters) == [
        *("a", "b", "alpha", "beta", "outputs", "tactic")
    ]
    returned = inspect.signature(implement).return_annotation
    assert returned == tuple[str, str, KernelLaunchParams, SymIntExprs]

    float32 = 0
    a, b = TensorDesc([30, 7], float32), TensorDesc([30, 7], float32)
    described = describe(a, b, 2.0, 1.0)
    assert (described.shape_expr, described.dtype) == ([30, 7], float32)
    name, ptx, launch, numbers = implement(a, b, 2.0, 1.0, (described,), 0)
    assert parameters(ptx, name) == ["u64", "u64", "u32", "u64"]
    assert (launch.grid_x, launch.block_x, launch.shared_mem) == (1, 256, 0)
    assert dict(numbers) == {0: 210}


@pytest.mark.parametrize(
    ("name", "why"), [("grid", "may be absent"), ("roi_align", "roi_align_ahead")]
)
def test_what_cannot_be_registered(name: str, why: str, tensorrt: Any) -> None:
    with pytest.raises(OperatorError) as raised:
        register_ahead(load()[name], tensorrt)
    assert why in str(raised.value)
    assert not tensorrt.plugin.registered


def test_texts_are_no_constants_of_a_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operator: Operator = load()["dynamic_resize"]
    monkeypatch.setattr(ahead_of_time, "has_ahead", lambda item: True)
    with pytest.raises(OperatorError, match="the attribute mode is a str"):
        compile_ahead(operator, ["float32"] * 2, ["float32"], {})
