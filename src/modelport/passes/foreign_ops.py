"""Adoption: nodes of other toolboxes become operators of the library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from modelport.errors import PassError
from modelport.findings import Finding, Severity
from modelport.ir.constants import tensor_of
from modelport.model import Model
from modelport.ops import registry
from modelport.ops.library import DOMAIN, load
from modelport.passes.base import Rewrite

PLUGIN = "Plugin"
"""The one operator type of tensorRT_Pro, whose attribute ``name`` says what it is."""

UNKNOWN_PLUGIN = "unknown-plugin"
"""The finding's rule where the library has no operator for a plugin."""

_INTERPOLATIONS = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


@dataclass(frozen=True)
class Adopted:
    """What a foreign node becomes.

    Attributes:
        name: The operator of the library.
        inputs: The foreign node's inputs, by place, in the operator's order; None for none.
        attributes: The operator's attributes from the foreign node's.
        constants: Attributes of the operator that the foreign node has as constant inputs: the
            place of each.
    """

    name: str
    inputs: tuple[int | None, ...]
    attributes: Callable[[Mapping[str, Any]], dict[str, Any]] = field(
        default_factory=lambda: lambda given: {}
    )
    constants: Mapping[str, int] = field(default_factory=dict)


class AdoptOperators(Rewrite):
    """Foreign nodes become nodes of the library's operators, by their names.

    What is known: tensorRT_Pro's ``Plugin`` nodes (HSwish, HSigmoid), MMDeploy's and mmcv's
    (grid_sampler, MMCVDeformConv2d, MMCVModulatedDeformConv2d, MMCVRoiAlign), and ONNX Runtime's
    example Foo; in graphs from elsewhere DynamicTRTResize, KNNQuery and torch_cluster_grid. Other
    nodes, and those whose operator is declared, stay as they are.

    Args:
        from_elsewhere: Whether the graph was exported by others. What a model exports here under
            such a name keeps it.

    Attributes:
        adopted: The foreign operators met, with those that they became.
    """

    def __init__(self, *, from_elsewhere: bool = False) -> None:
        super().__init__()
        self._nodes = {**_NODES, **_FROM_ELSEWHERE} if from_elsewhere else _NODES
        self.adopted: dict[str, str] = {}

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Adopts the foreign nodes.

        Raises:
            PassError: A node has attributes that the operator does not offer.
        """
        for node in list(model.graph.all_nodes()):
            entry = _entry_for(node, self._nodes)
            if entry is None:
                continue
            foreign = _foreign_name(node)
            self.adopted[foreign] = f"{DOMAIN}::{entry.name}"
            self.decided(node, f"{DOMAIN}::{entry.name} in its place")
            _replace(node, entry, foreign)
        if self.adopted:
            model.opset_imports[DOMAIN] = 1
        return ir.passes.PassResult(model, bool(self.adopted))


def adopt(model: Model, *, from_elsewhere: bool = False) -> list[Finding]:
    """Makes the foreign nodes of a model, where they are known, the library's own.

    Args:
        model: The model; changed in place.
        from_elsewhere: Whether the graph was exported by others.

    Returns:
        A note for each foreign operator that was adopted, and a warning for each plugin that the
        library does not have.

    Raises:
        PassError: A node has attributes that the operator does not offer.
    """
    adoption = AdoptOperators(from_elsewhere=from_elsewhere)
    adoption(model.ir)
    if any(domain == DOMAIN for domain, _ in model.operators()):
        load()
    adopted = [
        Finding("adopted-operator", Severity.NOTE, f"{foreign} becomes {own}")
        for foreign, own in adoption.adopted.items()
    ]
    unknown = {_foreign_name(node) for node in model.ir.graph.all_nodes() if node.op_type == PLUGIN}
    return adopted + list(map(_unknown_plugin, sorted(unknown)))


def is_adoptable(domain: str, name: str) -> bool:
    """Whether nodes of this type are adopted; of plugins, those that the library has."""
    if registry.find(f"{domain}::{name}") is not None:
        return False  # somebody's own, with a computation of its own
    return name == PLUGIN or (domain, name) in _NODES


def _unknown_plugin(foreign: str) -> Finding:
    return Finding(
        UNKNOWN_PLUGIN,
        Severity.WARNING,
        f"{foreign} is not in the library of operators, which has {', '.join(sorted(_PLUGINS))}",
        fix="declare the operator (`modelport ops new DOMAIN::NAME`) and let its symbolic emit "
        "that node",
    )


def _entry_for(node: ir.Node, known: Mapping[tuple[str, str], Adopted]) -> Adopted | None:
    if node.op_type == PLUGIN:
        return _PLUGINS.get(str(_plain(node).get("name")))
    entry = known.get((node.domain, node.op_type))
    # What is declared under the same name is the user's own.
    declared = entry and registry.find(f"{node.domain}::{node.op_type}")
    return None if declared else entry


def _replace(node: ir.Node, entry: Adopted, foreign: str) -> None:
    inputs = [
        node.inputs[place] if place is not None and place < len(node.inputs) else None
        for place in entry.inputs
    ]
    while inputs and inputs[-1] is None:
        inputs.pop()
    try:
        attributes = entry.attributes(_plain(node))
        attributes |= {name: _constant(node, place) for name, place in entry.constants.items()}
    except (KeyError, ValueError, IndexError) as error:
        raise PassError(
            f"the node's attributes are not those of {foreign}",
            where=f"node {node.name!r}",
            why=f"{type(error).__name__}: {error}",
            fix="edit its attributes: `modelport graph edit MODEL.onnx -o NEW.onnx --replace NODE`",
        ) from error
    adopted = ir.node(
        entry.name,
        inputs,
        attributes,
        domain=DOMAIN,
        num_outputs=len(node.outputs),
        name=node.name,
        metadata_props=dict(node.metadata_props),
    )
    owner = node.graph
    assert owner is not None
    ir.convenience.replace_nodes_and_values(
        owner, node, [node], [adopted], node.outputs, adopted.outputs
    )


def _constant(node: ir.Node, place: int) -> Any:
    tensor = tensor_of(node.inputs[place], default=True)
    if tensor is None:
        raise ValueError(f"input {place} is no constant")
    return tensor.numpy().item()


def _plain(node: ir.Node) -> dict[str, Any]:
    return {name: attribute.value for name, attribute in node.attributes.items()}


def _foreign_name(node: ir.Node) -> str:
    if node.op_type == PLUGIN:
        return f"{PLUGIN} {_plain(node).get('name')}"
    return f"{node.domain}::{node.op_type}"


def _pair(value: Any) -> list[int]:
    numbers = [int(item) for item in value] if isinstance(value, list | tuple) else [int(value)]
    return numbers * 2 if len(numbers) == 1 else numbers


def _padding(value: Any) -> list[int]:
    numbers = _pair(value)
    # mmcv writes (height, height, width, width).
    return [numbers[0], numbers[2]] if len(numbers) == 4 else numbers


def _convolution(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "stride": _pair(given.get("stride", 1)),
        "padding": _padding(given.get("padding", 0)),
        "dilation": _pair(given.get("dilation", 1)),
        "groups": int(given.get("groups", given.get("group", 1))),
        "offset_groups": int(given.get("deform_groups", given.get("deformable_group", 1))),
    }


def _grid_sampler(given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "mode": _INTERPOLATIONS[int(given["interpolation_mode"])],
        "padding_mode": _PADDINGS[int(given["padding_mode"])],
        "align_corners": int(given["align_corners"]),
    }


def _roi_align(given: Mapping[str, Any]) -> dict[str, Any]:
    mode = given.get("mode", "avg")
    if mode not in ("avg", b"avg"):
        raise ValueError(f"mode {mode!r}: the library's operator averages")
    return {
        "spatial_scale": float(given["spatial_scale"]),
        "pooled_height": int(given["output_height"]),
        "pooled_width": int(given["output_width"]),
        "sampling_ratio": int(given.get("sampling_ratio", 0)),
        "aligned": int(given.get("aligned", 1)),
    }


def _resize(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"align_corners": int(given.get("align_corners", 0))}


def _neighbours(given: Mapping[str, Any]) -> dict[str, Any]:
    return {"nsample": int(given["nsample"])}


_PLUGINS = {
    # Weights and parameters travel along with these two, and are not used.
    "HSwish": Adopted("hswish", (0,)),
    "HSigmoid": Adopted("hsigmoid", (0,)),
}
_NODES: dict[tuple[str, str], Adopted] = {
    ("test.customop", "Foo"): Adopted("foo", (0, 1)),
    ("mmdeploy", "grid_sampler"): Adopted("grid_sample", (0, 1), _grid_sampler),
    ("mmdeploy", "MMCVDeformConv2d"): Adopted("deform_conv2d", (0, 2, 1), _convolution),
    ("mmdeploy", "MMCVModulatedDeformConv2d"): Adopted(
        "deform_conv2d", (0, 3, 1, 2, 4), _convolution
    ),
    ("mmcv", "MMCVRoiAlign"): Adopted("roi_align", (0, 1), _roi_align),
}
# Of tutorials, whose domains may be anybody's.
_FROM_ELSEWHERE: dict[tuple[str, str], Adopted] = {
    ("Just_A_Scope_Name", "DynamicTRTResize"): Adopted("dynamic_resize", (0, 1), _resize),
    ("custom", "KNNQuery"): Adopted("knn_query", (0, 1, 2, 3), _neighbours),
    ("custom", "knnquery"): Adopted("knn_query", (1, 2, 3, 4), constants={"nsample": 0}),
    ("custom", "torch_cluster_grid"): Adopted("grid", (0, 1, 2, 3)),
}
