"""The one place that touches private names of torch.

Tested with torch 2.13. Each access is a small function, so that what moves in a later version is
found and mended here.
"""

from __future__ import annotations

import importlib
import itertools
import traceback
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelport.capture.torch_private.access import resolve
from modelport.source_location import innermost, is_users

if TYPE_CHECKING:
    import torch


def flatten_with_paths(tree: Any) -> tuple[list[tuple[tuple[Any, ...], Any]], Any]:
    """Flattens nested containers.

    Args:
        tree: Tuples, lists, dicts and registered classes of leaves.

    Returns:
        ``(path, leaf)`` pairs, where a path is the keys and indices that lead to the leaf, and
        the structure, for `unflatten`.
    """
    import torch.utils._pytree as pytree

    return list(_walk(tree, ())), pytree.tree_structure(tree)


def _walk(tree: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Leaves with their paths; what a class was registered without keys for has indices."""
    import torch.utils._pytree as pytree

    if pytree.tree_is_leaf(tree):
        yield path, tree
        return
    node = resolve("pytree nodes")[resolve("pytree type")(tree)]
    if node.flatten_with_keys_fn is not None:
        for key, child in node.flatten_with_keys_fn(tree)[0]:
            yield from _walk(child, (*path, _step(key)))
        return
    for index, child in enumerate(node.flatten_fn(tree)[0]):
        yield from _walk(child, (*path, index))


def unflatten(leaves: list[Any], structure: Any) -> Any:
    """Puts leaves back where `flatten_with_paths` found them."""
    import torch.utils._pytree as pytree

    return pytree.tree_unflatten(leaves, structure)


def _step(key: Any) -> Any:
    for attribute in ("key", "idx", "name"):
        if hasattr(key, attribute):
            return getattr(key, attribute)
    return str(key)


def read_dim(dim: Any) -> tuple[str, str, int, int | None] | None:
    """Reads a ``torch.export.Dim`` or one of its hints.

    Returns:
        ``(kind, name, min, max)`` with kind ``dynamic`` or ``static`` and an empty name for a
        hint; None for anything else.
    """
    from torch.export import Dim
    from torch.export.dynamic_shapes import _DimHint

    if isinstance(dim, _DimHint):
        kind = "static" if "STATIC" in str(dim) else "dynamic"
        return kind, "", dim.min or 1, dim.max
    if isinstance(dim, Dim):
        bound = _finite(getattr(dim, "max", None))
        return "dynamic", dim.__name__, int(getattr(dim, "min", 1)), bound
    return None


def input_sizes(program: Any) -> list[tuple[int | str, ...]]:
    """Sizes of an exported program's inputs, in the order of its flat arguments.

    Returns:
        A tuple an argument, empty for one that is no tensor; a dynamic size is a symbol, or an
        expression of symbols.
    """
    from torch.export.graph_signature import InputKind

    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    specs = program.graph_signature.input_specs
    names = [getattr(spec.arg, "name", "") for spec in specs if spec.kind is InputKind.USER_INPUT]
    shapes = [getattr(values.get(name), "shape", ()) for name in names]
    return [
        tuple(size if isinstance(size, int) else str(size) for size in shape) for shape in shapes
    ]


def symbol_ranges(program: Any) -> dict[str, tuple[int, int | None]]:
    """Ranges of an exported program's dynamic sizes, by symbol; None is no bound."""
    return {
        str(symbol): (_finite(bounds.lower) or 0, _finite(bounds.upper))
        for symbol, bounds in program.range_constraints.items()
    }


def symbol_names(program: Any) -> dict[str, str]:
    """Names of the ``torch.export.Dim`` that dynamic sizes were declared with, by symbol.

    torch does not write them into a file: a program that was loaded has none.
    """
    environment = shape_environment(program)
    if environment is None:
        return {}
    names = environment.source_name_to_debug_name
    return {
        str(symbol): names[source.name]
        for symbol, sources in environment.var_to_sources.items()
        for source in sources
        if source.name in names
    }


def _finite(bound: Any) -> int | None:
    # torch writes "no bound" as an infinity of its own, or as its largest integer.
    try:
        number = int(bound)
    except (OverflowError, TypeError, ValueError, AttributeError):
        return None
    return number if abs(number) < 2**31 else None


@dataclass(frozen=True)
class GuardPlace:
    """Where torch.export made an assumption about sizes.

    Attributes:
        expression: The assumption, a boolean sympy expression over the symbols of sizes.
        place: ``file:line`` of the innermost of the user's code.
        is_users: The user's code itself compared sizes; else a function of torch did.
        is_conversion: A size was made a Python number; else sizes were compared.
        environment: The ``ShapeEnv`` whose symbols the expression has.
    """

    expression: Any
    place: str
    is_users: bool
    is_conversion: bool
    environment: object = None


_CONVERSIONS = {"guard_int", "guard_float"}


@contextmanager
def watching_guards() -> Iterator[list[GuardPlace]]:
    """Records where assumptions are made; an exported program no longer knows."""
    environment = importlib.import_module("torch.fx.experimental.symbolic_shapes").ShapeEnv
    log = resolve("guard log")
    symbolic_files = resolve("symbolic files")()
    watched: list[GuardPlace] = []

    def record(self: Any, prefix: str, guard: Any, *args: Any, **kwargs: Any) -> None:
        walked = itertools.islice(traceback.walk_stack(None), 1, None)
        frames = [(frame.f_code, line) for frame, line in walked]
        machinery = itertools.takewhile(lambda item: item[0].co_filename in symbolic_files, frames)
        names = {code.co_name for code, _ in machinery}
        maker = next((c.co_filename for c, _ in frames if c.co_filename not in symbolic_files), "")
        place = innermost((code.co_filename, line) for code, line in reversed(frames))
        watched.append(
            GuardPlace(guard, place, is_users(maker), not names.isdisjoint(_CONVERSIONS), self)
        )
        log(self, prefix, guard, *args, **kwargs)

    environment._log_guard = record
    try:
        yield watched
    finally:
        environment._log_guard = log


def sizes_of_one_may_vary() -> AbstractContextManager[Any]:
    """As in ``torch.onnx.export``, a dynamic dimension stays so where the example's size is 1."""
    context: AbstractContextManager[Any] = resolve("shape options")(backed_size_oblivious=True)
    return context


def shape_guards(program: Any) -> list[Any]:
    """What torch.export assumed about sizes and then dropped.

    Args:
        program: An exported program.

    Returns:
        Boolean sympy expressions over the symbols of dynamic sizes.
    """
    environment = shape_environment(program)
    if environment is None:
        return []
    guards = [guard.expr for guard in environment.guards]
    for deferred in environment.deferred_runtime_asserts.values():
        guards += [item.expr for item in deferred]
    return guards


def shape_environment(program: torch.export.ExportedProgram) -> Any:
    """The ``ShapeEnv`` of an exported program, which has the symbols of its sizes; maybe None."""
    for node in program.graph.nodes:
        value: Any = node.meta.get("val") if node.op == "placeholder" else None
        if value is not None and hasattr(value, "fake_mode"):
            return value.fake_mode.shape_env
    return None


def size_hint(size: Any) -> int:
    """The example's value of a symbolic size."""
    from torch.fx.experimental.symbolic_shapes import optimization_hint

    return int(optimization_hint(size))


@contextmanager
def seeming_to_export() -> Iterator[None]:
    """Makes torch's own questions whether an export is under way answer yes."""
    import torch.compiler
    import torch.onnx._internal.exporter._flags as flags

    before = torch.compiler._is_exporting_flag, flags._is_onnx_exporting
    torch.compiler._is_exporting_flag = flags._is_onnx_exporting = True
    try:
        yield
    finally:
        torch.compiler._is_exporting_flag, flags._is_onnx_exporting = before


@contextmanager
def symbolic_inputs(
    tensors: Mapping[str, torch.Tensor], dynamic: Mapping[str, Collection[int]]
) -> Iterator[tuple[dict[str, torch.Tensor], object]]:
    """Runs a block in which eager code computes shapes alone, with symbols for dynamic sizes.

    Args:
        tensors: Tensors by name.
        dynamic: Axes with a symbol by tensor.

    Yields:
        Tensors without values by name, and the ``ShapeEnv`` of their symbols.
    """
    from torch._dispatch.python import enable_python_dispatcher
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import (
        DimDynamic,
        ShapeEnv,
        StatelessSymbolicContext,
    )

    environment = ShapeEnv(specialize_zero_one=False, duck_shape=False)
    mode = FakeTensorMode(shape_env=environment, allow_non_fake_inputs=True)
    made: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        axes = dynamic.get(name, ())
        kinds = [
            DimDynamic.DYNAMIC if axis in axes else DimDynamic.STATIC
            for axis in range(tensor.dim())
        ]
        context: Any = StatelessSymbolicContext(dynamic_sizes=kinds)
        made[name] = mode.from_tensor(tensor, symbolic_context=context)
    with mode, enable_python_dispatcher():
        yield made, environment


def symbol_of(size: object) -> str | None:
    """The symbol that a size is; None for a number or an expression."""
    expression = getattr(getattr(size, "node", None), "expr", None)
    return str(expression) if getattr(expression, "is_Symbol", False) else None
