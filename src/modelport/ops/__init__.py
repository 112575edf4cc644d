"""Operators: one declaration, one kernel source, every runtime."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.ops.bound_operator import bind_operator
    from modelport.ops.declaration import Operator
    from modelport.ops.decorator import operator
    from modelport.ops.shapes import DATA_DEPENDENT, TensorInfo
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "bound_operator": ("bind_operator",),
            "declaration": ("Operator",),
            "decorator": ("operator",),
            "shapes": ("DATA_DEPENDENT", "TensorInfo"),
        },
    )

__all__ = ["DATA_DEPENDENT", "Operator", "TensorInfo", "bind_operator", "operator"]
