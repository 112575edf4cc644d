"""The first node that differs: its report, and a minimal model of it."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.arrays import Array
from modelport.debug.alignment import equal_constants
from modelport.debug.layerwise_error import Divergence
from modelport.debug.origin import Origin, module_of
from modelport.debug.partial_execution import PartialExecutor
from modelport.debug.reference_tensors import Recorded
from modelport.debug.submodel import closure, declare_inputs, submodel
from modelport.errors import BuildError, RunError
from modelport.graph.location import source_place
from modelport.model import Model
from modelport.numerics import ComparedOutput, Judge, Tolerance, node_tolerance_for, write_case

if TYPE_CHECKING:
    import onnx_ir


@dataclass(frozen=True)
class Statistics:
    """Statistics of a tensor, over its finite elements.

    Attributes:
        dtype: NumPy's name of the dtype.
        shape: The shape.
        min: The smallest element.
        max: The largest.
        mean: The mean.
        std: The standard deviation.
        nan: Elements that are NaN.
        infinite: Elements that are infinite.
    """

    dtype: str
    shape: tuple[int, ...]
    min: float
    max: float
    mean: float
    std: float
    nan: int
    infinite: int

    @classmethod
    def of(cls, array: Array) -> Statistics:
        """The figures of an array; zeros where there is nothing finite to count."""
        numeric = array.dtype.kind not in "UOS"
        values = array.astype(np.float64) if numeric and array.dtype.kind != "c" else np.zeros(0)
        finite = values[np.isfinite(values)]
        figures = (
            (finite.min(), finite.max(), finite.mean(), finite.std()) if finite.size else (0.0,) * 4
        )
        low, high, mean, std = map(float, figures)
        odd = int(np.isnan(values).sum()), int(np.isinf(values).sum())
        return cls(array.dtype.name, array.shape, low, high, mean, std, *odd)

    def __str__(self) -> str:
        text = (
            f"{self.dtype}{list(self.shape)} min {self.min:.4g}, max {self.max:.4g}, "
            f"mean {self.mean:.4g}, std {self.std:.4g}"
        )
        return text + (
            f", {self.nan} NaN, {self.infinite} infinite" if self.nan + self.infinite else ""
        )


@dataclass(frozen=True)
class Culprit:
    """The first node that differs on equal inputs.

    Attributes:
        node: Its name.
        operator: Its operator, with the domain unless that is ONNX's own.
        tensor: Its output that differs.
        partner: The tensor of the reference that it was compared with.
        region: Names of the nodes that were run together because nothing between them has a
            partner; the node alone where everything has.
        module: The PyTorch module that it comes from, where that is recorded.
        place: ``file:line`` of the user's code, or the node's name.
        error: The comparison of the two tensors.
        expected: The reference's tensor.
        actual: The candidate's, from the same inputs.
        differences: In what the node differs from its partner: attributes and constants.
        folder: Where the minimal model was written; empty where it was not.
        rerun: The command that shows the difference on the minimal model.
    """

    node: str
    operator: str
    tensor: str
    partner: str
    region: tuple[str, ...]
    module: Origin | None
    place: str
    error: ComparedOutput
    expected: Statistics
    actual: Statistics
    differences: tuple[str, ...]
    folder: str = ""
    rerun: str = ""

    def to_json(self) -> dict[str, Any]:
        """The culprit as plain dicts and lists."""
        return dataclasses.asdict(dataclasses.replace(self, error=None)) | {  # type: ignore[arg-type]
            "error": self.error.to_json()
        }


def describe(divergence: Divergence, executor: PartialExecutor, recorded: Recorded) -> Culprit:
    """Describes the first node that differs.

    Args:
        divergence: The divergence; its `first` is not None.
        executor: The candidate.
        recorded: The reference.
    """
    link, expected, actual = divergence.first, divergence.expected, divergence.actual
    assert link is not None
    assert link.own is not None
    assert expected is not None
    assert actual is not None
    region = [node for node in executor.ir.graph if node.name in set(divergence.region)]
    partner = _maker(recorded, link.tensor)
    node = _main_node(region, link.tensor, partner)
    if partner is not None and len(region) > 1:
        node = _extra_node(node, partner, divergence, executor, recorded) or node
    tolerance = link.own.tolerance
    error = Judge(lambda _: tolerance)({link.tensor: expected}, {link.tensor: actual})[0]
    return Culprit(
        node.name or "",
        f"{node.domain}::{node.op_type}" if node.domain else node.op_type,
        link.tensor,
        link.partner,
        divergence.region,
        module_of(node),
        source_place(node),
        error,
        Statistics.of(expected),
        Statistics.of(actual),
        tuple(_differences(node, partner)) if partner is not None else (),
    )


def _maker(recorded: Recorded, tensor: str) -> onnx_ir.Node | None:
    """The node of the reference that makes the partner of a candidate's tensor."""
    name = recorded.tensors.get(tensor)
    if recorded.executor is None or name is None:
        return None
    for node in recorded.executor.ir.graph:
        if any(out.name == name for out in node.outputs):
            return node
    return None


def _main_node(
    region: list[onnx_ir.Node], tensor: str, partner: onnx_ir.Node | None
) -> onnx_ir.Node:
    """The main node of a region: that with the partner's operator, else the tensor's producer."""
    maker = next(node for node in region if any(out.name == tensor for out in node.outputs))
    if partner is None or maker.op_identifier() == partner.op_identifier():
        return maker
    same = [node for node in region if node.op_identifier() == partner.op_identifier()]
    return same[-1] if same else maker


def _extra_node(
    node: onnx_ir.Node,
    partner: onnx_ir.Node,
    divergence: Divergence,
    executor: PartialExecutor,
    recorded: Recorded,
) -> onnx_ir.Node | None:
    """The node before the main one, if the main one is right on its partner's own inputs."""
    own = [value for value in node.inputs if value is not None and not value.is_initializer()]
    others = [value for value in partner.inputs if value is not None and not value.is_initializer()]
    makers = [value.producer() for value in own]
    extra = [maker for maker in makers if maker is not None and maker.name in divergence.region]
    if len(own) != len(others) or not extra:
        return None
    inputs: dict[str, Array] = {}
    for value, other in zip(own, others, strict=True):
        name = other.name or ""
        array = recorded.store.get(name) if name in recorded.store else divergence.inputs.get(name)
        if array is None:
            return None
        inputs[value.name or ""] = array
    outputs = [out.name or "" for out in node.outputs if out.name]
    try:
        made = executor.run([node], inputs, outputs)
    except (BuildError, RunError):
        return None
    references = {
        name: recorded.store.get(recorded.pairs[name]) for name in made if name in recorded.pairs
    }
    agree = Judge(node_tolerance_for, measuring=False)(references, made)
    return extra[-1] if references and all(output.ok for output in agree) else None


def _differences(node: onnx_ir.Node, partner: onnx_ir.Node) -> list[str]:
    if node.op_identifier() != partner.op_identifier():
        return [f"operator: {node.op_type}, the reference has {partner.op_type}"]
    found = []
    for name in sorted({*node.attributes, *partner.attributes}):
        own, other = (_attribute(item, name) for item in (node, partner))
        if own != other:
            found.append(f"attribute {name}: {own}, the reference has {other}")
    for index, (own_input, other_input) in enumerate(
        zip(node.inputs, partner.inputs, strict=False)
    ):
        if own_input is None or other_input is None or not own_input.is_initializer():
            continue
        if other_input.is_initializer() and not equal_constants(own_input, other_input):
            text = _constant_difference(own_input, other_input)
            found.append(f"input {index} ({own_input.name}): {text}")
    return found


def _attribute(node: onnx_ir.Node, name: str) -> str:
    attribute = node.attributes.get(name)
    return "nothing" if attribute is None else str(attribute.value)


def _constant_difference(own: onnx_ir.Value, other: onnx_ir.Value) -> str:
    assert own.const_value is not None
    assert other.const_value is not None
    first, second = own.const_value.numpy(), other.const_value.numpy()
    shapes = f"{first.dtype.name}{list(first.shape)} and {second.dtype.name}{list(second.shape)}"
    turned = second.swapaxes(-1, -2) if second.ndim >= 2 else second
    if second.ndim >= 2 and first.shape == turned.shape and np.array_equal(first, turned):
        return f"the reference's constant, transposed ({shapes})"
    if first.shape != second.shape or first.dtype.kind not in "fiu" or not first.size:
        return f"another constant ({shapes})"
    if first.size <= 8:
        return f"{first.tolist()}, the reference has {second.tolist()}"
    apart = np.abs(first.astype(np.float64) - second.astype(np.float64)).max()
    return f"another constant ({shapes}), at most {apart:.3g} apart"


def save_culprit(
    culprit: Culprit,
    divergence: Divergence,
    executor: PartialExecutor,
    recorded: Recorded,
    folder: Path,
) -> Culprit:
    """Writes a minimal model of the culprit, its inputs, and the reference's outputs.

    Args:
        culprit: The culprit.
        divergence: The divergence of the candidate.
        executor: The candidate.
        recorded: The reference.
        folder: Where to write ``candidate.onnx``, ``case.npz``, and ``reference.onnx`` where the
            reference has a graph.

    Returns:
        The culprit, with the folder and the command that shows the difference again.

    Raises:
        UsageError: The files cannot be written.
    """
    assert divergence.expected is not None
    region = [node for node in executor.ir.graph if node.name in set(divergence.region)]
    inputs = divergence.inputs
    case = write_case(folder / "case.npz", inputs, {culprit.tensor: divergence.expected})
    candidate = submodel(executor.ir, region, [culprit.tensor])
    declare_inputs(candidate, inputs)
    path = Model(candidate).save(folder / "candidate.onnx")
    _save_partner(culprit, recorded, folder)
    words = ["modelport", "compare", str(path), "--cases", str(case)]
    words += ["--target", str(executor.target), "--rtol", _plain(culprit.error.tolerance)]
    return dataclasses.replace(culprit, folder=str(folder), rerun=shlex.join(words))


def _plain(tolerance: Tolerance) -> str:
    return f"{tolerance.overall:g}"


def _save_partner(culprit: Culprit, recorded: Recorded, folder: Path) -> None:
    partner = _maker(recorded, culprit.tensor)
    if recorded.executor is None or partner is None:
        return
    known = {
        *recorded.tensors.values(),
        *(item.name or "" for item in recorded.executor.ir.graph.inputs),
    }
    nodes, taken = closure([partner], known)
    order = {node: index for index, node in enumerate(recorded.executor.ir.graph)}
    ordered = sorted(nodes, key=order.__getitem__)
    if all(name in recorded.store for name in taken):
        model = submodel(recorded.executor.ir, ordered, [recorded.tensors[culprit.tensor]])
        declare_inputs(model, {name: recorded.store.get(name) for name in taken})
        Model(model).save(folder / "reference.onnx")
