"""TensorRT for RTX: the code is that of `modelport.backends.tensorrt`."""

from modelport.backends.tensorrt.compile import RTX_CAPABILITIES as CAPABILITIES
from modelport.backends.tensorrt.compile import compile
from modelport.backends.tensorrt.engine import load, why_not_run
from modelport.backends.tensorrt.probe import probe_rtx as probe
from modelport.backends.tensorrt.probe import version_rtx as version

__all__ = ["CAPABILITIES", "compile", "load", "probe", "version", "why_not_run"]
