"""PyTorch models to ONNX graphs."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.capture.export_flag import is_exporting
    from modelport.capture.inputs import BoundInputs, bind_inputs
    from modelport.capture.marks import mark
    from modelport.capture.reference_function import torch_reference
    from modelport.capture.rewriters import rewrite, rewrite_module
    from modelport.capture.support import describe_aten, operator_support
    from modelport.capture.symbolic import register_symbolic
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "inputs": ("BoundInputs", "bind_inputs"),
            "marks": ("mark",),
            "reference_function": ("torch_reference",),
            "rewriters": ("rewrite", "rewrite_module"),
            "export_flag": ("is_exporting",),
            "support": ("describe_aten", "operator_support"),
            "symbolic": ("register_symbolic",),
        },
    )

__all__ = [
    "BoundInputs",
    "bind_inputs",
    "describe_aten",
    "is_exporting",
    "mark",
    "operator_support",
    "register_symbolic",
    "rewrite",
    "rewrite_module",
    "torch_reference",
]
