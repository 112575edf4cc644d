"""Each shipped rewrite is needed: without it the export fails, or is wrong at another input."""

import copy
from collections import namedtuple
from pathlib import Path

import onnx
import pytest
import torch
import torch.nn.functional as F

from modelport.capture.rewriters import registrations, rewriting
from modelport.capture.rewriters.library import load
from modelport.capture.rewriters.translations import shipped_translations

Case = namedtuple("Case", "name rewrite captures function args others dynamic")

HERE = Path(__file__).parent
BOTH = ("dynamo", "trace")
TRACE = ("trace",)
DYNAMO = ("dynamo",)


def floats(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def truth(*rows):
    return torch.tensor(rows, dtype=torch.bool)


def assign(index, value):
    def function(x, mask):
        y = x.clone()
        y[tuple(mask if item == "mask" else item for item in index)] = value
        return y

    return function


def quadrants(sign):
    y = torch.tensor([0.0, -0.0, 0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.0, -0.0])
    x = torch.tensor([-1.0, -1.0, 1.0, 1.0, 0.0, -0.0, -1.0, -1.0, 0.0, -0.0])
    return (y * sign, x)


def observed(by_channel):
    """Rounds as PyTorch's default for quantization-aware training does, its observer off."""
    scale, zero = torch.tensor([0.05, 0.02, 0.1]), torch.tensor([3, 0, -5], dtype=torch.int32)
    scale, zero = (scale, zero) if by_channel else (scale[:1], zero[:1])
    off, on = torch.zeros(1, dtype=torch.uint8), torch.ones(1, dtype=torch.uint8)
    low, high = (-128 - zero) * scale, (127 - zero) * scale

    def function(x):
        return torch.fused_moving_avg_obs_fake_quant(
            x, off, on, low, high, scale, zero, 0.01, -128, 127, 1, by_channel, False
        )

    # A run writes what it makes of the range that was seen into scale and zero.
    function(torch.zeros(2, 3, 4))
    return function


def attention_inputs(length, *, heads=4, mask=None):
    tensors = tuple(floats(2, count, length, 8) for count in (4, heads, heads))
    return tensors if mask is None else (*tensors, mask)


def pooled(function, size):
    # The function is looked up when it is called: a rewrite takes its place.
    return lambda x: getattr(F, function)(x, **{size: 2})


EXPERTS = floats(3, 4, 16)
POOLS = {"max": "kernel_size", "avg": "kernel_size", "adaptive_max": "output_size"}
NO_ROW = torch.ones(5, 5, dtype=torch.bool).tril(-1)

CASES = [
    Case(
        "adaptive_avg_pool2d",
        "torch.nn.functional.adaptive_avg_pool2d",
        BOTH,
        lambda x: F.adaptive_avg_pool2d(x, (2, None)) + F.adaptive_avg_pool2d(x, (3, 1)).sum(),
        (floats(2, 3, 8, 8),),
        [(floats(3, 3, 10, 13),), (floats(1, 3, 7, 5),)],
        [[0, 2, 3]],
    ),
    Case(
        "adaptive_avg_pool1d",
        "torch.nn.functional.adaptive_avg_pool1d",
        TRACE,
        lambda x: F.adaptive_avg_pool1d(x, 3),
        (floats(2, 3, 8),),
        [(floats(2, 3, 11),)],
        [[2]],
    ),
    Case(
        "adaptive_avg_pool3d",
        "torch.nn.functional.adaptive_avg_pool3d",
        DYNAMO,
        lambda x: F.adaptive_avg_pool3d(x, (2, 1, 3)),
        (floats(1, 2, 4, 4, 6),),
        [],
        [[]],
    ),
    Case(
        "interpolate area",
        "torch.nn.functional.adaptive_avg_pool2d",
        TRACE,
        lambda x: F.interpolate(x, size=(3, 3), mode="area"),
        (floats(1, 2, 9, 9),),
        [(floats(2, 2, 11, 13),)],
        [[0, 2, 3]],
    ),
    Case(
        "any of fractions",
        "torch.Tensor.any",
        TRACE,
        lambda x: (x.any(1), x.any(), torch.any(x, (0, 1), keepdim=True)),
        (torch.tensor([[0.5, 0.0], [0.0, 0.0]]),),
        [(torch.tensor([[1.0, -1.0], [0.0, 0.0], [0.0, 0.2]]),)],
        [[0]],
    ),
    Case(
        "any of nothing",
        "torch.Tensor.any",
        DYNAMO,
        lambda x: x.any(1),
        (truth([True, False], [False, False]),),
        [(torch.zeros(2, 0, dtype=torch.bool),)],
        [[0, 1]],
    ),
    Case(
        "all of fractions",
        "torch.Tensor.all",
        TRACE,
        lambda x: x.all(1),
        (torch.tensor([[0.5, 0.0], [0.1, 0.2]]),),
        [],
        [[0]],
    ),
    *(
        Case(
            f"{kind}_pool{rank}d of one picture",
            f"torch.nn.functional.{kind}_pool{rank}d",
            TRACE,
            pooled(f"{kind}_pool{rank}d", name),
            (floats(3, *[8] * rank),),
            [],
            [[0]],
        )
        for kind, name in POOLS.items()
        for rank in (1, 2, 3)
    ),
    Case(
        "places of the largest of one picture",
        "torch.nn.functional.max_pool2d",
        TRACE,
        lambda x: F.max_pool2d(x, 3, stride=1, padding=1, return_indices=True),
        (floats(3, 8, 9),),
        [(floats(5, 10, 7),)],
        [[0, 1, 2]],
    ),
    Case(
        "atan2",
        "torch.atan2",
        BOTH,
        torch.atan2,
        quadrants(1),
        [quadrants(-1), (floats(20), floats(20).flip(0))],
        [[0], [0]],
    ),
    Case(
        "logsigmoid far from zero",
        "torch.nn.functional.logsigmoid",
        BOTH,
        F.logsigmoid,
        (torch.tensor([-60.0, -20, -1, 0, 1, 20, 60]),),
        [(torch.tensor([-200.0, 200]),)],
        [[0]],
    ),
    Case(
        "deepcopy",
        "torch.Tensor.__deepcopy__",
        BOTH,
        lambda x: sum(copy.deepcopy([x, {"more": x + 1}])[1].values()).add_(1) + x,
        (floats(2, 3),),
        [(floats(4, 5),)],
        [[0, 1]],
    ),
    Case(
        "grouped_mm",
        "torch.nn.functional.grouped_mm",
        BOTH,
        lambda x, ends: F.grouped_mm(x, EXPERTS, offs=ends),
        (floats(6, 4), torch.tensor([2, 2, 6], dtype=torch.int32)),
        [
            (floats(9, 4), torch.tensor([1, 8, 9], dtype=torch.int32)),
            (floats(1, 4), torch.tensor([0, 1, 1], dtype=torch.int32)),
        ],
        [[0], []],
    ),
    Case(
        "histc",
        "torch.histc",
        TRACE,
        lambda x: torch.histc(x, bins=4, min=-1, max=3),
        (floats(7),),
        [(3 * floats(40),), (torch.tensor([-1.0, 3, 3, 1, 0, -1.001, 3.001]),)],
        [[0]],
    ),
    *(
        Case(
            f"fused_moving_avg_obs_fake_quant, {name}",
            "torch.fused_moving_avg_obs_fake_quant",
            TRACE,
            observed(by_channel),
            (floats(2, 3, 4),),
            [(20 * floats(3, 3, 4),), (floats(1, 3, 7),)],
            [[0, 2]],
        )
        for name, by_channel in (("a scale", False), ("a scale a channel", True))
    ),
    Case(
        "linspace",
        "torch.linspace",
        DYNAMO,
        lambda x: x + torch.linspace(0.5, x.shape[1] - 0.5, x.shape[1]),
        (floats(2, 5),),
        [(floats(2, 7),), (floats(2, 1),)],
        [[0, 1]],
    ),
    Case(
        "linspace of integers",
        "torch.linspace",
        TRACE,
        lambda x: x + torch.linspace(3, 10, x.shape[1], dtype=torch.int64),
        (floats(2, 5),),
        [(floats(2, 7),), (floats(2, 1),)],
        [[0, 1]],
    ),
    Case(
        "assignment under a mask of rows",
        "torch.Tensor.__setitem__",
        TRACE,
        assign(("mask", slice(1, 3)), 3.0),
        (floats(3, 5), truth(True, False, True)),
        [(floats(4, 6), truth(True, False, True, False)), (floats(2, 6), truth(False, False))],
        [[0, 1], [0]],
    ),
    Case(
        "assignment under a mask of columns",
        "torch.Tensor.__setitem__",
        BOTH,
        assign((..., "mask"), 7.0),
        (floats(3, 5), truth(True, False, True, True, False)),
        [(floats(4, 3), truth(True, False, True))],
        [[0, 1], [0]],
    ),
    Case(
        "assignment under a mask in the middle",
        "torch.Tensor.__setitem__",
        TRACE,
        assign((slice(None), "mask", slice(1, 3)), 7.0),
        (floats(2, 3, 5), truth(True, False, True)),
        [(floats(4, 2, 6), truth(False, True))],
        [[0, 1, 2], [0]],
    ),
    Case(
        "negative indices",
        "torch.Tensor.__getitem__",
        TRACE,
        lambda x, i, j: (x[i, j], x[i, :, j], x[..., i, j]),
        (floats(4, 4, 6), torch.tensor([1, 2]), torch.tensor([0, 3])),
        [(floats(5, 6, 9), torch.tensor([-3, 2]), torch.tensor([2, -1]))],
        [[0, 1, 2], [0], [0]],
    ),
    Case(
        "topk of at most the size",
        "torch.Tensor.topk",
        TRACE,
        lambda x: x.topk(min(5, x.shape[1])),
        (floats(2, 8),),
        [(floats(4, 3),)],
        [[0, 1]],
    ),
    Case(
        "attention in three dimensions",
        "torch.nn.functional.scaled_dot_product_attention",
        DYNAMO,
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3),
        tuple(floats(2, 3, 8) for _ in range(3)),
        [tuple(floats(3, 5, 8) for _ in range(3))],
        [[0, 1]] * 3,
    ),
    Case(
        "attention that leaves a query nothing",
        "torch.nn.functional.scaled_dot_product_attention",
        DYNAMO,
        F.scaled_dot_product_attention,
        attention_inputs(3, mask=torch.eye(3) > 0),
        [attention_inputs(5, mask=NO_ROW)],
        [[0, 2]] * 3 + [[0, 1]],
    ),
    Case(
        "attention that leaves a query nothing, by floats",
        "torch.nn.functional.scaled_dot_product_attention",
        TRACE,
        F.scaled_dot_product_attention,
        attention_inputs(3, mask=floats(3, 3)),
        [attention_inputs(5, mask=torch.where(NO_ROW, 0.0, -torch.inf))],
        [[0, 2]] * 3 + [[0, 1]],
    ),
    Case(
        "attention of grouped queries",
        "torch.nn.functional.scaled_dot_product_attention",
        TRACE,
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        attention_inputs(3, heads=2),
        [attention_inputs(5, heads=2)],
        [[0, 2]] * 3,
    ),
    Case(
        "masked_fill of booleans",
        "torch.Tensor.masked_fill",
        BOTH,
        lambda x, m: (x.masked_fill(m, True), x.clone().masked_fill_(m, False)),
        (truth([True, False, False, True]), truth([True, True, False, False])),
        [(truth([False, False]), truth([True, False]))],
        [[1], [1]],
    ),
    Case(
        "where of booleans",
        "torch.where",
        BOTH,
        torch.where,
        tuple(floats(2, 3) > bound for bound in (0, -1, 1)),
        [],
        [[0], [0], [0]],
    ),
    Case(
        "floor division of integers",
        "torch.Tensor.__floordiv__",
        TRACE,
        lambda x: (x // 3, torch.floor_divide(x, -2), 7 // (x * 2 + 1)),
        (torch.arange(-5, 5).reshape(2, 5),),
        [(torch.arange(-9, 9).reshape(3, 6),)],
        [[0, 1]],
    ),
    Case(
        "division of sizes, rounded up",
        "torch.Tensor.__floordiv__",
        TRACE,
        lambda x: x + (-(-x.shape[1] // 2)),
        (floats(2, 4),),
        [(floats(2, 5),)],
        [[0, 1]],
    ),
    Case(
        "chunk",
        "torch.Tensor.chunk",
        DYNAMO,
        lambda x: torch.cat([part * (i + 1) for i, part in enumerate(x.chunk(2, 1))][::-1], 1),
        (floats(2, 6),),
        [(floats(4, 9),)],
        [[0, 1]],
    ),
    Case(
        "clamp of integers",
        "torch.Tensor.clip",
        TRACE,
        lambda x: x.clip(0.5, 3.5),
        (torch.arange(6),),
        [],
        [[0]],
    ),
    Case(
        "layer_norm",
        "torch.nn.functional.layer_norm",
        TRACE,
        lambda x: F.layer_norm(x, x.shape[1:]),
        (floats(2, 3, 4),),
        [(floats(3, 5, 6),)],
        [[0, 1, 2]],
    ),
    Case(
        "roll",
        "torch.roll",
        TRACE,
        lambda x: (torch.roll(x, (7, -2), (1, 0)), torch.roll(x, 2)),
        (floats(3, 4),),
        [(floats(5, 6),)],
        [[0, 1]],
    ),
    Case(
        "roll by half",
        "torch.roll",
        DYNAMO,
        lambda x: torch.roll(x, x.shape[1] // 2, 1),
        (floats(3, 4),),
        [(floats(5, 9),)],
        [[0, 1]],
    ),
    Case(
        "squeeze of what is not 1",
        "torch.Tensor.squeeze",
        DYNAMO,
        lambda x: (x.squeeze(1) + 1, x.squeeze()),
        (floats(3, 4),),
        [(floats(5, 6),)],
        [[0, 1]],
    ),
    Case(
        "squeeze of several",
        "torch.Tensor.squeeze",
        TRACE,
        lambda x: x.squeeze((0, 2)),
        (floats(1, 4, 1),),
        [(floats(1, 6, 1),)],
        [[1]],
    ),
    Case(
        "stable sort",
        "torch.sort",
        BOTH,
        lambda x: (
            torch.sort(x, stable=True, dim=1),
            x.argsort(dim=1, descending=True, stable=True),
        ),
        (floats(3, 9).round(),),
        [(floats(5, 12).round(),)],
        [[0, 1]],
    ),
]

PARAMETERS = [
    pytest.param(case, capture, id=f"{case.name}-{capture}")
    for case in CASES
    for capture in case.captures
]


@pytest.mark.parametrize(("case", "capture"), PARAMETERS)
def test_a_shipped_rewrite_is_enough(case, capture, outcome):
    result, active = outcome(
        case.function, case.args, case.others, case.dynamic, capture, rewritten=True
    )
    assert result == "right"
    assert case.rewrite in {record.name for record in active.called}
    assert not active.unused


# The other half of the proof; the new exporter takes more than a second for each.
@pytest.mark.skipif(
    not torch.__version__.startswith("2.13"), reason="later versions do some of it right themselves"
)
@pytest.mark.parametrize(
    ("case", "capture"),
    [
        pytest.param(*parameter.values, id=parameter.id, marks=pytest.mark.slow)
        if parameter.values[1] == "dynamo"
        else parameter
        for parameter in PARAMETERS
    ],
)
def test_a_shipped_rewrite_is_needed(case, capture, outcome):
    result, _ = outcome(
        case.function, case.args, case.others, case.dynamic, capture, rewritten=False
    )
    assert result != "right"


def test_tensorrt_gets_no_topk_beyond_its_limit(export_bytes, same_as_eager):
    def permutation(size):
        # No two values are equal: which of two equal ones comes first is not defined.
        return torch.randperm(size, generator=torch.Generator().manual_seed(0)).float()[None]

    model = FiveThousand()
    with rewriting(model, target="tensorrt") as active:
        content = export_bytes(model, (permutation(6000),), [[1]])
    assert same_as_eager(model, content, (permutation(9000),))
    graph = onnx.load_from_string(content).graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    limits = [constants[node.input[1]].item() for node in graph.node if node.op_type == "TopK"]
    assert limits == [3840, 5000 - 3840]
    assert [record.calls for record in active.called] == [1]


class FiveThousand(torch.nn.Module):
    def forward(self, x):
        return x.topk(5000)


def test_a_quotient_of_sizes_is_rounded_down(outcome):
    arguments = (
        lambda x: x + (-(-x.shape[1] // 2)) + x.shape[1] // -3,
        (floats(2, 4),),
        [(floats(2, 5),)],
        [[0, 1]],
        "dynamo",
    )
    assert outcome(*arguments, rewritten=False)[0] == "wrong"
    table = shipped_translations()
    assert outcome(*arguments, rewritten=False, custom_translation_table=table)[0] == "right"


def test_every_shipped_rewrite_has_a_test():
    load()
    modules = {entry.function.__module__ for entry in registrations() if entry.shipped}
    by_name = {entry.name: entry.function.__module__ for entry in registrations() if entry.shipped}
    tested = {by_name[case.rewrite] for case in CASES}
    # What is another library's has a file of its own, with a stand-in for that library.
    own = {name for name in modules if (HERE / f"test_{name.rpartition('.')[2]}.py").is_file()}
    assert modules == tested | own
    assert not tested & own
