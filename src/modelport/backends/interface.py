"""The old name of `modelport.backends.base`."""

from modelport.deprecation import renamed_module

__getattr__ = renamed_module(__name__, "modelport.backends.base")
