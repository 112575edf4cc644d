"""What TensorRT for RTX will refuse or change in a graph: TensorRT's rules, and its own parser."""

from __future__ import annotations

from collections.abc import Sequence

from modelport.backends.tensorrt.build.parser_support import ask_parser
from modelport.backends.tensorrt.library import RTX
from modelport.backends.tensorrt.lint import STATIC
from modelport.graph.lint_report import Rule

RULES: Sequence[Rule] = (*STATIC, lambda model: ask_parser(model, RTX))
