"""Shape rules become data that gives what the rules give."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch

import modelport
from modelport import DATA_DEPENDENT, Operator, OperatorError, TensorInfo
from modelport.backends.tensorrt.plugins.rule_program import ShapeProgram, Step
from modelport.backends.tensorrt.plugins.shape_rules import trace_shapes
from modelport.errors import ModelportError
from modelport.ops.kernel_call import tensor_infos
from modelport.ops.library import load
from modelport.ops.sampling import Draw
from modelport.ops.shapes import DataDependent

Shape = list[tuple[int, bool]]


class RefusedError(Exception):
    """A way that refuses was open."""


def worked_out(
    program: ShapeProgram, operator: Operator, inputs: Sequence[Any], given: Mapping[str, Any]
) -> list[Shape]:
    """The shapes that a program gives, with whether a size is only a bound; worked out plainly."""
    flat: list[Any] = []
    for item in inputs:
        flat += item if isinstance(item, list) else [item]
    values = list({**operator.schema.defaults, **given}.values())
    names = [item.name for item in operator.schema.attributes]
    values = [{**operator.schema.defaults, **given}[name] for name in names]

    def of(place: int) -> float:
        step: Step = program.steps[place]
        first, second = step.first, step.second
        known: dict[str, Callable[[], float]] = {
            "constant": lambda: step.number,
            "present": lambda: first < len(flat) and flat[first] is not None,
            "count": lambda: len(flat) - first,
            "rank": lambda: len(flat[first].shape),
            "dimension": lambda: flat[first].shape[second],
            "type_is": lambda: flat[first].dtype == step.text,
            "attribute": lambda: values[first],
            "item": lambda: values[first][second],
            "length": lambda: len(values[first]),
            "text_is": lambda: values[first] == step.text,
            "add": lambda: of(first) + of(second),
            "subtract": lambda: of(first) - of(second),
            "multiply": lambda: of(first) * of(second),
            "divide": lambda: of(first) / of(second),
            "floor_divide": lambda: math.floor(of(first) / of(second)),
            "minimum": lambda: min(of(first), of(second)),
            "maximum": lambda: max(of(first), of(second)),
            "less": lambda: of(first) < of(second),
            "equal": lambda: of(first) == of(second),
        }
        return known[step.kind]()

    open_ways = [
        way for way in program.ways if all(bool(of(c.step)) is c.holds for c in way.conditions)
    ]
    (way,) = open_ways
    if way.refusal:
        raise RefusedError(way.refusal)
    return [
        [(size, False) for size in flat[output.like].shape]
        if output.like >= 0
        else [(int(of(dim.step)), dim.is_bound) for dim in output.dimensions]
        for output in way.outputs
    ]


def by_rule(operator: Operator, inputs: Sequence[Any], given: Mapping[str, Any]) -> list[Shape]:
    found = operator.infer(inputs, {**operator.schema.defaults, **given})
    return [
        [
            (dim.bound, True) if isinstance(dim, DataDependent) else (dim, False)
            for dim in info.shape
        ]
        for info in found
    ]


@pytest.mark.parametrize(
    "name", [name for name, item in sorted(load().items()) if "cuda" in item.kernels]
)
def test_operators_that_ship(name: str) -> None:
    operator = load()[name]
    program = trace_shapes(operator)
    for seed in range(40):
        inputs, attributes = operator.samples(Draw(seed))
        inputs = [*inputs, *[None] * (len(operator.schema.inputs) - len(inputs))]
        infos = tensor_infos(inputs)
        assert worked_out(program, operator, infos, attributes) == by_rule(
            operator, infos, attributes
        )


def declared(name: str, reference: Callable[..., Any], rule: Callable[..., Any]) -> Operator:
    from modelport.ops.schema import schema_of

    operator = Operator(schema_of(f"traced::{name}", reference), reference, {}, [])
    operator.shapes(rule)
    return operator


def pooled(
    x: torch.Tensor, *, size: int = 2, mode: str = "floor", pads: list[int] = (0, 0)
) -> torch.Tensor:  # type: ignore[assignment]
    raise NotImplementedError


def pooled_rule(x: TensorInfo, *, size: int, mode: str, pads: Sequence[int]) -> TensorInfo:
    if size < 1 or len(pads) != len(x.shape):
        raise OperatorError(f"pooled: the size is {size}, {len(pads)} pads")
    if mode not in ("floor", "ceil"):
        raise OperatorError(f"pooled: there is no mode {mode!r}")
    padded = [dim + 2 * pad for dim, pad in zip(x.shape, pads, strict=True)]
    if mode == "ceil":
        return x.like([-(-dim // size) for dim in padded])
    return x.like([max(dim // size, 1) for dim in padded])


@pytest.mark.parametrize("mode", ["floor", "ceil"])
@pytest.mark.parametrize("shape", [(7, 9), (1, 0), (3,), (2, 3, 4)])
def test_a_rule_that_branches_on_texts_numbers_lengths_and_sizes(
    mode: str, shape: tuple[int, ...]
) -> None:
    operator = declared("pooled", pooled, pooled_rule)
    program = trace_shapes(operator)
    for size in (1, 2, 5):
        given = {"mode": mode, "size": size, "pads": [1] * len(shape)}
        infos = [TensorInfo(shape, "float32")]
        assert worked_out(program, operator, infos, given) == by_rule(operator, infos, given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"size": 0, "pads": [0, 0]}, "the size is <size>"),
        ({"mode": "round"}, "no mode <mode>"),
        ({"pads": [1, 1, 1]}, "3 pads"),
    ],
)
def test_what_a_rule_refuses_is_refused_in_its_words(given: dict[str, Any], said: str) -> None:
    operator = declared("pooled", pooled, pooled_rule)
    infos = [TensorInfo([4, 4], "float32")]
    with pytest.raises(ModelportError):
        by_rule(operator, infos, given)
    with pytest.raises(RefusedError, match=said):
        worked_out(trace_shapes(operator), operator, infos, given)


def test_optional_inputs_lists_and_the_dtype() -> None:
    def reference(
        x: torch.Tensor, y: torch.Tensor | None, rest: list[torch.Tensor]
    ) -> torch.Tensor:
        raise NotImplementedError

    def rule(x: TensorInfo, y: TensorInfo | None, rest: Sequence[TensorInfo]) -> TensorInfo:
        more = 1 if x.dtype == "float16" else 0
        rows = x.shape[0] if y is None else y.shape[0]
        return x.like([rows + sum(item.shape[0] for item in rest), len(rest) + more])

    operator = declared("listed", reference, rule)
    # Every item of a list may have any rank, so that its ways are many.
    with pytest.raises(OperatorError, match="more than 4096 ways"):
        trace_shapes(operator)

    def simpler(x: TensorInfo, y: TensorInfo | None, rest: Sequence[TensorInfo]) -> TensorInfo:
        more = 1 if x.dtype == "float16" else 0
        return x.like([(x if y is None else y).shape[0], len(rest) + more])

    operator.shapes(simpler)
    program = trace_shapes(operator)
    for dtype in ("float16", "float32"):
        for y in (None, TensorInfo([5], dtype)):
            for count in (0, 1, 3):
                infos = [TensorInfo([4, 2], dtype), y, [TensorInfo([3], dtype)] * count]
                assert worked_out(program, operator, infos, {}) == by_rule(operator, infos, {})


def unary(x: torch.Tensor, *, names: list[str] = (), k: float = 1.0) -> torch.Tensor:  # type: ignore[assignment]
    raise NotImplementedError


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (lambda x, **_: x.like([DATA_DEPENDENT]), "nothing says how large it gets"),
        (lambda x, **_: x.like([int(x.shape[0])]), "makes a Python number of a size"),
        (lambda x, **_: x.like([range(4)[x.shape[0]]]), "makes a Python number of a size"),
        (lambda x, **_: x.like([{x.shape[0]: 1}.get(2, 3)]), "looks a size up in a table"),
        (lambda x, **_: x.like(["n"]), "gives 'n' for a size"),
        (lambda x, **_: [x, x], "gives 2 outputs of 1"),
        (lambda x, **_: 3, "gives 3"),
        (lambda x, *, names, **_: x.like([len(names)]), "looks at <names>, a list of texts"),
        (lambda x, **_: x.like([x.shape[9]]), "refuses everything"),
        (lambda x, **_: (_ for _ in ()).throw(RuntimeError("no")), "raises RuntimeError: no"),
    ],
)
def test_rules_that_cannot_be_traced_say_why(rule: Callable[..., Any], why: str) -> None:
    with pytest.raises(OperatorError, match="cannot become that of a TensorRT plugin") as raised:
        trace_shapes(declared("unary", unary, rule))
    assert why in str(raised.value.why)


def test_without_a_rule_there_is_no_plugin() -> None:
    operator = declared("unary", unary, lambda x, **_: x)
    operator.shape_rule = None
    with pytest.raises(OperatorError, match="has no shape rule"):
        trace_shapes(operator)


def test_an_input_as_it_is_asks_nothing() -> None:
    program = trace_shapes(declared("unary", unary, lambda x, **_: x))
    assert [way.conditions for way in program.ways] == [()]
    assert program.ways[0].outputs[0].like == 0


def test_bounds_hold_in_the_comparison_of_operators() -> None:
    from modelport.conformance.tensors import fits

    rule = TensorInfo([DATA_DEPENDENT.at_most(4), 2], "int64")
    assert fits(rule, TensorInfo([4, 2], "int64"))
    assert not fits(rule, TensorInfo([5, 2], "int64"))
    assert fits(TensorInfo([modelport.DATA_DEPENDENT], "int64"), TensorInfo([99], "int64"))
    assert str(rule) == "int64[DATA_DEPENDENT.at_most(4), 2]"
