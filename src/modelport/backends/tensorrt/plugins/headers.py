"""TensorRT's headers: where they are, and of which version."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelport.errors import OperatorError

INCLUDE_DIR = "TENSORRT_INCLUDE_DIR"
"""Environment variable: the folder with NvInferRuntime.h."""

LEAST_MAJOR = 10
"""The first major version whose plugins are IPluginV3."""

_VERSION = "NvInferVersion.h"
_PACKAGES = ("tensorrt", "tensorrt-cu12", "tensorrt-cu13")


@dataclass(frozen=True)
class TensorRTHeaders:
    """Headers of TensorRT.

    Attributes:
        folder: Where they are.
        version: Their version: major, minor, patch.
    """

    folder: Path
    version: tuple[int, int, int]

    @property
    def major(self) -> int:
        """The major version: plugins are built for one."""
        return self.version[0]

    def __str__(self) -> str:
        return ".".join(map(str, self.version))


def find_headers() -> TensorRTHeaders:
    """The headers that plugins are compiled with.

    They are looked for in ``$TENSORRT_INCLUDE_DIR``, or else where TensorRT's packages and
    archives put them. Where TensorRT itself is installed as a Python package, its major version
    must be theirs: a plugin of one major version cannot be loaded by another.

    Raises:
        OperatorError: There are none, they are too old, or they are of another major version
            than the TensorRT that is installed.
    """
    given = os.environ.get(INCLUDE_DIR)
    if given:
        headers = read_headers(Path(given))
    else:
        found = next((folder for folder in _usual() if (folder / _VERSION).is_file()), None)
        if found is None:
            raise OperatorError(
                "plugins cannot be built: TensorRT's headers were not found",
                why=f"neither ${INCLUDE_DIR} is set, nor are they where TensorRT's packages put "
                "them; the Python package has none",
                fix="install TensorRT's development package (Debian and Ubuntu: libnvinfer-dev), "
                f"or unpack its archive and set {INCLUDE_DIR} to the include folder",
            )
        headers = read_headers(found)
    installed = installed_major()
    if installed is not None and installed != headers.major:
        raise OperatorError(
            f"the headers are of TensorRT {headers}, installed is TensorRT {installed}",
            where=str(headers.folder),
            why="a plugin that is built for one major version cannot be loaded by another",
            fix=f"set {INCLUDE_DIR} to the headers of TensorRT {installed}",
        )
    return headers


def read_headers(folder: Path) -> TensorRTHeaders:
    """The headers in a folder.

    Raises:
        OperatorError: There are none, or they are too old.
    """
    try:
        text = (folder / _VERSION).read_text(encoding="utf-8")
    except OSError as error:
        raise OperatorError(
            f"no headers of TensorRT in {folder}",
            why=f"{_VERSION}: {error.strerror}",
            fix=f"set {INCLUDE_DIR} to the folder with NvInferRuntime.h",
        ) from error
    numbers = [_number(text, part) for part in ("MAJOR", "MINOR", "PATCH")]
    if None in numbers:
        raise OperatorError(f"{folder / _VERSION} does not say which version of TensorRT it is of")
    major, minor, patch = (number or 0 for number in numbers)
    headers = TensorRTHeaders(folder, (major, minor, patch))
    if major < LEAST_MAJOR:
        raise OperatorError(
            f"the headers are of TensorRT {headers}",
            where=str(folder),
            why=f"the plugins are IPluginV3, which came with TensorRT {LEAST_MAJOR}",
            fix=f"set {INCLUDE_DIR} to the headers of a later TensorRT",
        )
    return headers


def installed_major() -> int | None:
    """The major version of the TensorRT that is installed as a Python package, or None."""
    for name in _PACKAGES:
        try:
            return int(importlib.metadata.version(name).partition(".")[0])
        except (importlib.metadata.PackageNotFoundError, ValueError):
            continue
    return None


def _number(text: str, part: str) -> int | None:
    """A part of the version, defined as a number or by another macro."""
    name = f"NV_TENSORRT_{part}"
    for _ in range(2):
        found = re.search(rf"^#define\s+{name}\s+(\w+)", text, re.MULTILINE)
        if found is None:
            return None
        name = found[1]
        if name.isdigit():
            return int(name)
    return None


def _usual() -> Iterator[Path]:
    for root in filter(None, (os.environ.get("TENSORRT_ROOT"), os.environ.get("TRT_ROOT"))):
        yield Path(root) / "include"
    yield Path(f"/usr/include/{platform.machine()}-linux-gnu")
    yield from map(Path, ("/usr/include", "/usr/local/tensorrt/include", "/opt/tensorrt/include"))
