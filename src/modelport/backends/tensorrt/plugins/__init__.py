"""Operators as TensorRT plugins."""

from modelport.backends.tensorrt.plugins.builder import build_plugins
from modelport.backends.tensorrt.plugins.headers import TensorRTHeaders, find_headers
from modelport.backends.tensorrt.plugins.library import (
    NO_PLUGIN,
    PluginLibrary,
    load_plugins,
    require_version,
)

__all__ = [
    "NO_PLUGIN",
    "PluginLibrary",
    "TensorRTHeaders",
    "build_plugins",
    "find_headers",
    "load_plugins",
    "require_version",
]
