"""Scene of a drawn graph: boxes in groups, and lines between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelport.graph.format import attribute_text, operator_text, shown, type_text
from modelport.graph.lookup import module_path
from modelport.ir.subgraphs import subgraphs

if TYPE_CHECKING:
    import onnx_ir

Path = tuple[str, ...]


@dataclass(frozen=True)
class Box:
    """A node, an input or an output of the graph.

    Attributes:
        path: The groups that it is in, the outermost first.
        kind: ``node``, ``input`` or ``output``.
        title: The operator, or the tensor's name.
        lines: Text below the title: attributes and weights.
        node: The node.
        value: The input or output.
    """

    path: Path
    kind: str
    title: str
    lines: tuple[str, ...] = ()
    node: onnx_ir.Node | None = None
    value: onnx_ir.Value | None = None


@dataclass
class Scene:
    """All boxes and lines of a graph.

    Attributes:
        boxes: The boxes, in topological order; lines refer to them by their place.
        lines: From box, to box, and what flows there.
    """

    boxes: list[Box] = field(default_factory=list)
    lines: list[tuple[int, int, str]] = field(default_factory=list)

    @property
    def depth(self) -> int:
        """Depth of nested groups."""
        return max((len(box.path) for box in self.boxes), default=0)


def scene_of(model: onnx_ir.Model) -> Scene:
    """The scene of a model.

    Groups are the PyTorch modules that the exporter recorded; a node with graphs inside is a
    group of its own, with one group for each graph.
    """
    scene = Scene()
    makers: dict[onnx_ir.Value, int] = {}
    for value in model.graph.inputs:
        if not value.is_initializer():
            makers[value] = len(scene.boxes)
            lines = (type_text(value),)
            scene.boxes.append(Box((), "input", shown(value.name), lines, value=value))
    for node, path in _with_paths(model.graph, ()):
        index = len(scene.boxes)
        box = Box(path, "node", operator_text(node), tuple(_lines(node)), node=node)
        scene.boxes.append(box)
        makers |= dict.fromkeys(node.outputs, index)
        read = [value for value in node.inputs if value is not None]
        read += [value for graph in subgraphs(node) for value in graph.outputs]
        scene.lines += [(makers[value], index, _flow(value)) for value in read if value in makers]
    for value in model.graph.outputs:
        if value in makers:
            scene.lines.append((makers[value], len(scene.boxes), _flow(value)))
        lines = (type_text(value),)
        scene.boxes.append(Box((), "output", shown(value.name), lines, value=value))
    return scene


def _with_paths(graph: onnx_ir.Graph, outer: Path) -> Iterator[tuple[onnx_ir.Node, Path]]:
    """Nodes with their groups; those inside of a node come before it."""
    for node in graph:
        modules = tuple(filter(None, module_path(node).split("."))) if not outer else ()
        path = outer + modules
        inner = list(subgraphs(node))
        if inner:
            path += (f"{node.op_type} {node.name or node.outputs[0].name}",)
        names = [
            a.name for a in node.attributes.values() if not a.is_ref() and "GRAPH" in a.type.name
        ]
        for index, sub in enumerate(inner):
            label = names[index] if len(names) == len(inner) else f"graph {index}"
            yield from _with_paths(sub, (*path, label))
        yield node, path


def _lines(node: onnx_ir.Node) -> Iterator[str]:
    for attribute in node.attributes.values():
        yield f"{shown(attribute.name)} = {attribute_text(attribute)}"
    for value in node.inputs:
        if value is not None and value.is_initializer():
            yield f"{shown(value.name)}: {_weight_type(value)}"


def _weight_type(value: onnx_ir.Value) -> str:
    tensor = value.const_value
    if value.type is None and tensor is not None:
        return f"{tensor.dtype.name.lower()}[{', '.join(map(str, tensor.shape))}]"
    return type_text(value)


def _flow(value: onnx_ir.Value) -> str:
    return f"{shown(value.name)}: {type_text(value)}"
