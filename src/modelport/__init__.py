"""modelport: PyTorch models to ONNX Runtime and beyond, verified at every step.

The public names are loaded on first use: importing this package imports neither torch nor a
backend.
"""

from __future__ import annotations

import os
import typing

from modelport import lazy

__version__ = "0.1.0"

# ONNX Runtime reads it when it is imported; later is too late for its first report.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if typing.TYPE_CHECKING:
    from modelport.backends import Engine, doctor
    from modelport.bundle import Bundle, load, self_test, verify
    from modelport.capture import (
        describe_aten,
        is_exporting,
        mark,
        operator_support,
        register_symbolic,
        rewrite,
        rewrite_module,
    )
    from modelport.debug import Bisection, Comparison, Reduction, bisect, compare, shrink
    from modelport.deployment import (
        Compilation,
        Deployment,
        compile,
        deploy,
        diagnose,
        export,
    )
    from modelport.errors import (
        BuildError,
        BundleError,
        ExportError,
        ModelportError,
        OperatorError,
        PassError,
        ProofError,
        RunError,
        UsageError,
    )
    from modelport.findings import Finding, Severity
    from modelport.graph import check
    from modelport.model import Model
    from modelport.ops import DATA_DEPENDENT, Operator, TensorInfo, bind_operator, operator
    from modelport.passes import Simplification, simplify
    from modelport.precision import CalibrationTable, Quantization, calibrate, quantize
    from modelport.recipe import Recipe
    from modelport.signature import Dim
    from modelport.target import Target
    from modelport.tuning import Bench, Tuning, bench, tune
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "backends": ("Engine", "doctor"),
            "bundle": ("Bundle", "load", "self_test", "verify"),
            "capture": (
                "describe_aten",
                "is_exporting",
                "mark",
                "operator_support",
                "register_symbolic",
                "rewrite",
                "rewrite_module",
            ),
            "debug": ("Bisection", "Comparison", "Reduction", "bisect", "compare", "shrink"),
            "deployment": (
                "Compilation",
                "Deployment",
                "compile",
                "deploy",
                "diagnose",
                "export",
            ),
            "errors": (
                "BuildError",
                "BundleError",
                "ExportError",
                "ModelportError",
                "OperatorError",
                "PassError",
                "ProofError",
                "RunError",
                "UsageError",
            ),
            "findings": ("Finding", "Severity"),
            "graph": ("check",),
            "model": ("Model",),
            "ops": ("DATA_DEPENDENT", "Operator", "TensorInfo", "bind_operator", "operator"),
            "passes": ("Simplification", "simplify"),
            "precision": ("CalibrationTable", "Quantization", "calibrate", "quantize"),
            "recipe": ("Recipe",),
            "signature": ("Dim",),
            "target": ("Target",),
            "tuning": ("Bench", "Tuning", "bench", "tune"),
        },
    )

__all__ = [
    "__version__",
    "Bench",
    "Bisection",
    "DATA_DEPENDENT",
    "BuildError",
    "Bundle",
    "CalibrationTable",
    "BundleError",
    "Comparison",
    "Compilation",
    "Deployment",
    "Dim",
    "Engine",
    "ExportError",
    "Finding",
    "Model",
    "ModelportError",
    "Operator",
    "OperatorError",
    "PassError",
    "ProofError",
    "Quantization",
    "Recipe",
    "Reduction",
    "RunError",
    "Severity",
    "Simplification",
    "Target",
    "TensorInfo",
    "Tuning",
    "UsageError",
    "bench",
    "bind_operator",
    "bisect",
    "calibrate",
    "check",
    "compare",
    "compile",
    "deploy",
    "describe_aten",
    "diagnose",
    "doctor",
    "export",
    "is_exporting",
    "load",
    "mark",
    "operator",
    "operator_support",
    "quantize",
    "register_symbolic",
    "rewrite",
    "rewrite_module",
    "self_test",
    "shrink",
    "simplify",
    "tune",
    "verify",
]
