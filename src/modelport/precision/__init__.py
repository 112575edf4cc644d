"""Precision: fp16, bf16, int8 and fp8 as rewrites of the graph, the same for every backend."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.precision.calibration import calibrate
    from modelport.precision.calibration_table import CalibrationTable
    from modelport.precision.conversion import EIGHT_BITS, convert, is_quantized
    from modelport.precision.fp32_fallback import widen
    from modelport.precision.qdq import FORMS, form_for
    from modelport.precision.quantization import quantize
    from modelport.precision.quantization_result import Point, Quantization
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "calibration": ("calibrate",),
            "conversion": ("EIGHT_BITS", "convert", "is_quantized"),
            "qdq": ("FORMS", "form_for"),
            "quantization": ("quantize",),
            "quantization_result": ("Point", "Quantization"),
            "calibration_table": ("CalibrationTable",),
            "fp32_fallback": ("widen",),
        },
    )

__all__ = [
    "EIGHT_BITS",
    "FORMS",
    "CalibrationTable",
    "Point",
    "Quantization",
    "calibrate",
    "convert",
    "form_for",
    "is_quantized",
    "quantize",
    "widen",
]
