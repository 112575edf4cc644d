"""What in a graph or a model will hurt later: notes and warnings that need no proof."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modelport.capture.diagnosis.constants import integers_of
from modelport.findings import Finding, Severity
from modelport.graph.location import source_place
from modelport.ir.random_operators import draws

if TYPE_CHECKING:
    import onnx_ir

    from modelport.capture.reference_model import ReferenceModel

_MODE_DEPENDENT = ("dropout", "batchnorm", "instancenorm", "rrelu", "stochasticdepth", "droppath")


def hygiene_findings(
    ir: onnx_ir.Model, original: ReferenceModel, model: Any, was_training: bool
) -> list[Finding]:
    """Looks a captured graph and its model over.

    Args:
        ir: The graph.
        original: The original's inputs with declared dimensions, and its example.
        model: The original model.
        was_training: Whether it came in training mode.

    Returns:
        The findings, in the order of the graph.
    """
    findings = list(_training_mode(model)) if was_training else []
    batches = _example_batches(original)
    for node in ir.graph.all_nodes():
        findings += _random(node)
        findings += _resize_by_size(node)
        findings += _shape_chain(node)
        findings += _computed_target(node)
        findings += _baked_batch(node, batches)
    return list({(item.rule, item.where): item for item in findings}.values())


def _training_mode(model: Any) -> Iterator[Finding]:
    kinds = {
        type(module).__name__
        for module in getattr(model, "modules", list)()
        if any(kind in type(module).__name__.lower() for kind in _MODE_DEPENDENT)
    }
    if kinds:
        yield Finding(
            "training-mode",
            Severity.WARNING,
            f"the model came in training mode; it was captured in evaluation mode, in which "
            f"{', '.join(sorted(kinds))} behave differently",
            fix="call model.eval() before, to say that evaluation is meant",
        )


def _random(node: onnx_ir.Node) -> Iterator[Finding]:
    if draws(node):
        yield Finding(
            "random-op",
            Severity.WARNING,
            f"{node.op_type} draws other numbers in every runtime: its result cannot be compared",
            where=source_place(node),
            fix="make the random tensor an input of the model",
        )


def _resize_by_size(node: onnx_ir.Node) -> Iterator[Finding]:
    if node.op_type == "Resize" and len(node.inputs) > 3 and node.inputs[3] is not None:
        computed = node.inputs[3].const_value is None and node.inputs[3].producer() is not None
        how = "computed at run time" if computed else "a constant"
        yield Finding(
            "resize-by-size",
            Severity.NOTE,
            f"Resize gets a target size that is {how}: engines build better from scales",
            where=source_place(node),
            fix="interpolate(scale_factor=...) in place of size=..., and without "
            "recompute_scale_factor",
        )


def _shape_chain(node: onnx_ir.Node) -> Iterator[Finding]:
    """A Shape node one of whose readers takes only sizes that are known."""
    if node.domain or node.op_type != "Shape":
        return
    value = node.inputs[0]
    shape = None if value is None else value.shape
    if shape is None:
        return
    start = node.attributes.get_int("start", 0)
    end = node.attributes.get_int("end", len(shape))
    given = list(shape)[start:end]
    readers = [use.node for use in node.outputs[0].uses()]
    for taken in [_sizes_read(reader, given) for reader in readers]:
        if taken and all(isinstance(dim, int) for dim in taken):
            yield Finding(
                "shape-chain",
                Severity.NOTE,
                f"Shape gives sizes that are fixed ({taken}): the chain behind can be a constant",
                where=source_place(node),
                fix="int() around sizes that never change, or simplify the graph",
            )
            return


def _sizes_read(reader: onnx_ir.Node, sizes: list[Any]) -> list[Any]:
    """Which of the sizes that Shape gives its reader goes on with."""
    arguments = [integers_of(value) for value in reader.inputs[1:]]
    if reader.op_type == "Gather" and arguments[0] is not None:
        return [sizes[index] for index in arguments[0]]
    if reader.op_type == "Slice" and arguments[0] is not None and arguments[1] is not None:
        step = arguments[3][0] if len(arguments) > 3 and arguments[3] else 1
        return sizes[arguments[0][0] : arguments[1][0] : step]
    return sizes


def _computed_target(node: onnx_ir.Node) -> Iterator[Finding]:
    """A Reshape whose target is computed, although -1 on one axis would make it a constant."""
    if node.op_type != "Reshape" or node.domain or len(node.inputs) < 2:
        return
    value, target = node.inputs[0], node.inputs[1]
    if value is None or target is None or integers_of(target) is not None:
        return
    sizes = _elements(target)
    if sizes is None or sizes.count(None) != 1:
        return
    dynamic = [dim for dim in value.shape or (None, None) if not isinstance(dim, int)]
    if -1 in sizes and len(dynamic) > 1:
        return  # Two sizes are to be found at run time: one must be computed.
    shown = ", ".join("?" if size is None else str(size) for size in sizes)
    yield Finding(
        "shape-chain",
        Severity.NOTE,
        f"the target [{shown}] of Reshape is computed at run time: with -1 on the dynamic axis, "
        "and only there, it is a constant",
        where=source_place(node),
        fix="x.view(-1, int(x.numel() // x.size(0))) in place of x.view(x.size(0), -1)",
    )


def _elements(target: onnx_ir.Value) -> list[int | None] | None:
    """What a Concat puts together, None for a size that is computed; None for other targets."""
    producer = target.producer()
    if producer is None or producer.op_type != "Concat":
        return None
    elements: list[int | None] = []
    for part in producer.inputs:
        if part is None:
            return None
        known = integers_of(part)
        if known is None and (part.shape is None or list(part.shape) != [1]):
            return None
        elements += [None] if known is None else known
    return elements


def _example_batches(original: ReferenceModel) -> dict[int | str, int]:
    """The example's size of every input's first axis, by its declared name or by itself."""
    return {
        spec.shape[0]: original.examples[spec.name].shape[0]
        for spec in original.signature.inputs
        if spec.shape and spec.name in original.examples
    }


def _baked_batch(node: onnx_ir.Node, batches: Mapping[int | str, int]) -> Iterator[Finding]:
    """A Reshape or Expand whose constant target begins with the batch of the example."""
    if node.op_type not in ("Reshape", "Expand") or node.domain or len(node.inputs) < 2:
        return
    value, target = node.inputs[0], node.inputs[1]
    if value is None or target is None or value.shape is None or not len(value.shape):
        return
    sizes = integers_of(target)
    if not sizes or len(sizes) < 2:
        return
    dim = value.shape[0]
    batch = batches.get(dim if isinstance(dim, int) else str(dim.value))
    if node.op_type == "Expand":
        # From 1 to a number that the example's batch happens to be, though it is declared dynamic.
        dynamic = [size for name, size in batches.items() if isinstance(name, str)]
        baked = dim == 1 and sizes[0] > 1 and sizes[0] in dynamic
    else:
        baked = sizes[0] == batch and (-1 in sizes[1:] or not isinstance(dim, int))
    if baked:
        yield Finding(
            "batch-baked",
            Severity.NOTE,
            f"{node.op_type} to {sizes} has the example's batch, {sizes[0]}, as a constant",
            where=source_place(node),
            fix="take the batch from an input (x.size(0)), or put -1 on its axis and int() around "
            "the others: x.view(-1, int(x.numel() // x.size(0)))",
        )
