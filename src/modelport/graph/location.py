"""Source location of a node in the user's code."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from modelport.source_location import innermost, is_users

if TYPE_CHECKING:
    import onnx_ir

STACK_TRACE_KEY = "pkg.torch.onnx.stack_trace"
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_TRACER = "/torch/jit/_trace.py("
"""Outside of this frame is no longer the model."""
_DOCUMENTED = re.compile(r'^(?: *File "(.+?)", line (\d+)|(/.+?)\((\d+)\): )', re.M)


def source_place(node: onnx_ir.Node) -> str:
    """``file:line`` of the user's code that made a node, where the exporter recorded it.

    Args:
        node: A node of a captured graph.

    Returns:
        The innermost frame outside of installed packages; else the node's name.
    """
    frames = _FRAME.findall(node.metadata_props.get(STACK_TRACE_KEY, ""))
    location = innermost((file, int(line)) for file, line in frames)
    return location or node.name or node.op_type


def keep_documented_places(ir: onnx_ir.Model) -> None:
    """Moves stack traces from doc strings, where TorchScript's exporter writes them.

    They go where those of dynamo are, so that `source_place` finds both; of each, the frames of
    the user's code.

    Args:
        ir: A captured graph, changed in place.
    """
    for node in ir.graph.all_nodes():
        found = _DOCUMENTED.findall((node.doc_string or "").partition(_TRACER)[0])
        frames = [(file or other, line or number) for file, line, other, number in found]
        lines = [f'File "{file}", line {line}' for file, line in frames if is_users(file)]
        if lines:
            # TorchScript has the innermost first.
            node.metadata_props[STACK_TRACE_KEY] = "\n".join(reversed(lines))
        node.doc_string = None
