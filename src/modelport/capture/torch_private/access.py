"""Every private part of PyTorch that honouring symbolic functions needs.

`PRIVATE` names each one; `resolve` fetches it, and says which version of PyTorch it was tested
with where it has moved. Only the modules of this package may touch a private name of torch.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import Any

import torch

from modelport.errors import ExportError
from modelport.findings import Finding, Severity

TESTED = ("2.13", "2.14", "2.15")
"""Versions of PyTorch (major.minor) with which the private parts were tested."""

_TORCHSCRIPT = "torch.onnx._internal.torchscript_exporter"

_SHAPES = "torch.fx.experimental.symbolic_shapes"

PRIVATE: Mapping[str, tuple[str, str]] = {
    "function base": ("torch.autograd.function", "_SingleLevelFunction"),
    "function apply": ("torch._C", "_FunctionBase.apply"),
    "transformed call": ("torch.autograd.function", "custom_function_call"),
    "dynamo apply": ("torch._dynamo.variables.misc", "AutogradFunctionVariable.call_apply"),
    "dynamo tracker": ("torch._dynamo.variables.base", "VariableTracker"),
    "graph": ("torch._C", "Graph"),
    "graph value": ("torch._C", "Value"),
    "tensor type": ("torch._C", "TensorType.get"),
    "none type": ("torch._C", "NoneType.get"),
    "list type": ("torch._C", "ListType"),
    "graph serializer": ("torch._C", "Graph._export_onnx"),
    "type promotion": ("torch._C", "_jit_pass_onnx_scalar_type_analysis"),
    "shape inference": ("torch._C", "_jit_pass_onnx_graph_shape_type_inference"),
    "peephole": ("torch._C", "_jit_pass_onnx_peephole"),
    "dead code": ("torch._C", "_jit_pass_dce_allow_deleting_nodes_with_side_effects"),
    "export types": ("torch._C._onnx", "OperatorExportTypes.ONNX"),
    "graph context": (f"{_TORCHSCRIPT}.jit_utils", "GraphContext"),
    "export globals": (f"{_TORCHSCRIPT}._globals", "GLOBALS.export_onnx_opset_version"),
    "registry": (f"{_TORCHSCRIPT}.registration", "registry._registry"),
    "group": (f"{_TORCHSCRIPT}.registration", "_SymbolicFunctionGroup.get"),
    "scalar types": (f"{_TORCHSCRIPT}._type_utils", "JitScalarType.from_dtype"),
    "recorder": ("torch.onnx._internal.exporter._building", "OpRecorder"),
    "tensor version": ("torch", "Tensor._version"),
    "fake tensor": ("torch._subclasses.fake_tensor", "FakeTensor"),
    "fake context": ("torch._library.fake_impl", "FakeImplCtx"),
    "library registry": ("torch._library.simple_registry", "singleton.find"),
    "kernel lookup": ("torch._C", "_dispatch_has_kernel_for_dispatch_key"),
    "custom operators": ("torch._library.custom_ops", "OPDEFS"),
    "script if tracing": ("torch.jit._trace", "script"),
    "scan": ("torch._higher_order_ops.scan", "scan_op"),
    "scoped library": ("torch.library", "_scoped_library"),
    "dispatcher": ("torch._C", "_dispatch_has_kernel"),
    "no modes": ("torch.utils._python_dispatch", "_disable_current_modes"),
    "unbacked symbols": (_SHAPES, "free_unbacked_symbols"),
    "fresh symbols": (_SHAPES, "ShapeEnv.ignore_fresh_unbacked_symbols"),
    "guard log": (_SHAPES, "ShapeEnv._log_guard"),
    "symbolic files": (_SHAPES, "uninteresting_files"),
    "shape options": ("torch.fx.experimental._config", "patch"),
    "tree map": ("torch.utils._pytree", "tree_map"),
    "dispatch mode": ("torch.utils._python_dispatch", "TorchDispatchMode"),
    "graph log": ("torch._C", "_jit_onnx_log"),
    "register": ("torch.onnx", "register_custom_op_symbolic"),
    "symbolic registry": (f"{_TORCHSCRIPT}.registration", "registry"),
    "translations": ("torch.onnx._internal.exporter._registration", "ONNXRegistry"),
    "operator names": ("torch._C", "_dispatch_get_all_op_names"),
    "pytree nodes": ("torch.utils._pytree", "SUPPORTED_NODES"),
    "pytree type": ("torch.utils._pytree", "_get_node_type"),
    "unregister": ("torch.onnx", "unregister_custom_op_symbolic"),
}
"""Every private name in use: what for, and (module, path of attributes)."""


def version() -> str:
    """The major and minor version of the PyTorch at hand, such as ``2.13``."""
    return ".".join(torch.__version__.split(".")[:2])


def check_version() -> Finding | None:
    """A finding where the PyTorch at hand is outside of the tested range."""
    if version() in TESTED:
        return None
    return Finding(
        rule="torch-untested",
        severity=Severity.WARNING,
        message=(
            f"PyTorch {torch.__version__} has not been tested with the bridge for symbolic "
            f"functions, which uses private parts of PyTorch (tested: {', '.join(TESTED)})."
        ),
        fix="compare the exported model with the original, or use a tested version",
    )


@functools.cache
def resolve(purpose: str) -> Any:
    """Fetches a private part of PyTorch.

    Args:
        purpose: A key of `PRIVATE`.

    Returns:
        The object.

    Raises:
        ExportError: The PyTorch at hand does not have it.
    """
    module, path = PRIVATE[purpose]
    try:
        found: Any = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise ExportError(
            f"PyTorch {torch.__version__} has no {module}.{path}",
            where=__name__,
            why="it is a private part of PyTorch, and it has moved",
            fix=f"install a tested version of PyTorch: {', '.join(TESTED)}",
        ) from error
    return found
