"""PyTorch module of a node, as the exporters record it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir

_SCOPES = "pkg.torch.onnx.name_scopes"
_CLASSES = "pkg.torch.onnx.class_hierarchy"


@dataclass(frozen=True)
class Origin:
    """PyTorch module and source line of a node.

    Attributes:
        path: The module's path, as in ``named_modules``; empty for the model itself.
        kind: The module's class, where it is recorded.
        operator: The ATen operator, where it is recorded.
    """

    path: str
    kind: str = ""
    operator: str = ""


def module_of(node: onnx_ir.Node) -> Origin | None:
    """The module whose ``forward`` made a node; None where nothing is recorded.

    torch.export's exporter writes it into the node's metadata, TorchScript's into its name:
    ``/blocks/blocks.0/attention/MatMul`` comes from ``blocks.0.attention``.
    """
    scopes = _listed(node, _SCOPES)
    if scopes:
        kinds = _listed(node, _CLASSES)
        # The last entry is the operator, the one before it the module.
        path = scopes[-2] if len(scopes) > 1 else ""
        kind = kinds[-2] if len(kinds) > 1 else ""
        return Origin(path, kind, kinds[-1] if kinds else "")
    if (node.name or "").startswith("/"):
        return Origin(_path_in_name(node.name or ""))
    return None


def _listed(node: onnx_ir.Node, key: str) -> list[str]:
    try:
        value = ast.literal_eval(node.metadata_props.get(key, "[]"))
    except (SyntaxError, ValueError):
        return []
    return [str(item) for item in value] if isinstance(value, list) else []


def _path_in_name(name: str) -> str:
    path: list[str] = []
    for part in name.strip("/").split("/")[:-1]:
        # A member of a container repeats the container's name: blocks, blocks.0.
        if path and part.startswith(f"{path[-1].rpartition('.')[2]}."):
            path[-1] += part[len(path[-1].rpartition(".")[2]) :]
        else:
            path.append(part)
    return ".".join(path)


def is_within(path: str, module: str) -> bool:
    """Return True if a module's path is another one's, or below it."""
    return not module or path == module or path.startswith(f"{module}.")
