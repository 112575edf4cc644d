"""Code that may be loaded: sealed copies of the bytes that somebody vouched for."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from modelport.errors import OperatorError
from modelport.files.beneath import copy_from, open_beneath

_MAKER = object()
_SEALS = (
    fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
    if hasattr(fcntl, "F_SEAL_SEAL")
    else 0
)
_LOADED: dict[tuple[str, str], TrustedCode] = {}
"""What was handed to a loader of libraries, by name and digest: it stays open, because such loaders
know a library by its path, and the number of a closed descriptor is used again."""


class DigestError(Exception):
    """The bytes of a file are not those of its digest."""


class TrustedCode:
    """A file that may be loaded as code.

    Its bytes are a copy in memory that nobody can change any more, neither the file's owner nor
    another process of the same user. Only `checked` and `of_user` make it; what loads libraries,
    engines and programs takes nothing else.

    Attributes:
        name: The file's name.
        where: The file's path, for messages.
        sha256: Hexadecimal SHA-256 of the bytes.
    """

    def __init__(self, maker: object, where: str, descriptor: int, sha256: str) -> None:
        if maker is not _MAKER:
            raise TypeError("TrustedCode.checked and TrustedCode.of_user make it")
        self.where = where
        self.name = where.rpartition("/")[2]
        self.sha256 = sha256
        self._file = open(descriptor, "rb")  # noqa: SIM115

    @classmethod
    def checked(cls, folder: Path, name: str, sha256: str) -> TrustedCode:
        """A file whose digest somebody vouches for.

        Args:
            folder: A folder.
            name: The file's path in it.
            sha256: The digest.

        Raises:
            OSError: The file cannot be read.
            DigestError: It has another digest.
        """
        code = cls._copied(open_beneath(folder, name), str(folder / name))
        if code.sha256 != sha256:
            raise DigestError(name)
        return code

    @classmethod
    def of_user(cls, path: Path) -> TrustedCode:
        """A file that the user named, or that this process built.

        Raises:
            OSError: The file cannot be read.
        """
        return cls._copied(os.open(path, os.O_RDONLY | os.O_CLOEXEC), str(path))

    @classmethod
    def _copied(cls, source: int, where: str) -> TrustedCode:
        digest = hashlib.sha256()
        sink = _memory(where.rpartition("/")[2])
        try:
            copy_from(source, lambda data: _keep(data, sink, digest))
            if _SEALS:
                fcntl.fcntl(sink, fcntl.F_ADD_SEALS, _SEALS)
        except BaseException:
            os.close(sink)
            raise
        return cls(_MAKER, where, sink, digest.hexdigest())

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    @property
    def path(self) -> Path:
        """A path for the loader of libraries, valid for the life of the process."""
        kept = _LOADED.setdefault((self.name, self.sha256), self)
        return Path(f"/proc/self/fd/{kept._file.fileno()}")

    def read(self) -> bytes:
        """The bytes."""
        return os.pread(self._file.fileno(), os.fstat(self._file.fileno()).st_size, 0)


CodeSource = Callable[[Path, str], TrustedCode]
"""Makes the code of a file, by a folder and the file's path in it."""


def user_code(folder: Path, name: str) -> TrustedCode:
    """The code of files that the user named or that this process built.

    Raises:
        OperatorError: The file cannot be read.
    """
    path = folder / name
    try:
        return TrustedCode.of_user(path)
    except OSError as error:
        raise OperatorError(
            f"{path.name} cannot be read", where=str(path), why=error.strerror
        ) from error


def _memory(name: str) -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name[:200], os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)
    return descriptor


def _keep(data: memoryview, sink: int, digest: hashlib._Hash) -> None:
    digest.update(data)
    while data:
        data = data[os.write(sink, data) :]
