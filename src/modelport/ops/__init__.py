"""Operators: one declaration, one kernel source, every runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelport.ops.declaration import Operator, operator
from modelport.ops.shapes import DATA_DEPENDENT, TensorInfo

if TYPE_CHECKING:
    from modelport.ops.binding import bind_operator

__all__ = ["DATA_DEPENDENT", "Operator", "TensorInfo", "bind_operator", "operator"]


def __getattr__(name: str) -> Any:
    # It needs torch, which looking operators up does not.
    if name == "bind_operator":
        from modelport.ops.binding import bind_operator

        return bind_operator
    raise AttributeError(f"module 'modelport.ops' has no attribute {name!r}")
