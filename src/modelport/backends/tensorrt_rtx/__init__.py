"""TensorRT for RTX: the code is that of `modelport.backends.tensorrt`."""

from functools import partial

from modelport.backends.tensorrt.compile import RTX_CAPABILITIES as CAPABILITIES
from modelport.backends.tensorrt.compile import compile
from modelport.backends.tensorrt.engine import load, why_not_run
from modelport.backends.tensorrt.flavor import RTX
from modelport.backends.tensorrt.probe import probe_flavor, version_of

probe = partial(probe_flavor, RTX)
version = partial(version_of, RTX)

__all__ = ["CAPABILITIES", "compile", "load", "probe", "version", "why_not_run"]
