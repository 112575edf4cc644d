"""The old name of `modelport.backends.tensorrt.plugins`."""

from modelport import deprecation

__getattr__ = deprecation.renamed_module(__name__, "modelport.backends.tensorrt.plugins")
