"""Bundles as zip files."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path

from modelport.bundle.manifest import FILE_NAME, SIGNATURE_NAME, Manifest
from modelport.bundle.manifest_fields import is_inside
from modelport.errors import BundleError, UsageError

MANIFEST_LIMIT = 16 << 20
"""Maximum size of a manifest, in bytes."""
SIGNATURE_LIMIT = 4096
FREE_BYTES = 1 << 30
EXPANSION = 100
"""A zip file of more than `FREE_BYTES` unpacked may be that many times as large as packed."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_DAMAGED = (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, ValueError)


def is_zipped_bundle(path: Path) -> bool:
    """Return True if a file is a zip file with a manifest."""
    try:
        with zipfile.ZipFile(path) as archive:
            return FILE_NAME in archive.namelist()
    except _DAMAGED:
        return False


def pack(folder: Path, path: Path) -> None:
    """Writes a folder as a zip file; equal content becomes equal bytes.

    Entries are stored as they are: weights hardly shrink, and reading is quicker.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(item for item in folder.rglob("*") if item.is_file()):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _EPOCH)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.file_size = file.stat().st_size
            with file.open("rb") as source, archive.open(entry, "w") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)


def unpack(path: Path, folder: Path) -> None:
    """Unpacks a bundle into an empty folder, its manifest first, and only the files that it lists.

    Raises:
        UsageError: It has no manifest.
        BundleError: It is damaged, or holds what no bundle holds.
    """
    where = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            _require_start(archive, path)
            entries = _entries(archive, where)
            if FILE_NAME not in entries:
                raise UsageError(f"{where} is not a bundle: it has no {FILE_NAME}")
            sizes = {FILE_NAME: MANIFEST_LIMIT, SIGNATURE_NAME: SIGNATURE_LIMIT}
            _extract(archive, entries.pop(FILE_NAME), folder, MANIFEST_LIMIT, where)
            manifest = Manifest.parse((folder / FILE_NAME).read_bytes(), where)
            sizes |= {name: record.size for name, record in manifest.files.items()}
            unknown = [name for name in entries if name not in sizes]
            if unknown:
                raise BundleError(f"{unknown[0]} is not in the bundle's manifest", where=where)
            _require_sane(sum(item.file_size for item in entries.values()), path)
            for name, entry in entries.items():
                _extract(archive, entry, folder, sizes[name], where)
    except _DAMAGED as error:
        raise BundleError("the zip file is damaged", where=where, why=str(error)) from error


def _require_start(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuses bytes before the first entry: other programs would read the file as another thing."""
    with path.open("rb") as file:
        start = file.read(4)
    offsets = [entry.header_offset for entry in archive.infolist()]
    if offsets and (start != b"PK\x03\x04" or min(offsets)):
        raise BundleError("the zip file has bytes before its first entry", where=str(path))


def _entries(archive: zipfile.ZipFile, where: str) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive by name."""
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        name = entry.filename
        # The name as it was written: reading cuts it at a zero byte.
        if not is_inside(entry.orig_filename.removesuffix("/")):
            raise BundleError(f"{entry.orig_filename!r} lies outside the bundle", where=where)
        mode = stat.S_IFMT(entry.external_attr >> 16)
        if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise BundleError(
                f"{name} is not a regular file", where=where, why="a bundle has no links"
            )
        if entry.flag_bits & 1:
            raise BundleError(f"{name} is encrypted", where=where)
        if entry.is_dir():
            continue
        if name in entries:
            raise BundleError(f"{name} is in the zip file twice", where=where)
        entries[name] = entry
    return entries


def _require_sane(total: int, path: Path) -> None:
    packed = path.stat().st_size
    if total > max(FREE_BYTES, EXPANSION * packed):
        raise BundleError(
            f"the zip file would unpack to {total:,} bytes",
            where=str(path),
            why=f"it has {packed:,}, and no model shrinks that much",
            fix="unpack it by hand, if you trust it, and load the directory",
        )


def _extract(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path, limit: int, where: str
) -> None:
    """Unpacks a file, and stops if it is larger than its declared size."""
    path = folder / entry.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    left = limit
    with archive.open(entry) as source, path.open("xb") as sink:
        while data := source.read(min(1 << 20, left + 1)):
            left -= len(data)
            if left < 0:
                raise BundleError(
                    f"{entry.filename} has more than the {limit:,} bytes that it may have",
                    where=where,
                )
            sink.write(data)
