"""Operators: one declaration, one kernel source, every runtime."""

from modelport.ops.binding import bind_operator
from modelport.ops.declaration import Operator, operator
from modelport.ops.shapes import DATA_DEPENDENT, TensorInfo

__all__ = ["DATA_DEPENDENT", "Operator", "TensorInfo", "bind_operator", "operator"]
