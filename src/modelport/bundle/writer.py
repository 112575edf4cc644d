"""Writing a bundle: beside its place, then renamed, so that nothing is ever half there."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from modelport.bundle.manifest import FILE_NAME, Manifest, sha256
from modelport.errors import UsageError
from modelport.proof import ReferenceCase, write_case

CASES_BUDGET = 600_000
"""Bytes of reference cases to keep; the smallest case is kept in any event."""


def require_replaceable(path: Path) -> None:
    """Raises `UsageError` where writing a bundle would destroy something that is none."""
    if not path.parent.is_dir():
        raise UsageError(f"no such directory: {path.parent}")
    if not path.exists():
        return
    if path.is_dir():
        is_bundle = (path / FILE_NAME).is_file() or not any(path.iterdir())
    else:
        is_bundle = _is_zipped_bundle(path)
    if not is_bundle:
        raise UsageError(
            f"{path} exists and is not a bundle", fix="remove it, or write to another place"
        )


def _is_zipped_bundle(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return FILE_NAME in archive.namelist()


class BundleWriter:
    """Collects a bundle's files in a folder beside its place.

    Use it as a context manager: what was not committed is removed.

    Attributes:
        folder: Where files are written; paths in the manifest are relative to it.
    """

    def __init__(self, path: Path, *, zipped: bool = False) -> None:
        require_replaceable(path)
        self._path = path
        self._zipped = zipped
        self.folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))

    def __enter__(self) -> BundleWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def add_cases(self, references: Sequence[ReferenceCase]) -> tuple[str, ...]:
        """Writes the smallest reference cases, in their order.

        Returns:
            Their paths inside the bundle.
        """
        by_size = sorted(range(len(references)), key=lambda index: references[index].nbytes)
        kept: list[int] = []
        total = 0
        for index in by_size:
            total += references[index].nbytes
            if kept and total > CASES_BUDGET:
                break
            kept.append(index)
        (self.folder / "cases").mkdir()
        return tuple(self._add_case(references[index]) for index in sorted(kept))

    def _add_case(self, reference: ReferenceCase) -> str:
        path = f"cases/{reference.case.name}.npz"
        write_case(self.folder / path, reference.case.inputs, reference.outputs)
        return path

    def commit(self, manifest: Manifest) -> Manifest:
        """Writes the manifest with every file's checksum, and puts the bundle in its place.

        Args:
            manifest: The manifest, without checksums.

        Returns:
            The manifest as written.
        """
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        sums = {path.relative_to(self.folder).as_posix(): sha256(path) for path in files}
        manifest = dataclasses.replace(manifest, files=sums)
        (self.folder / FILE_NAME).write_bytes(manifest.render())
        # mkdtemp makes a folder for its owner alone.
        self.folder.chmod(0o777 & ~_umask())
        if self._zipped:
            self._commit_zip()
        else:
            self._commit_folder()
        return manifest

    def _commit_zip(self) -> None:
        archive_path = self.folder.with_name(f"{self.folder.name}.zip")
        try:
            with zipfile.ZipFile(archive_path, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(self.folder.rglob("*")):
                    archive.write(path, path.relative_to(self.folder).as_posix())
            if self._path.is_dir():
                shutil.rmtree(self._path)
            archive_path.replace(self._path)
        finally:
            archive_path.unlink(missing_ok=True)

    def _commit_folder(self) -> None:
        if not self._path.exists():
            self.folder.rename(self._path)
            return
        old = self.folder.with_name(f"{self.folder.name}.old")
        self._path.rename(old)
        self.folder.rename(self._path)
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
