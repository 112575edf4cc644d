"""The old name of `modelport.ops.scaffold`."""

from modelport.deprecation import renamed_module

__getattr__ = renamed_module(__name__, "modelport.ops.scaffold")
