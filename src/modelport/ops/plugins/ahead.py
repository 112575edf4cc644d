"""The old name of `modelport.ops.plugins.ahead_of_time`."""

from modelport.deprecation import renamed_module

__getattr__ = renamed_module(__name__, "modelport.ops.plugins.ahead_of_time")
