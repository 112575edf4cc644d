"""From a program to the rows of its operator support table."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelport.capture.support import placeholders
from modelport.capture.support.aten import function_place
from modelport.capture.support.declarations import declarations, native_functions
from modelport.capture.support.table import Lowered, OnnxCount, OperatorSupport, Status
from modelport.capture.torch_private import operators as private
from modelport.ops.catalog.operators import first_opset, same_name, version_at

if TYPE_CHECKING:
    import onnx_ir
    import torch


@dataclass
class _Part:
    """What is gathered on one operator after decomposition, within one row."""

    target: Any
    node: Any
    count: int = 0
    onnx: Counter[str] = field(default_factory=Counter)


def exported_rows(
    program: torch.export.ExportedProgram, registry: Any, opset: int
) -> tuple[list[OperatorSupport], list[str]]:
    """Rows of an exported program.

    Args:
        program: The program, before decomposition.
        registry: The exporter's mappings; stand-ins are registered in it.
        opset: The opset that was asked about.

    Returns:
        The rows, and notes for the reader.
    """
    before = list(_operator_nodes(program.graph_module))
    counts = Counter(private.target_name(node.target) for node in before)
    used = {private.target_name(node.target): _used(node) for node in reversed(before)}
    prepared = private.prepared(program, registry)
    after = list(_operator_nodes(prepared.graph_module))
    decided = {id(node): private.mapped_function(node, registry) for node in after}
    missing = [n for n in after if decided[id(n)][0] is None and not _is_onnx(n.target)]
    failures: dict[str, str] = {}
    placeholders.guard(after, registry, failures)
    placeholders.register(missing, registry)
    written, notes = _written(prepared, registry)
    rows: dict[str, dict[str, _Part]] = {name: {} for name in counts}
    for node in after:
        parts = rows.setdefault(_origin(node), {})
        name = private.target_name(node.target)
        part = parts.setdefault(name, _Part(node.target, node))
        part.count += 1
        part.onnx.update(written.get(id(node), {}))
    return [
        _row(
            name,
            counts.get(name, 0),
            used.get(name, ""),
            [
                _lowered(part, decided[id(part.node)], failures.get(part_name, ""), opset)
                for part_name, part in parts.items()
            ],
        )
        for name, parts in rows.items()
    ], notes


def eager_rows(operators: Iterable[Any], registry: Any) -> list[OperatorSupport]:
    """Rows of operators that ran eagerly: whether each is mapped, not what it becomes."""
    operators = list(operators)
    targets = {private.target_name(target): target for target in operators}
    counts = Counter(private.target_name(target) for target in operators)
    rows = []
    for name, target in targets.items():
        part = Lowered(name, counts[name], _eager_status(name, target, registry), None, "", ())
        rows.append(_row(name, counts[name], "", [part]))
    return rows


def _eager_status(name: str, target: Any, registry: Any) -> Status:
    """What can be said of an operator without an export."""
    base, _, overload = name.partition(".")
    # An export makes operators functional: what counts is the one that does not work in place.
    functional = base.removesuffix("_") + (f".{overload}" if overload else "")
    known = {entry.name for entry in private.torchlib_entries()}
    if private.is_mapped(target, registry) or functional in known:
        return Status.MAPPED
    if {name, functional} & private.decomposed_names() or functional != name:
        return Status.UNKNOWN
    return Status.MISSING


def _row(name: str, count: int, used: str, lowered: list[Lowered]) -> OperatorSupport:
    base, _, overload = name.partition(".")
    short = base.rpartition("::")[2]
    signature = private.signatures(base).get(overload, "")
    found = [d.place for d in declarations(short)] if base.startswith("aten::") else []
    native = [n.place for n in native_functions(short)] if base.startswith("aten::") else []
    advice = [line for part in lowered for line in _advice(part, name)]
    return OperatorSupport(
        name=name,
        count=count,
        signature=signature,
        declared=next(iter([*found, *native]), ""),
        used=used,
        lowered=tuple(lowered),
        advice=tuple(dict.fromkeys(advice)),
    )


def _lowered(
    part: _Part, decided: tuple[Any, int | None, str], failure: str, opset: int
) -> Lowered:
    function, since, reason = decided
    onnx = tuple(
        OnnxCount(name, count, first_opset(name), version_at(name, opset))
        for name, count in sorted(part.onnx.items())
        if not name.startswith(placeholders.DOMAIN)
    )
    status = Status.MAPPED
    if function is None and not _is_onnx(part.target):
        status = Status.MISSING
    elif failure:
        status, reason = Status.FAILING, failure
    elif any(use.since is not None and use.since > opset for use in onnx):
        status = Status.TOO_NEW
    return Lowered(
        name=private.target_name(part.target),
        count=part.count,
        status=status,
        since=since,
        place="" if function is None else function_place(function),
        onnx=onnx,
        reason=reason if status in (Status.MISSING, Status.FAILING) else "",
    )


def _advice(part: Lowered, origin: str) -> Iterator[str]:
    """What to do about a part that cannot be exported, the least work first."""
    if part.status is Status.TOO_NEW:
        needed = max(use.since for use in part.onnx if use.since is not None)
        yield f"export with opset {needed} or newer"
    if part.status is Status.FAILING:
        yield f"the exporter's function refuses this call: {part.reason}"
    elif part.status is not Status.MISSING:
        return
    # Mapped where the model calls it, an operator is not decomposed in the first place.
    base = origin.partition(".")[0]
    if "complex" in part.reason:
        yield f"{base} is mapped for real inputs only: keep real and imaginary parts apart"
        return
    twin = same_name(base.rpartition("::")[2])
    if twin and part.status is Status.MISSING:
        yield (
            f"ONNX has {twin} since opset {first_opset(twin)}: map it with "
            f'modelport.register_symbolic("{base}", fn, opset={first_opset(twin)}), where fn '
            f'returns g.op("{twin}", ...)'
        )
        return
    yield (
        f"symbolic: if ONNX operators can express it, write them in a function and register it "
        f'with modelport.register_symbolic("{base}", fn)'
    )
    if origin.startswith("aten::"):
        yield (
            "decompose: replace the call by mapped operators, for the export only with "
            "modelport.rewrite, or in the model"
        )
    yield (
        "custom operator: declare it once as a modelport operator with a kernel; the node then "
        "runs in every runtime that loads the kernel's library"
    )


def _operator_nodes(module: torch.fx.GraphModule) -> Iterator[torch.fx.Node]:
    """Calls of operators in a graph and the graphs inside it; taking an item is no operator."""
    for _, inner in module.named_modules(remove_duplicate=False):
        graph = getattr(inner, "graph", None)
        for node in graph.nodes if graph is not None else ():
            if node.op == "call_function" and node.target is not operator.getitem:
                yield node


def _origin(node: torch.fx.Node) -> str:
    """The operator in the model that a decomposed one comes from."""
    sources = node.meta.get("from_node") or []
    target = str(sources[0].target) if sources else ""
    match = re.fullmatch(r"(\w+)\.(\w+)\.(\w+)", target)
    if match is None or target.startswith("torch."):
        return private.target_name(node.target)
    namespace, name, overload = match.groups()
    return f"{namespace}::{name}" + ("" if overload == "default" else f".{overload}")


def _used(node: torch.fx.Node) -> str:
    """``file:line`` of the call in the user's code: the last frame outside torch."""
    frames = re.findall(r'File "([^"]+)", line (\d+)', node.meta.get("stack_trace") or "")
    own = [frame for frame in frames if "/torch/" not in frame[0] and frame[0][0] != "<"]
    return f"{own[-1][0]}:{own[-1][1]}" if own else ""


def _is_onnx(target: Any) -> bool:
    """Whether a target is ``torch.ops.onnx``'s, which is a node already."""
    return private.target_name(target).startswith("onnx::")


def _written(
    program: torch.export.ExportedProgram, registry: Any
) -> tuple[dict[int, Counter[str]], list[str]]:
    """The ONNX operators written for each node, by the node's identity."""
    try:
        model = private.translated(program, registry)
    except private.translation_errors() as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        return {}, [
            f"the graph could not be written, so it is open what operators become: {reason}"
        ]
    found: dict[int, Counter[str]] = {}
    graphs: list[onnx_ir.Graph | onnx_ir.Function] = [model.graph, *model.functions.values()]
    for graph in graphs:
        for node in graph.all_nodes():
            origin = node.meta.get("node")
            if origin is not None:
                found.setdefault(id(origin), Counter()).update(_expanded(node, model))
    return found, []


def _expanded(node: onnx_ir.Node, model: onnx_ir.Model) -> Counter[str]:
    """A node's operator, or those of the function that it calls."""
    body = model.functions.get(node.op_identifier())
    if body is None:
        return Counter([f"{node.domain}::{node.op_type}" if node.domain else node.op_type])
    total: Counter[str] = Counter()
    for inner in body.all_nodes():
        # Nodes that the exporter wrote into the body are counted where they come from.
        if inner.meta.get("node") is None:
            total.update(_expanded(inner, model))
    return total
