"""Building the kernels of operators into libraries."""

from modelport.ops.build.builder import BuildOptions, build_library

__all__ = ["BuildOptions", "build_library"]
