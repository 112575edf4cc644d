"""Building the kernels of operators into libraries."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.ops.build.builder import BuildOptions, build_library
    from modelport.ops.build.sources import build_sources, write_sources
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "builder": ("BuildOptions", "build_library"),
            "sources": ("build_sources", "write_sources"),
        },
    )

__all__ = ["BuildOptions", "build_library", "build_sources", "write_sources"]
