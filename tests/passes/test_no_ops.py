from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.passes.support import array, simplified

REMOVED = {
    "identity": "z = Identity(x)",
    "add zero": "z = Add(zero, x)",
    "subtract zero": "z = Sub(x, zero)",
    "times one": "z = Mul(x, ones)",
    "over one": "z = Div(x, one)",
    "power of one": "z = Pow(x, one)",
    "cast": "z = Cast<to = 1>(x)",
    "cast like": "z = CastLike(x, one)",
    "full slice": "z = Slice(x, from, to, axis)",
    "slice to the end": "z = Slice(x, from, end, axis)",
    "empty pad": "z = Pad(x, none)",
    "tile": "z = Tile(x, once)",
    "transpose": "z = Transpose<perm = [0, 1]>(x)",
    "same shape": "z = Reshape(x, shape)",
    "expand": "z = Expand(x, shape)",
    "dropout": "z = Dropout(x)",
    "clip": "z = Clip(x)",
    "concat": "z = Concat<axis = 0>(x)",
    "sum": "z = Sum(x)",
    "scatter of nothing": "z = ScatterND(x, nowhere, nothing)",
    "two transposes": "t = Transpose<perm = [1, 0]>(x) z = Transpose<perm = [1, 0]>(t)",
}
KEPT = {
    "broadcast": ("z = Add(x, wide)", "Add"),
    "broadcast of rank": ("z = Mul(x, deep)", "Mul"),
    "one over": ("z = Div(one, x)", "Div"),
    "zero minus": ("z = Sub(zero, x)", "Sub"),
    "partial slice": ("z = Slice(x, from, from_end, axis)", "Slice"),
    "reversed": ("z = Slice(x, last, first, axis, back)", "Slice"),
    "scatter": ("z = ScatterND(x, somewhere, something)", "ScatterND"),
    "training": ("z = Clip(x, one)", "Clip"),
}
HEAD = """g (float[2, 3] x) => (float y)
<float zero = {0}, float one = {1}, float[3] ones = {1, 1, 1}, float[2, 2, 3] wide =
{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, float[1, 1, 1] deep = {1}, int64[1] from = {0},
int64[1] to = {3}, int64[1] from_end = {-1}, int64[1] end = {9223372036854775807},
int64[1] axis = {1}, int64[1] last = {-1}, int64[1] first = {-9223372036854775808},
int64[1] back = {-1}, int64[4] none = {0, 0, 0, 0}, int64[2] once = {1, 1},
int64[2] shape = {2, 3}, int64[0, 1] nowhere = {}, float[0, 3] nothing = {},
int64[1, 1] somewhere = {0}, float[1, 3] something = {1, 2, 3}>"""


def graph(step: str) -> str:
    return f"{HEAD} {{ {step} e = Exp(z) y = ReduceSum<keepdims = 0>(e) }}"


@pytest.mark.parametrize("step", REMOVED.values(), ids=REMOVED)
def test_no_op_goes(tmp_path: Path, step: str) -> None:
    result = simplified(tmp_path, graph(step), {"x": array(2, 3)})
    assert result.after == {"Exp": 1, "ReduceSum": 1}


@pytest.mark.parametrize(("step", "operator"), KEPT.values(), ids=KEPT)
def test_what_does_something_stays(tmp_path: Path, step: str, operator: str) -> None:
    result = simplified(tmp_path, graph(step), {"x": array(2, 3)})
    assert result.after[operator] == 1


def test_output_keeps_its_name_where_a_no_op_made_it(tmp_path: Path) -> None:
    body = "g (float[2] x) => (float[2] y, float[2] z) { e = Exp(x) y = Identity(e) z = Relu(e) }"
    result = simplified(tmp_path, body, {"x": array(2)})
    assert [value.name for value in result.model.ir.graph.outputs] == ["y", "z"]
    assert result.after == {"Exp": 1, "Relu": 1}


@pytest.mark.parametrize(
    "body",
    [
        "g (float[2] x) => (float[2] y) { y = Identity(x) }",
        "g (float[2] x) => (float[2] y, float[2] z) { y = Exp(x) z = Identity(y) }",
    ],
    ids=["input", "output twice"],
)
def test_outputs_that_need_a_node_of_their_own_keep_it(tmp_path: Path, body: str) -> None:
    result = simplified(tmp_path, body, {"x": array(2)})
    assert result.after["Identity"] == 1


def test_no_ops_in_subgraphs_go_and_outer_values_do_not_become_their_outputs(
    tmp_path: Path,
) -> None:
    body = """g (float[2] x, bool c) => (float[2] y) <float zero = {0}> {
        e = Exp(x)
        y = If(c) <
            then_branch = a () => (float[2] p) { p = Identity(e) },
            else_branch = b () => (float[2] q) { n = Neg(e) m = Add(n, zero) q = Abs(m) }
        >
    }"""
    inputs = [{"x": array(2), "c": np.array(value)} for value in (True, False)]
    result = simplified(tmp_path, body, *inputs)
    assert result.after == {"Exp": 1, "If": 1, "Identity": 1, "Neg": 1, "Abs": 1}
