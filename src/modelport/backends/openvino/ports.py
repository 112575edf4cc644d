"""Inputs and outputs of a compiled model, matched with those of the graph by their order.

OpenVINO's reader renames tensors: an input that meets a Dropout first, or a Sum of one, has the
name of that node's output afterwards, and two outputs that hold the same tensor share one name.
Their order stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.errors import BuildError

if TYPE_CHECKING:
    import onnx_ir
    import openvino


def port_indices(
    kind: str, names: Sequence[str], ports: Sequence[openvino.ConstOutput]
) -> dict[str, int]:
    """The index of each input or output.

    Args:
        kind: ``input`` or ``output``, for errors.
        names: Names of the graph, in its order.
        ports: Ports of the compiled model.

    Raises:
        BuildError: The ports are not those of the graph.
    """
    indices = {name: index for index, name in enumerate(names)}
    moved = [
        name
        for index, port in enumerate(ports)
        for name in port.get_names()
        if kind == "input" and indices.get(name, index) != index
    ]
    if len(names) != len(ports) or moved:
        found = ", ".join("/".join(sorted(port.get_names())) for port in ports) or "none"
        raise BuildError(
            f"OpenVINO reads other {kind}s than the graph has",
            where=f"graph: {', '.join(names) or 'none'}; OpenVINO: {found}",
            why="values could reach another tensor than the one they are meant for",
            fix="`modelport graph simplify MODEL.onnx -o SMALL.onnx` removes what the graph does "
            "not use; or deploy for onnxruntime",
        )
    return indices


def read_inputs(path: Path) -> list[str]:
    """Names of the inputs of an ONNX file that have an effect, or are outputs too.

    OpenVINO has no others.
    """
    from modelport.model import Model

    model = Model.load(path)
    needed = {value.name for value in model.ir.graph.inputs if _is_needed(value)}
    return [spec.name for spec in model.signature.inputs if spec.name in needed]


def _is_needed(value: onnx_ir.Value) -> bool:
    return value.is_graph_output() or any(_has_effect(use.node, use.idx) for use in value.uses())


def _has_effect(node: onnx_ir.Node, index: int) -> bool:
    """Whether a node computes with its input of an index, as it is run outside of training."""
    if node.op_type == "Dropout":
        return index == 0
    if node.op_type == "Resize" and index == 1 and len(node.inputs) > 2:
        mode = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
        return mode == "tf_crop_and_resize"
    return True
