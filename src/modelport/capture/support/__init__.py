"""Which operators of PyTorch and of a model have a mapping to ONNX, and where."""

from modelport.capture.support.aten import AtenOperator, describe_aten
from modelport.capture.support.search import find_aten
from modelport.capture.support.survey import operator_support
from modelport.capture.support.table import SupportTable

__all__ = ["AtenOperator", "SupportTable", "describe_aten", "find_aten", "operator_support"]
