"""Comparison of a bundle's folder with its manifest."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from modelport.bundle.manifest import FILE_NAME, SIGNATURE_NAME, FileRecord, Manifest
from modelport.errors import BundleError
from modelport.files.beneath import copy_from, open_beneath

_AGAIN = "copy the bundle again, or deploy again"


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    return _sha256_beneath(path.parent, path.name)


def _sha256_beneath(folder: Path, name: str) -> str:
    digest = hashlib.sha256()
    copy_from(open_beneath(folder, name), digest.update)
    return digest.hexdigest()


def record_files(folder: Path) -> dict[str, FileRecord]:
    """Sizes and checksums of all files in a folder, by their paths in it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): FileRecord(sha256(path), path.stat().st_size)
        for path in paths
    }


class Check:
    """Comparison of a folder with its manifest, running in threads.

    What takes no time (which files there are, and their sizes) has been compared when it is made.

    Raises:
        BundleError: A file is missing, too many, or of another size, or is not a regular file.
    """

    def __init__(self, folder: Path, manifest: Manifest, where: str) -> None:
        self._where = where
        _require_listed(folder, manifest, where)
        by_size = sorted(manifest.files.items(), key=lambda item: -item[1].size)
        pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))
        self._sums: Sequence[tuple[str, str, Future[str]]] = [
            (name, record.sha256, pool.submit(_sha256_beneath, folder, name))
            for name, record in by_size
        ]
        pool.shutdown(wait=False)

    def wait(self) -> None:
        """Waits for the checksums.

        Raises:
            BundleError: A file was altered, or cannot be read.
        """
        for name, expected, found in self._sums:
            try:
                same = found.result() == expected
            except OSError as error:
                raise _unreadable(name, self._where, error) from error
            if not same:
                raise altered(name, self._where)


def copy_checked(folder: Path, name: str, record: FileRecord, to: Path, where: str) -> None:
    """Copies a file of a bundle; the bytes that are written are those that the manifest names.

    Args:
        folder: The bundle's folder.
        name: The file's path in it.
        record: What the manifest says of it.
        to: The file to write, which is not there.
        where: The bundle, for messages.

    Raises:
        BundleError: The file was altered, or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        source = open_beneath(folder, name)
    except OSError as error:
        raise _unreadable(name, where, error) from error
    with to.open("xb") as sink:

        def keep(data: memoryview) -> None:
            digest.update(data)
            sink.write(data)

        copy_from(source, keep)
    if digest.hexdigest() != record.sha256:
        raise altered(name, where)


def _require_listed(folder: Path, manifest: Manifest, where: str) -> None:
    found = dict(_walk(folder, where))
    for name, record in manifest.files.items():
        if name not in found:
            raise BundleError(f"{name} is missing", where=where, fix=_AGAIN)
        if found[name] != record.size:
            raise altered(name, where)
    for name in found:
        if name not in manifest.files and name not in (FILE_NAME, SIGNATURE_NAME):
            raise BundleError(
                f"{name} is not in the bundle's manifest", where=where, fix="remove the file"
            )


def _walk(folder: Path, where: str, prefix: str = "") -> Iterator[tuple[str, int]]:
    """Paths and sizes of all files; links and devices are refused."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                yield from _walk(folder / entry.name, where, f"{name}/")
            elif stat.S_ISREG(status.st_mode):
                yield name, status.st_size
            else:
                raise BundleError(
                    f"{name} is not a regular file",
                    where=where,
                    why="a bundle has neither links nor devices",
                    fix="copy the bundle with its files: cp -rL",
                )


def _unreadable(name: str, where: str, error: OSError) -> BundleError:
    return BundleError(f"{name} cannot be read", where=where, why=error.strerror or str(error))


def altered(name: str, where: str) -> BundleError:
    """The error of a file that is not what the manifest says."""
    return BundleError(f"{name} was altered: its checksum does not match", where=where, fix=_AGAIN)
