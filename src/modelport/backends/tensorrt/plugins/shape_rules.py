"""`trace_shapes`: an operator's shape rule, in Python, becomes a program of expressions."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from modelport.backends.tensorrt.plugins.rule_paths import Walk, merged, shortened
from modelport.backends.tensorrt.plugins.rule_program import (
    Dimension,
    OutputShape,
    ShapeProgram,
    Steps,
    Way,
)
from modelport.backends.tensorrt.plugins.rule_trace import (
    Items,
    TracedInfo,
    Trail,
    UntraceableError,
    step_of,
    traced_attribute,
)
from modelport.errors import ModelportError, OperatorError
from modelport.ops.declaration import Operator
from modelport.ops.shapes import DataDependent, TensorInfo

_MOST_WAYS = 1 << 12
# What rules that do not look at the rank raise where it is another one than they take.
_OF_OTHER_SHAPES = (IndexError, ValueError, TypeError, AssertionError, ZeroDivisionError)


def trace_shapes(operator: Operator) -> ShapeProgram:
    """Runs an operator's shape rule on symbols, on every way that there is through it.

    The rule is run again and again. Where it asks something that is known only when a graph is
    built or runs (is an input there, which rank has it, is an attribute above 0), one answer is
    given and the others are kept for later runs: the symbolic execution of King (1976). Nothing
    else of the rule is read or changed.

    Args:
        operator: The operator.

    Returns:
        The rule as data, for a TensorRT plugin.

    Raises:
        OperatorError: There is no rule; it branches without end; it computes with something that
            is no expression of dimensions; or a size that values decide has no bound.
    """
    if operator.shape_rule is None:
        raise OperatorError(
            f"{operator.qualified_name} has no shape rule, which a TensorRT plugin needs",
            where=str(operator.folder),
            fix=f"declare one under @{operator.schema.name}.shapes",
        )
    steps = Steps()
    walks: list[Walk] = []
    remaining: list[tuple[Any, ...]] = [()]
    while remaining:
        trail = Trail(steps, remaining.pop())
        result = _walk(operator, trail)
        walks.append(Walk(tuple(trail.decisions), result))
        remaining += trail.others
        if len(walks) + len(remaining) > _MOST_WAYS:
            raise _untraceable(operator, f"there are more than {_MOST_WAYS} ways through it")
    ways = merged(walks, steps)
    if all(way.refusal for way in ways):
        raise _untraceable(operator, f"it refuses everything: {ways[0].refusal}")
    return ShapeProgram(steps.listed(), ways, _sizes(operator, ways))


def _walk(operator: Operator, trail: Trail) -> Way:
    schema = operator.schema
    inputs: list[Any] = []
    for place, item in enumerate(schema.inputs):
        if item.kind == "List":
            count = trail.steps.add("count", place)
            inputs.append(Items(trail, count, functools.partial(_listed, trail, place)))
        elif item.kind == "Opt" and not trail.holds(trail.steps.add("present", place)):
            inputs.append(None)
        else:
            inputs.append(TracedInfo(trail, place))
    attributes = {
        item.name: traced_attribute(trail, item, place)
        for place, item in enumerate(schema.attributes)
    }
    assert operator.shape_rule is not None
    try:
        given = operator.shape_rule(*inputs, **attributes)
        outputs: Sequence[Any] = list(given) if isinstance(given, list | tuple) else [given]
        if len(outputs) != len(schema.outputs):
            raise UntraceableError(f"it gives {len(outputs)} outputs of {len(schema.outputs)}")
        shapes = tuple(_output(trail, info) for info in outputs)
    except UntraceableError as error:
        raise _untraceable(operator, str(error)) from error
    except ModelportError as refusal:
        return Way((), refusal=shortened(refusal.what))
    except _OF_OTHER_SHAPES as error:
        refused = f"the shape rule fails: {type(error).__name__}: {error}"
        return Way((), refusal=shortened(refused))
    except Exception as error:  # the author's rule may raise anything
        raise _untraceable(operator, f"it raises {type(error).__name__}: {error}") from error
    return Way((), shapes)


def _listed(trail: Trail, first: int, index: int) -> TracedInfo:
    return TracedInfo(trail, first + index)


def _output(trail: Trail, info: Any) -> OutputShape:
    if not isinstance(info, TensorInfo):
        raise UntraceableError(f"it gives {info!r}")
    if isinstance(info, TracedInfo):
        return OutputShape(like=info.place)
    dimensions = []
    for dim in info.shape:
        if isinstance(dim, DataDependent):
            if dim.bound is None:
                raise UntraceableError(
                    "values decide a size of an output, and nothing says how large it gets"
                )
            dimensions.append(Dimension(step_of(trail, dim.bound), is_bound=True))
        else:
            dimensions.append(Dimension(step_of(trail, dim), is_bound=False))
    return OutputShape(dimensions=tuple(dimensions))


def _sizes(operator: Operator, ways: Sequence[Way]) -> tuple[tuple[int, int], ...]:
    found = {
        tuple(
            (place, axis)
            for place, output in enumerate(way.outputs)
            for axis, dim in enumerate(output.dimensions)
            if dim.is_bound
        )
        for way in ways
        if not way.refusal
    }
    if len(found) > 1:
        raise _untraceable(operator, "attributes or ranks decide which sizes values decide")
    return found.pop() if found else ()


def _untraceable(operator: Operator, why: str) -> OperatorError:
    return OperatorError(
        f"the shape rule of {operator.qualified_name} cannot become that of a TensorRT plugin",
        where=str(operator.folder),
        why=why,
        fix="sizes are sums, differences, products and floored quotients of input dimensions and "
        "attributes; what only values decide is DATA_DEPENDENT.at_most(a size)",
    )
