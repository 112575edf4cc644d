"""Pairs of equal tensors in two graphs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx_ir

_TRANSPARENT = ("Identity", "Cast")
"""Operators whose output pairs with the partner of their input."""
_SHARED_NAMES = 0.5
"""Share of equal operators from which equal names count as pairs."""


def align(reference: onnx_ir.Graph, candidate: onnx_ir.Graph) -> dict[str, str]:
    """Pairs the tensors of two graphs.

    Inputs and outputs go by name, else by index. Inside, tensors of one name are pairs where the
    two graphs share their names at all (most of those that are equal are made by the same
    operator). The other nodes pair with a node of the same operator whose inputs are pairs already,
    at the same indices; the output of an Identity or Cast without a partner gets the partner of
    its input.

    Args:
        reference: A graph, as `normalized` leaves it.
        candidate: Likewise.

    Returns:
        Names of tensors of the reference by those of the candidate. Two tensors of the candidate
        may have one partner. Values of initializers do not matter, nor do attributes: they are
        what may be wrong.
    """
    pairs = _at_the_border(reference.inputs, candidate.inputs)
    shared = _same_names(reference, candidate)
    makers = _Makers(reference)
    for node in candidate:
        named = {out.name: shared[out.name] for out in node.outputs if out.name in shared}
        pairs |= named
        if len(named) == len(node.outputs):
            continue
        partner = makers.partner(node, pairs)
        if partner is not None:
            for own, other in zip(node.outputs, partner.outputs, strict=False):
                if own.name and other.name:
                    pairs.setdefault(own.name, other.name)
        elif node.op_type in _TRANSPARENT and not node.domain and node.inputs[0] is not None:
            source = pairs.get(node.inputs[0].name or "")
            if source is not None and node.outputs[0].name:
                pairs.setdefault(node.outputs[0].name, source)
    # What leaves the model is known to be the same, whatever it is called.
    return pairs | _at_the_border(reference.outputs, candidate.outputs)


def _at_the_border(
    first: Iterable[onnx_ir.Value], second: Iterable[onnx_ir.Value]
) -> dict[str, str]:
    from modelport.numerics import by_name_or_place

    partners = {value.name or "": value.name or "" for value in second}
    return by_name_or_place(partners, {value.name or "": value.name or "" for value in first})


def _same_names(reference: onnx_ir.Graph, candidate: onnx_ir.Graph) -> dict[str, str]:
    kinds = {out.name: node.op_identifier() for node in reference for out in node.outputs}
    common = {
        out.name or "": kinds[out.name] == node.op_identifier()
        for node in candidate
        for out in node.outputs
        if out.name and out.name in kinds
    }
    if common and sum(common.values()) >= _SHARED_NAMES * len(common):
        return {name: name for name in common}
    return {}


class _Makers:
    """Finds the node of the reference that is the partner of a node of the candidate."""

    def __init__(self, reference: onnx_ir.Graph) -> None:
        self._users: dict[str, list[onnx_ir.Node]] = defaultdict(list)
        self._rootless: list[onnx_ir.Node] = []
        for node in reference:
            names = [value.name for value in node.inputs if value is not None]
            for name in dict.fromkeys(names):
                self._users[name or ""].append(node)
            if not names:
                self._rootless.append(node)

    def partner(self, node: onnx_ir.Node, pairs: dict[str, str]) -> onnx_ir.Node | None:
        """The node of the same operator and inputs; of several the most similar one."""
        partners = [_partner_of(value, pairs) for value in node.inputs]
        if any(name == "" for name in partners):
            return None
        known = [name for name in partners if name]
        pool = self._users[known[0]] if known else self._rootless
        fitting = [other for other in pool if _fits(node, partners, other)]
        return max(fitting, key=lambda other: _similarity(node, other), default=None)


def _partner_of(value: onnx_ir.Value | None, pairs: dict[str, str]) -> str | None:
    """None for a constant or nothing at all; empty for a tensor without a partner."""
    if value is None or value.is_initializer():
        return None
    return pairs.get(value.name or "", "")


def _fits(node: onnx_ir.Node, partners: list[str | None], other: onnx_ir.Node) -> bool:
    if node.op_identifier() != other.op_identifier() or len(node.inputs) != len(other.inputs):
        return False
    return all(
        value is not None and value.name == name
        if name is not None
        else value is None or value.is_initializer()
        for name, value in zip(partners, other.inputs, strict=True)
    )


def _similarity(node: onnx_ir.Node, other: onnx_ir.Node) -> int:
    names = [value.name for value in node.inputs if value is not None and value.is_initializer()]
    others = [value.name for value in other.inputs if value is not None and value.is_initializer()]
    same = sum(name == partner for name, partner in zip(names, others, strict=False))
    if not same and names:
        same = sum(
            equal_constants(first, second)
            for first, second in zip(node.inputs, other.inputs, strict=True)
        )
    same_attributes = {key: str(item.value) for key, item in node.attributes.items()} == {
        key: str(item.value) for key, item in other.attributes.items()
    }
    return 4 * same + 2 * (node.name == other.name) + same_attributes


def equal_constants(first: onnx_ir.Value | None, second: onnx_ir.Value | None) -> bool:
    """Return True if both are constants of the same values."""
    one = None if first is None else first.const_value
    two = None if second is None else second.const_value
    if one is None or two is None:
        return False
    if one is two:
        return True
    if tuple(one.shape) != tuple(two.shape) or one.dtype != two.dtype:
        return False
    return bool(np.array_equal(one.numpy(), two.numpy()))
