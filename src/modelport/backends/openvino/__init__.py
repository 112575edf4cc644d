"""OpenVINO."""

from modelport.backends.openvino.compile import CAPABILITIES, compile, why_not_run
from modelport.backends.openvino.engine import load
from modelport.backends.openvino.probe import probe, version

__all__ = ["CAPABILITIES", "compile", "load", "probe", "version", "why_not_run"]
