"""Libraries of operators as files: where they lie, and whether one can be loaded at all."""

from __future__ import annotations

import platform
import struct
import sys
from pathlib import Path

from modelport.errors import OperatorError

FOLDER = "operators"
"""Where a folder with a graph keeps its libraries: in a folder a platform."""

SOURCES = f"{FOLDER}/sources"
"""Where it keeps what they are built from: in a folder a domain."""

_MACHINES = {"x86_64": 62, "AMD64": 62, "aarch64": 183, "arm64": 183}
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")


def platform_name() -> str:
    """This platform's name, such as ``linux-x86_64``."""
    return f"{sys.platform}-{platform.machine()}"


def require_loadable(path: Path, where: Path | None = None) -> None:
    """Raises `OperatorError` where a file is no library for this platform, or not all of one.

    On Linux, loading a file that was cut short kills the process; so its header is read first
    (the ELF format: System V Application Binary Interface, chapter 4).

    Args:
        path: The file.
        where: The file that it is a copy of, for the message.
    """
    why = _unfit(path)
    if why:
        where = where or path
        raise OperatorError(
            f"{where.name} is not a library of operators for this machine",
            where=str(where),
            why=why,
            fix="build it here: modelport ops build",
        )


def _unfit(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER.size)
        size = path.stat().st_size
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if not sys.platform.startswith("linux"):
        return ""
    if start[:4] != b"\x7fELF":
        return "it is no shared library of Linux"
    if len(start) < _HEADER.size:
        return "it was cut short"
    fields = _HEADER.unpack(start)
    if start[4:6] != b"\x02\x01" or fields[2] != _MACHINES.get(platform.machine(), fields[2]):
        return f"it was built for another processor than {platform.machine()}"
    sections, entry, count = fields[6], fields[11], fields[12]
    if sections + entry * count > size:
        return f"it was cut short: it has {size:,} of {sections + entry * count:,} bytes"
    return ""
