"""Files opened below one folder, without following links on the way."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A FIFO that nobody writes to would block the call for ever.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def open_beneath(folder: Path, name: str) -> int:
    """Opens a plain file below a folder.

    The folder itself may be a link, which is followed once. Every further folder of the path is
    opened by its descriptor, so that nobody can put a link in its place meanwhile.

    Args:
        folder: The folder.
        name: The file's path in it, with ``/`` between its parts.

    Returns:
        A descriptor to read from; the caller closes it.

    Raises:
        OSError: A part of the path is missing, or a link, or the file is no plain file.
    """
    *parents, last = name.split("/")
    if not name or {"", ".", ".."} & {*parents, last} or "\0" in name:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
    here = os.open(folder, _FOLDER & ~os.O_NOFOLLOW)
    try:
        for part in parents:
            inner = os.open(part, _FOLDER, dir_fd=here)
            os.close(here)
            here = inner
        opened = os.open(last, _FILE, dir_fd=here)
    finally:
        os.close(here)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
    return opened


def read_beneath(folder: Path, name: str, limit: int | None = None) -> bytes:
    """The content of a plain file below a folder.

    Args:
        folder: The folder.
        name: The file's path in it.
        limit: The bytes that it has at most; any number by default.

    Raises:
        OSError: It cannot be opened, see `open_beneath`, or has more bytes.
    """
    with open(open_beneath(folder, name), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if limit is not None and size > limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)
        return file.read(size)


def copy_from(source: int, write: Callable[[memoryview], object]) -> None:
    """Reads a descriptor to its end, in pieces.

    Args:
        source: The descriptor, which is closed.
        write: The consumer of each piece, which is overwritten after the call.
    """
    with open(source, "rb", buffering=0) as file:
        # Large pieces: hashing releases the interpreter, and small ones would wait for it.
        buffer = memoryview(bytearray(min(8 << 20, os.fstat(file.fileno()).st_size + 1)))
        while count := file.readinto(buffer):
            write(buffer[:count])
