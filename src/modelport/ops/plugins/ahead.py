"""The old name of `modelport.backends.tensorrt.plugins.ahead_of_time`."""

from modelport.deprecation import renamed_module

__getattr__ = renamed_module(__name__, "modelport.backends.tensorrt.plugins.ahead_of_time")
