"""The old name of `modelport.backends.tensorrt.plugins.python_plugin`."""

from modelport.deprecation import renamed_module

__getattr__ = renamed_module(__name__, "modelport.backends.tensorrt.plugins.python_plugin")
