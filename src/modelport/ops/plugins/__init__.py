"""Operators as TensorRT plugins."""

from modelport.ops.plugins.building import build_plugins
from modelport.ops.plugins.headers import TensorRTHeaders, find_headers
from modelport.ops.plugins.library import PluginLibrary, load_plugins, require_version

__all__ = [
    "PluginLibrary",
    "TensorRTHeaders",
    "build_plugins",
    "find_headers",
    "load_plugins",
    "require_version",
]
