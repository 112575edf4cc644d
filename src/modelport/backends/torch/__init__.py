"""PyTorch itself, eager or compiled: the original beside the engines made from it."""

from modelport.backends.torch.compile import CAPABILITIES, compile, why_not_run
from modelport.backends.torch.engine import load
from modelport.backends.torch.probe import probe, version

__all__ = ["CAPABILITIES", "compile", "load", "probe", "version", "why_not_run"]
