"""Look at a graph, cut it, build it and change it."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.graph.builder import Builder, build
    from modelport.graph.checker import CheckResult, check
    from modelport.graph.differences import Change, Difference, diff
    from modelport.graph.drawing import draw
    from modelport.graph.editing import (
        convert_opset,
        delete_node,
        insert_node,
        rename,
        replace_initializer,
        replace_node,
        reshape_targets,
        set_dims,
    )
    from modelport.graph.extraction import expose, extract
    from modelport.graph.format import model_text, node_text
    from modelport.graph.inspection import Inspection, inspect
    from modelport.graph.lint_report import lint
    from modelport.graph.modules import extract_module
    from modelport.graph.netron import view
    from modelport.graph.partition_plan import partition
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "builder": ("Builder", "build"),
            "checker": ("CheckResult", "check"),
            "extraction": ("expose", "extract"),
            "differences": ("Change", "Difference", "diff"),
            "drawing": ("draw",),
            "editing": (
                "convert_opset",
                "delete_node",
                "insert_node",
                "rename",
                "replace_initializer",
                "replace_node",
                "reshape_targets",
                "set_dims",
            ),
            "inspection": ("Inspection", "inspect"),
            "lint_report": ("lint",),
            "modules": ("extract_module",),
            "partition_plan": ("partition",),
            "format": ("model_text", "node_text"),
            "netron": ("view",),
        },
    )

__all__ = [
    "Builder",
    "Change",
    "CheckResult",
    "Difference",
    "Inspection",
    "build",
    "check",
    "convert_opset",
    "delete_node",
    "diff",
    "draw",
    "expose",
    "extract",
    "extract_module",
    "insert_node",
    "inspect",
    "lint",
    "model_text",
    "node_text",
    "partition",
    "rename",
    "replace_initializer",
    "replace_node",
    "reshape_targets",
    "set_dims",
    "view",
]
