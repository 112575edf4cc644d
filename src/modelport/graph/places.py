"""Where in the user's source a node comes from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from modelport.places import innermost

if TYPE_CHECKING:
    import onnx_ir

STACK_TRACE_KEY = "pkg.torch.onnx.stack_trace"
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def source_place(node: onnx_ir.Node) -> str:
    """``file:line`` of the user's code that made a node, where the exporter recorded it.

    Args:
        node: A node of a captured graph.

    Returns:
        The innermost frame outside of installed packages; else the node's name.
    """
    frames = _FRAME.findall(node.metadata_props.get(STACK_TRACE_KEY, ""))
    place = innermost((file, int(line)) for file, line in frames)
    return place or node.name or node.op_type
