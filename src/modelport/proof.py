"""The old name of `modelport.numerics`."""

from modelport.deprecation import renamed_module

__getattr__ = renamed_module(__name__, "modelport.numerics")
