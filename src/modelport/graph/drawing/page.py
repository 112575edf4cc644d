"""`draw`: a graph as one self-contained file, SVG or HTML."""

from __future__ import annotations

import functools
import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.errors import UsageError
from modelport.files.replacement import write_text
from modelport.graph.copies import ir_of
from modelport.graph.drawing.layout import lay_out
from modelport.graph.drawing.scene import Box, Scene, scene_of
from modelport.graph.drawing.svg import STYLE, svg_of
from modelport.graph.format import attribute_text, operator_text, shown, type_text
from modelport.graph.location import source_place
from modelport.graph.lookup import module_path
from modelport.graph.tensors import histogram, read_array, statistics
from modelport.ir.shape_inference import infer_shapes

if TYPE_CHECKING:
    import jinja2
    import onnx_ir

    from modelport.model import Model

_DETAILED = 60
"""Up to so many boxes, attributes and weights are written into them."""
_AT_FIRST = 300
"""A page opens at the deepest level with no more boxes than this."""
_LEVELS = 6


def draw(
    model: Model | onnx_ir.Model, path: str | os.PathLike[str], level: int | None = None
) -> Path:
    """Draws a graph.

    Nodes are grouped by the PyTorch modules that the exporter recorded. A page shows one level of
    groups at a time and tells about the node that is clicked: attributes, shapes, and a histogram
    of each weight. An SVG file is the picture alone.

    Args:
        model: The model; missing shapes are inferred in a copy.
        path: Where to write, ``.html`` or ``.svg``.
        level: Groups deeper than this are folded: 0 shows the outermost ones as boxes. By
            default an SVG shows everything, and a page offers all levels.

    Returns:
        The path written.

    Raises:
        UsageError: The suffix is another one, the level is negative, or a weight or the file
            cannot be read or written.
    """
    path = Path(path)
    if path.suffix not in (".html", ".svg"):
        raise UsageError(f"cannot draw as {path.suffix!r}", fix="write NAME.svg or NAME.html")
    if level is not None and level < 0:
        raise UsageError(f"there is no level {level}", fix="0 shows the outermost groups")
    ir = ir_of(model).clone()
    infer_shapes(ir)
    scene = scene_of(ir)
    deepest = min(scene.depth, _LEVELS) if level is None else min(level, scene.depth)
    if path.suffix == ".svg":
        # Deeper than a page offers, since there is no other way to see it.
        text = _picture(scene, scene.depth if level is None else deepest, alone=True)[0]
    else:
        first = 0 if level is None else deepest
        text = _page(ir, scene, range(first, deepest + 1))
    write_text(path, text)
    return path


def _picture(scene: Scene, level: int, *, alone: bool) -> tuple[str, int]:
    shown_boxes = len(
        {box.path[: level + 1] if len(box.path) > level else i for i, box in enumerate(scene.boxes)}
    )
    detailed = shown_boxes <= _DETAILED
    layout = lay_out(scene, level, detailed)
    kinds = [box.kind for box in scene.boxes]
    return svg_of(layout, kinds, alone=alone, labelled=detailed), shown_boxes


@functools.cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("modelport.graph.drawing"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")


def _page(ir: onnx_ir.Model, scene: Scene, levels: range) -> str:
    pictures = {level: _picture(scene, level, alone=False) for level in levels}
    small = [level for level, (_, boxes) in pictures.items() if boxes <= _AT_FIRST]
    weights = {value.name or "": _weight(value) for value in ir.graph.initializers.values()}
    data = {
        "boxes": [_box(box) for box in scene.boxes],
        "groups": _groups(scene),
        "weights": weights,
    }
    return _template().render(
        title=shown(ir.graph.name) or "graph",
        style=STYLE,
        pictures={level: picture for level, (picture, _) in pictures.items()},
        first=max(small, default=min(levels)),
        # Within a script element only "<" could end it.
        data=json.dumps(data).replace("<", "\\u003c"),
    )


def _box(box: Box) -> dict[str, Any]:
    if box.node is None:
        return {"title": f"{box.kind} {box.title}", "facts": [["type", box.lines[0]]]}
    node = box.node
    location = source_place(node)
    facts = [["module", shown(module_path(node))]] if module_path(node) else []
    facts += [["source", shown(location)]] if location not in (node.name, node.op_type) else []
    facts += [[shown(item.name), attribute_text(item)] for item in node.attributes.values()]
    return {
        "title": operator_text(node),
        "name": shown(node.name),
        "facts": facts,
        "inputs": [
            [shown(value.name), type_text(value), value.is_initializer()]
            for value in node.inputs
            if value is not None
        ],
        "outputs": [[shown(value.name), type_text(value)] for value in node.outputs],
    }


def _weight(value: onnx_ir.Value) -> dict[str, Any]:
    if value.const_value is None:
        return {"text": "no data", "bars": []}
    array = read_array(value.name or "", value.const_value)
    found = statistics(array)
    values = ""
    if array.size <= 16:
        values = f"{np.array2string(array, separator=', ', threshold=16)}; "
    return {"text": shown(values + str(found or "no numbers")), "bars": histogram(array)}


def _groups(scene: Scene) -> dict[str, str]:
    counts: dict[str, Counter[str]] = {}
    for box in scene.boxes:
        for depth in range(1, len(box.path) + 1):
            counts.setdefault(".".join(box.path[:depth]), Counter())[box.title] += 1
    return {
        path: ", ".join(f"{count} {name}" for name, count in found.most_common())
        for path, found in counts.items()
    }
