"""`PluginLibrary`: a library of TensorRT plugins, opened and checked before TensorRT gets it."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

from modelport.errors import OperatorError
from modelport.files.trusted_code import TrustedCode, user_code
from modelport.ops.ctypes_library import NativeLibrary

NOT_IN_TENSORRT = ("float64", "bool", "uint8")
"""Element types that the tensors of a plugin cannot have."""

NO_PLUGIN = f"its kernels are all for types that plugins do not have: {', '.join(NOT_IN_TENSORRT)}"
"""Why an operator of a library is no plugin."""


class PluginLibrary(NativeLibrary):
    """An opened library of plugins; the kernels in it can be called as well.

    Attributes:
        version: The version of TensorRT whose headers it was compiled with.
        domain: The domain of its operators, which is the namespace of its plugins.
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
            marker, namespace = (
                self.functions.modelport_tensorrt,
                self.functions.modelport_namespace,
            )
        except AttributeError as error:
            raise OperatorError(
                f"{path.name} has no TensorRT plugins",
                where=str(path),
                fix="build them: modelport ops build --tensorrt",
            ) from error
        marker.restype = ctypes.c_int64
        number: int = marker()
        namespace.restype = ctypes.c_char_p
        self.domain: str = namespace().decode()
        self.version = (number // 10000, number // 100 % 100, number % 100)

    @property
    def plugins(self) -> set[str]:
        """The operators that are plugins: with a kernel all of whose tensors plugins may have."""
        return {
            kernel.operator
            for kernel in self.kernels
            if {*kernel.dtypes, *kernel.output_dtypes}.isdisjoint(NOT_IN_TENSORRT)
        }


def require_version(path: Path, tensorrt: Any, where: Path | None = None) -> None:
    """Raises `OperatorError` where a library of plugins is for another major version of TensorRT.

    Args:
        path: The library. Where somebody else made it, and its name does not say
            ``.trt<major>.``, nothing is known of it.
        tensorrt: The module ``tensorrt``.
        where: The file that it is a copy of.
    """
    where = where or path
    built, major = _built_for(path, where.name), int(str(tensorrt.__version__).partition(".")[0])
    if built is None or built == major:
        return
    raise OperatorError(
        f"{where.name} was built for TensorRT {built}, this is TensorRT {tensorrt.__version__}",
        where=str(where),
        why="a library of plugins serves one major version of TensorRT",
        fix="build it with this version's headers: modelport ops build --tensorrt",
    )


def load_plugins(path: Path | TrustedCode, tensorrt: Any) -> None:
    """Adds a library of plugins to TensorRT's registry, once in a process.

    What TensorRT does with a library that was built for another major version is not defined; so
    that is checked before.

    Args:
        path: The library: a path of the caller's own, or bytes of a bundle that were checked.
        tensorrt: The module ``tensorrt``.

    Raises:
        OperatorError: It is for another major version of TensorRT, or TensorRT refuses it.
    """
    library = path if isinstance(path, TrustedCode) else user_code(path.parent, path.name)
    require_version(library.path, tensorrt, Path(library.where))
    key = (tensorrt.__name__, library.sha256)
    if key in _loaded:
        return
    if tensorrt.get_plugin_registry().load_library(str(library.path)) is None:
        raise OperatorError(
            f"TensorRT does not take the plugins of {library.name}",
            where=library.where,
            why="its registry gave no reason; its log may",
            fix="see that it is a library of plugins for this machine: "
            "modelport ops test --tensorrt tests one",
        )
    _loaded.add(key)


_loaded: set[tuple[str, str]] = set()


def _built_for(path: Path, name: str) -> int | None:
    """The major version of TensorRT that a library is for, as far as that is known."""
    named = re.search(r"\.trt(\d+)\.", name)
    if named:
        return int(named[1])
    try:
        return PluginLibrary(path).version[0]
    except OperatorError:
        return None
