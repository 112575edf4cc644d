"""The old name of `modelport.files.images`."""

from modelport.deprecation import renamed_module

__getattr__ = renamed_module(__name__, "modelport.files.images")
