"""Files and folders that appear whole or not at all: written beside their place, then renamed."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelport.errors import UsageError

_TRIES = 100
_HERE, _RENAME_EXCHANGE = -100, 2
"""``AT_FDCWD`` and the flag of ``renameat2`` (Linux)."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, for what is to be in another's place at the end of the block.

    The path has the same name, in an empty folder beside the place. A file or folder that is
    there is replaced, never written over: who has it open keeps what it opened. Other files that
    the block writes beside the path it was given, such as a model's weights, go along. Where the
    block fails, nothing is changed. Writers at the same time do not meet: the last one wins.

    Args:
        path: The place, in a folder that is there.

    Yields:
        The path to write to. What is written there is a file or a folder.

    Raises:
        OSError: The folder of the place cannot be written.
    """
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    try:
        made = folder / path.name
        yield made
        for other in sorted(folder.iterdir()):
            if other != made:
                put_in_place(other, path.with_name(other.name))
        put_in_place(made, path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put_in_place(made: Path, path: Path) -> None:
    """Renames a file or folder, in the place of what is there.

    At every moment there is either what was there, or what was made. A link is replaced, and what
    it leads to stays.

    Args:
        made: The file or folder, on the file system of the place.
        path: The place. A folder there goes with all that is in it.
    """
    for _ in range(_TRIES):
        if path.is_symlink() and made.is_dir():
            path.unlink()
        if path.exists() and not path.is_symlink() and (path.is_dir() or made.is_dir()):
            if _exchange(made, path):
                _remove(made)
            else:
                _step_aside(made, path)
            return
        try:
            made.replace(path)
        except OSError as error:
            # Another writer was here first.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR):
                raise
        else:
            return
    raise FileExistsError(errno.EEXIST, "others write there all the time", os.fspath(path))


def _step_aside(made: Path, path: Path) -> None:
    """Replaces a folder where the file system cannot exchange two names."""
    with tempfile.TemporaryDirectory(
        prefix=f".{path.name}.", suffix=".old", dir=path.parent, ignore_cleanup_errors=True
    ) as old:
        aside = path.rename(Path(old) / path.name)
        try:
            made.rename(path)
        except OSError:
            aside.rename(path)
            raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names at once; False where the system cannot."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    names = os.fsencode(one.absolute()), os.fsencode(other.absolute())
    return bool(call(_HERE, names[0], _HERE, names[1], _RENAME_EXCHANGE) == 0)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink()


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """The same for what a user asked to be written. A folder is never replaced by it.

    Raises:
        UsageError: It cannot be written, or a folder lies in its place.
    """
    if path.is_dir():
        raise UsageError(
            f"cannot write {path}: it is a folder",
            fix=f"give the name of a file, such as {path / 'NAME'}",
        )
    try:
        with replacing(path) as made:
            yield made
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def write_text(path: Path, text: str) -> None:
    """Writes a text in UTF-8, whole or not at all.

    Raises:
        UsageError: It cannot be written.
    """
    with written(path) as made:
        made.write_text(text, encoding="utf-8")
