"""Other names for tensors and nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from modelport.errors import UsageError
from modelport.graph.copies import AnyModel, changed
from modelport.graph.lookup import Tensors, find_node

if TYPE_CHECKING:
    import onnx_ir


def rename(model: AnyModel, names: Mapping[str, str]) -> AnyModel:
    """Gives tensors and nodes other names.

    Args:
        model: The model; it stays as it is.
        names: New names by old ones, of tensors or else of nodes. Names may be swapped.

    Raises:
        UsageError: A name is unknown, or a new name is in use.
    """

    def apply(ir: onnx_ir.Model) -> None:
        known = Tensors(ir.graph)
        tensors = {old: known[old] for old in names if old in known}
        nodes = {old: find_node(ir.graph, old) for old in names if old not in known}
        left = set(known) - set(tensors)
        for old in tensors:
            if not names[old] or names[old] in left:
                raise UsageError(
                    f"{old!r} cannot be renamed: the name {names[old]!r} is in use or empty",
                    fix="choose another one",
                )
            left.add(names[old])
        for number, value in enumerate(tensors.values()):
            value.name = f"{number}\0"
        for old, value in tensors.items():
            value.name = names[old]
        for old, node in nodes.items():
            node.name = names[old]

    return changed(model, apply)
