"""Where built files are kept: by the content of all that they are made of."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from modelport.errors import UsageError
from modelport.files.replacement import replacing

_LOG = logging.getLogger("modelport.ops")


def cache_folder() -> Path:
    """``$MODELPORT_CACHE``, else the user's cache folder."""
    given = os.environ.get("MODELPORT_CACHE")
    if given:
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "modelport"


def key_of(parts: Iterable[str | bytes | Path]) -> str:
    """A key for texts, and for the content of files.

    Args:
        parts: Texts, bytes, and paths of files.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            data = part.read_bytes()
        else:
            data = part.encode() if isinstance(part, str) else part
        digest.update(f"{len(data)}:".encode() + data)
    return digest.hexdigest()[:32]


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """A file of the cache, made where it is not there yet.

    Args:
        name: Its name in the cache, which contains its key.
        make: Writes the file at a path; where it fails, nothing stays in the cache.

    Returns:
        The file.

    Raises:
        UsageError: The cache cannot be written.
    """
    path = cache_folder() / name
    if path.is_file():
        _LOG.debug("%s: reused from the cache", name)
        return path
    _LOG.debug("%s: built, the cache has no file of this key", name)
    with _locked(path.parent):
        if path.is_file():
            return path
        try:
            with contextlib.ExitStack() as stack:
                with writable(path.parent):
                    # Who failed before has removed it.
                    path.parent.mkdir(parents=True, exist_ok=True)
                    made = stack.enter_context(replacing(path))
                make(made)
        finally:
            with contextlib.suppress(OSError):  # it is full, as it should be
                path.parent.rmdir()
    return path


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keeps other processes from making the same at the same time.

    The folder itself is locked, so that no file is left behind. Where a file system cannot lock,
    both make it, and both results are the same.
    """
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        opened = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


@contextlib.contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Says of what fails to write in a folder of the cache what to do about it.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"the cache cannot be written: {folder}",
            why=error.strerror,
            fix="set MODELPORT_CACHE to a folder that can be written",
        ) from error
