"""Look at a graph, cut it, build it and change it."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.graph.building import Builder, build
    from modelport.graph.checker import CheckResult, check
    from modelport.graph.cutting import expose, extract
    from modelport.graph.difference import Change, Difference, diff
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
    from modelport.graph.inspection import Inspection, inspect
    from modelport.graph.linting import lint
    from modelport.graph.modules import extract_module
    from modelport.graph.partitioning import partition
    from modelport.graph.texts import model_text, node_text
    from modelport.graph.viewing import view
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "building": ("Builder", "build"),
            "checker": ("CheckResult", "check"),
            "cutting": ("expose", "extract"),
            "difference": ("Change", "Difference", "diff"),
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
            "linting": ("lint",),
            "modules": ("extract_module",),
            "partitioning": ("partition",),
            "texts": ("model_text", "node_text"),
            "viewing": ("view",),
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
