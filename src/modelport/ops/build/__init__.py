"""Building the kernels of operators into libraries."""

from modelport.ops.build.builder import BuildOptions, build_library
from modelport.ops.build.sources import build_sources, write_sources

__all__ = ["BuildOptions", "build_library", "build_sources", "write_sources"]
