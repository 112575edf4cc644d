"""`PluginLibrary`: a library of TensorRT plugins, opened and checked before TensorRT gets it."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

from modelport.errors import OperatorError
from modelport.ops.native_library import NativeLibrary


class PluginLibrary(NativeLibrary):
    """An opened library of plugins; the kernels in it can be called as well.

    Attributes:
        version: The version of TensorRT whose headers it was compiled with.
    """

    def __init__(self, path: Path) -> None:
        """Opens a library.

        Args:
            path: The file.

        Raises:
            OperatorError: It is no library of operators for this machine, or has no plugins.
        """
        super().__init__(path)
        try:
            marker = self.functions.modelport_tensorrt
        except AttributeError as error:
            raise OperatorError(
                f"{path.name} has no TensorRT plugins",
                where=str(path),
                fix="build them: modelport ops build --tensorrt",
            ) from error
        marker.restype = ctypes.c_int64
        number = marker()
        self.version = (number // 10000, number // 100 % 100, number % 100)


def load_plugins(path: Path, tensorrt: Any) -> PluginLibrary:
    """Gives a library of plugins to TensorRT's registry.

    What TensorRT does with a library that was built for another major version is not defined; so
    that is checked before.

    Args:
        path: The library.
        tensorrt: The module ``tensorrt``.

    Returns:
        The library.

    Raises:
        OperatorError: It is no library of plugins, is for another major version of TensorRT, or
            TensorRT refuses it.
    """
    library = PluginLibrary(path)
    major = int(str(tensorrt.__version__).partition(".")[0])
    if library.version[0] != major:
        raise OperatorError(
            f"{path.name} was built for TensorRT {library.version[0]}, this is "
            f"TensorRT {tensorrt.__version__}",
            where=str(path),
            why="a library of plugins serves one major version of TensorRT",
            fix="build it with this version's headers: modelport ops build --tensorrt",
        )
    if tensorrt.get_plugin_registry().load_library(str(path)) is None:
        raise OperatorError(
            f"TensorRT does not take the plugins of {path.name}",
            where=str(path),
            why="its registry gave no reason; a plugin of the same name may be registered already",
        )
    return library
