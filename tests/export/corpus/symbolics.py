"""Functions and operators with a ``symbolic``: both exporters must emit what it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.onnx import symbolic_helper

from tests.export.corpus.entry import Refused, Right, entry, rand, randn

BATCH = {"x": {0: "n"}}


class AddThreeTwo(torch.autograd.Function):
    """3a + 2b, out of standard operators."""

    @staticmethod
    def forward(ctx: Any, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return 3 * a + 2 * b

    @staticmethod
    def symbolic(g: Any, a: Any, b: Any) -> Any:
        three = g.op("Constant", value_t=torch.tensor(3.0))
        two = g.op("Constant", value_t=torch.tensor(2.0))
        return g.op("Sum", g.op("Mul", a, three), g.op("Mul", b, two))


@entry(
    lambda: (randn(2, 4), randn(2, 4, seed=1)),
    lambda: [(randn(5, 4), randn(5, 4, seed=1))],
    dynamic={"x": {0: "n"}, "y": {0: "n"}},
    dynamo=Right(bare="wrong"),
    trace=Right(),
    auto=Right(bare="wrong"),
    nodes=("Sum",),
)
class StandardOperators(nn.Module):
    """dynamo alone inlines ``forward`` and never asks ``symbolic``."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return AddThreeTwo.apply(x, y).relu()


class ResizeByScales(torch.autograd.Function):
    """Bicubic resize with scales known only at run time."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        return functional.interpolate(x, scale_factor=scales.tolist()[2:], mode="bicubic")

    @staticmethod
    def symbolic(g: Any, x: Any, scales: Any) -> Any:
        roi = g.op("Constant", value_t=torch.tensor([], dtype=torch.float32))
        return g.op(
            "Resize",
            x,
            roi,
            scales,
            coordinate_transformation_mode_s="pytorch_half_pixel",
            cubic_coeff_a_f=-0.75,
            mode_s="cubic",
            nearest_mode_s="floor",
        )


@entry(
    lambda: (rand(1, 3, 4, 4), torch.tensor([3.0, 3.0])),
    lambda: [
        (rand(2, 3, 5, 4), torch.tensor([2.0, 4.0])),
        (rand(1, 3, 7, 9), torch.tensor([4.0, 1.0])),
    ],
    dynamic={"x": {0: "n", 2: "h", 3: "w"}},
    dynamo=Right(bare="fails"),
    trace=Right(),
    nodes=("Resize",),
)
class RuntimeScales(nn.Module):
    """The way out of `InterpolateByItem`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        scales = torch.cat([torch.ones(2), factors])
        return self.conv(ResizeByScales.apply(x, scales))


class Foo(torch.autograd.Function):
    """An operator of a domain of its own: two outputs, an optional operand, an attribute."""

    @staticmethod
    def forward(ctx: Any, a: torch.Tensor, b: torch.Tensor, bias: Any, k: int) -> Any:
        total = a + b if bias is None else a + b + bias
        return total, total.topk(k).values

    @staticmethod
    def symbolic(g: Any, a: Any, b: Any, bias: Any, k: int) -> Any:
        operands = [a, b] if bias is None or symbolic_helper._is_none(bias) else [a, b, bias]
        return g.op("custom::foo", *operands, k_i=k, outputs=2)


@entry(
    lambda: (randn(2, 5), randn(2, 5, seed=1)),
    dynamic={"x": {0: "n"}, "y": {0: "n"}},
    dynamo=Right(bare="wrong"),
    trace=Right(),
    nodes=("custom::foo",),
    runnable=False,
)
class CustomDomain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.ones(5))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> Any:
        first, _ = Foo.apply(x, y, None, 2)
        second, best = Foo.apply(first, y, self.bias, 3)
        return second, best


class MixedConstant(torch.autograd.Function):
    """An int64 constant meets a float operand, as much old code has it."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 2 + 1

    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        two = g.op("Constant", value_t=torch.tensor([2]))
        one = g.op("Constant", value_t=torch.tensor([1]))
        return g.op("Sub", g.op("Mul", x, two), g.op("Neg", one))


@entry(
    lambda: (randn(2, 4),),
    lambda: [(randn(3, 4),)],
    dynamic=BATCH,
    dynamo=Right(bare="wrong"),
    trace=Right(),
    nodes=("Sub",),
)
class IntegerConstant(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return MixedConstant.apply(x)


class Described(torch.autograd.Function):
    """Attributes of every kind, one of them a JSON document."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, sizes: Any, options: Any) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def symbolic(g: Any, x: Any, sizes: Any, options: Any) -> Any:
        return g.op(
            "custom::described",
            x,
            name_s="n",
            ratio_f=0.5,
            sizes_i=list(sizes),
            ratios_f=[0.1, 0.2],
            options_s=json.dumps(options),
        )


@entry(
    lambda: (randn(2, 4),),
    dynamo=Right(bare="wrong"),
    trace=Right(),
    nodes=("custom::described",),
    runnable=False,
)
class AttributesOfEveryKind(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Described.apply(x, (1, 2, 3), {"eps": 0.1, "names": ["a", "b"]})


class Flattened(torch.autograd.Function):
    """Built with the helpers of torch's own symbolic functions."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, slope: float) -> torch.Tensor:
        return functional.leaky_relu(x.reshape(x.shape[0], -1), slope)

    @staticmethod
    @symbolic_helper.parse_args("v", "f")
    def symbolic(g: Any, x: Any, slope: float) -> Any:
        sizes = symbolic_helper._get_tensor_sizes(x)
        assert sizes is not None
        shape = g.op("Constant", value_t=torch.tensor([0, -1]))
        flat = symbolic_helper._reshape_helper(g, x, shape)
        return g.op("LeakyRelu", flat, alpha_f=slope)


@entry(
    lambda: (randn(2, 3, 4),),
    lambda: [(randn(5, 3, 4),), (randn(1, 3, 4),)],
    dynamic=BATCH,
    dynamo=Right(),
    trace=Right(),
    nodes=("LeakyRelu",),
)
class SymbolicWithHelpers(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Flattened.apply(x, 0.2)


class NonZeroRows(torch.autograd.Function):
    """The length of the output depends on the data."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.nonzero()

    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        return g.op("Transpose", g.op("NonZero", x), perm_i=[1, 0])


@entry(
    lambda: (torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]]),),
    lambda: [(torch.eye(5),), (torch.ones(1, 4),)],
    dynamic={"x": {0: "n", 1: "m"}},
    dynamo=Right(),
    trace=Right(),
    nodes=("NonZero",),
)
class SymbolicNonzero(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return NonZeroRows.apply(x)


class NewStyle(torch.autograd.Function):
    """``forward`` without a context, and an argument with a default."""

    @staticmethod
    def forward(x: torch.Tensor, factor: float = 1.5) -> torch.Tensor:
        return x.abs() * factor

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def symbolic(g: Any, x: Any, factor: float = 1.5) -> Any:
        scale = g.op("Constant", value_t=torch.tensor(float(factor)))
        return g.op("Max", g.op("Mul", x, scale), g.op("Neg", g.op("Mul", x, scale)))


@entry(
    lambda: (randn(2, 4),),
    lambda: [(randn(7, 4),)],
    dynamic=BATCH,
    dynamo=Right(bare="wrong"),
    trace=Right(),
    nodes=("Max",),
)
class SetupContext(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return NewStyle.apply(x)


class WrongFactor(torch.autograd.Function):
    """``symbolic`` says something else than ``forward``."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    @staticmethod
    def symbolic(g: Any, x: Any) -> Any:
        return g.op("Sum", x, x, x)


@entry(
    lambda: (randn(2, 4),),
    lambda: [(randn(3, 4),)],
    dynamic=BATCH,
    dynamo=Refused("differs"),
    trace=Refused("differs"),
    nodes=("Sum",),
)
class SymbolicThatLies(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return WrongFactor.apply(x)


class Forgetful(torch.autograd.Function):
    """``symbolic`` drops an operand."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return x * mask

    @staticmethod
    def symbolic(g: Any, x: Any, mask: Any) -> Any:
        return g.op("Sum", x)


@entry(
    lambda: (randn(2, 4), torch.ones(2, 4)),
    lambda: [(randn(2, 4), rand(2, 4))],
    dynamo=Refused("input-vanished", "differs"),
    trace=Refused("input-vanished", "differs"),
    nodes=("Sum",),
)
class SymbolicThatDrops(nn.Module):
    """The example's mask is all ones: the example alone does not show it."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return Forgetful.apply(x, mask)


@entry(
    lambda: (rand(2, 4), rand(2, 4, seed=1)),
    lambda: [(-rand(2, 4), rand(2, 4))],
    dynamo=Right(bare="wrong"),
    nodes=("Sum",),
)
class SymbolicInsideCond(nn.Module):
    """torch traces branches of ``torch.cond`` where it asks for no ``symbolic``."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.cond(
            x.sum() > 0, lambda a, b: AddThreeTwo.apply(a, b), lambda a, b: a - b, (x, y)
        )


class Joined(torch.autograd.Function):
    """Takes any number of tensors."""

    @staticmethod
    def forward(ctx: Any, axis: int, *tensors: torch.Tensor) -> torch.Tensor:
        return torch.cat([tensor.relu() for tensor in tensors], axis)

    @staticmethod
    def symbolic(g: Any, axis: int, *tensors: Any) -> Any:
        return g.op("Relu", g.op("Concat", *tensors, axis_i=axis))


@entry(
    lambda: (randn(2, 4), randn(2, 3)),
    lambda: [(randn(5, 4), randn(5, 3))],
    dynamic={"x": {0: "n"}, "y": {0: "n"}},
    dynamo=Right(),
    trace=Right(),
    nodes=("Concat",),
)
class SymbolicOfMany(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return Joined.apply(1, x, y, x)


@contextmanager
def registered(name: str, function: Any, opset: int = 9) -> Iterator[None]:
    """A symbolic function registered with torch, and taken back afterwards."""
    torch.onnx.register_custom_op_symbolic(name, function, opset)
    try:
        yield
    finally:
        torch.onnx.unregister_custom_op_symbolic(name, opset)


def _asinh(g: Any, x: Any) -> Any:
    return g.op("Asinh", x)


@entry(
    lambda: (randn(2, 4),),
    lambda: [(randn(3, 4),)],
    dynamic=BATCH,
    dynamo=Right(),
    trace=Right(),
    nodes=("Asinh",),
    around=lambda: registered("aten::asinh", _asinh),
)
class RegisteredAten(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.asinh(x)


@torch.library.custom_op("corpus::scaled_clip", mutates_args=())
def scaled_clip(
    x: torch.Tensor, scale: float, bounds: list[int], bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Scales, clips, and adds an optional bias."""
    clipped = (x * scale).clamp(bounds[0], bounds[1])
    return clipped if bias is None else clipped + bias


@scaled_clip.register_fake
def _(
    x: torch.Tensor, scale: float, bounds: list[int], bias: torch.Tensor | None = None
) -> torch.Tensor:
    return torch.empty_like(x)


@symbolic_helper.parse_args("v", "f", "is", "v")
def _scaled_clip(g: Any, x: Any, scale: float, bounds: list[int], bias: Any = None) -> Any:
    factor = g.op("Constant", value_t=torch.tensor(scale))
    low, high = (g.op("Constant", value_t=torch.tensor(float(bound))) for bound in bounds)
    clipped = g.op("Clip", g.op("Mul", x, factor), low, high)
    if bias is None or symbolic_helper._is_none(bias):
        return clipped
    return g.op("Add", clipped, bias)


@entry(
    lambda: (randn(2, 4),),
    lambda: [(randn(3, 4) * 5,)],
    dynamic=BATCH,
    dynamo=Right(bare="fails"),
    trace=Right(),
    auto=Right(bare="fails"),
    nodes=("Clip",),
    around=lambda: registered("corpus::scaled_clip", _scaled_clip),
)
class RegisteredLibraryOperator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return scaled_clip(scaled_clip(x, 2.0, [-1, 1]), 3.0, [-2, 2], self.bias)


@entry(
    lambda: (randn(2, 4),),
    dynamo=Refused(bare="fails"),
    trace=Refused(bare="fails"),
    auto=Refused(bare="fails"),
)
class UnregisteredLibraryOperator(nn.Module):
    """Nobody says what it is in ONNX."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return scaled_clip(x, 2.0, [-1, 1])
