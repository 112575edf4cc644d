"""Writer of bundles: in a folder beside the path, then renamed, so that none is half written."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from modelport.backends.base import GRAPH, Artifact
from modelport.bundle.archive import MANIFEST_LIMIT, is_zipped_bundle, pack
from modelport.bundle.checksums import record_files
from modelport.bundle.manifest import FILE_NAME, PLATFORM, SIGNATURE_NAME, Manifest
from modelport.errors import BundleError, UsageError
from modelport.files.beneath import read_beneath
from modelport.files.replacement import put_in_place, replacing
from modelport.numerics import ReferenceCase, smallest_cases, write_case
from modelport.ops.elf_check import FOLDER, platform_name
from modelport.target import Target

CASES_BUDGET = 600_000
"""Bytes of reference cases to store; the smallest case is always stored."""


def require_replaceable(path: Path) -> None:
    """Raises `UsageError` where writing a bundle would destroy something that is none."""
    if not path.parent.is_dir():
        raise UsageError(f"no such directory: {path.parent}")
    if not path.exists():
        return
    if path.is_symlink():
        raise UsageError(f"{path} is a link", fix="name the bundle that it leads to")
    is_bundle = _is_bundle(path) if path.is_dir() else is_zipped_bundle(path)
    if not is_bundle:
        raise UsageError(
            f"{path} exists and is not a bundle", fix="remove it, or write to another place"
        )


def _is_bundle(path: Path) -> bool:
    """Whether a folder is empty, or a bundle by its manifest that has no other files."""
    if not any(path.iterdir()):
        return True
    try:
        manifest = Manifest.parse(read_beneath(path, FILE_NAME, MANIFEST_LIMIT), str(path))
    except (BundleError, OSError):
        return False
    known = {FILE_NAME, SIGNATURE_NAME, *manifest.files}
    return all(
        item.relative_to(path).as_posix() in known or (item.is_dir() and not item.is_symlink())
        for item in path.rglob("*")
    )


class BundleWriter:
    """Collects a bundle's files in a folder beside its place.

    Use it as a context manager: what was not committed is removed.

    Attributes:
        folder: Where files are written; paths in the manifest are relative to it.
    """

    def __init__(self, path: Path, *, zipped: bool = False) -> None:
        path = path.absolute()
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

    def take(self, folder: Path, names: Iterable[str]) -> None:
        """Moves files of another folder into the bundle, under the same names.

        Args:
            folder: The folder.
            names: Their paths in it.
        """
        for name in names:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(folder / name, path)

    def add_cases(self, references: Sequence[ReferenceCase]) -> tuple[str, ...]:
        """Writes the smallest reference cases, in their order.

        Returns:
            Their paths inside the bundle.
        """
        (self.folder / "cases").mkdir()
        return tuple(map(self._add_case, smallest_cases(references, CASES_BUDGET)))

    def _add_case(self, reference: ReferenceCase) -> str:
        path = f"cases/{reference.case.name}.npz"
        write_case(self.folder / path, reference.case.inputs, reference.outputs)
        return path

    def commit(self, manifest: Manifest, foreign: Collection[str] = ()) -> Manifest:
        """Writes the manifest with every file's checksum, and puts the bundle in its place.

        The code in it is remembered as built here: this machine loads it from now on.

        Args:
            manifest: The manifest, without checksums; with the keys of engines that were made
                before.
            foreign: SHA-256 of files that were built elsewhere.

        Returns:
            The manifest as written.

        Raises:
            UsageError: There is code to be remembered, and the cache cannot be written.
        """
        files = record_files(self.folder)
        artifacts = {target: _portable(item) for target, item in manifest.artifacts.items()}
        manifest = dataclasses.replace(manifest, files=files, artifacts=artifacts)
        made = {target: engine_key(target, manifest) for target in manifest.artifacts}
        manifest = dataclasses.replace(manifest, keys={**made, **manifest.keys})
        rendered = manifest.render()
        # What no reader takes is not written.
        Manifest.parse(rendered, str(self._path))
        (self.folder / FILE_NAME).write_bytes(rendered)
        code = {files[name].sha256 for name in all_code(manifest)} - set(foreign)
        if code:
            from modelport.ops.build.known_code import remember

            remember(code)
        self.place()
        return manifest

    def place(self) -> None:
        """Renames the folder, its manifest included, to the bundle's path."""
        # mkdtemp makes a folder for its owner alone; one that is made plainly has the usual mode.
        plain = self.folder / "mode"
        plain.mkdir()
        mode = plain.stat().st_mode
        plain.rmdir()
        self.folder.chmod(mode & 0o777)
        if self._zipped:
            with replacing(self._path) as archive:
                pack(self.folder, archive)
        else:
            put_in_place(self.folder, self._path)


def all_code(manifest: Manifest) -> set[str]:
    """The files of a bundle that are code, or become code when they are built."""
    code = {name for target in manifest.artifacts for name in manifest.code_of(target)}
    own = {name for name in manifest.files if name.startswith(f"{FOLDER}/")}
    return own | (code & set(manifest.files))


def _portable(artifact: Artifact) -> Artifact:
    """The same with `PLATFORM` in the paths of libraries."""
    own, any_other = f"{FOLDER}/{platform_name()}/", f"{FOLDER}/{PLATFORM}/"

    def portable(value: Any) -> Any:
        if isinstance(value, str):
            return any_other + value.removeprefix(own) if value.startswith(own) else value
        if isinstance(value, Mapping):
            return {name: portable(item) for name, item in value.items()}
        return [portable(item) for item in value] if isinstance(value, list | tuple) else value

    files = tuple(map(portable, artifact.files))
    return dataclasses.replace(artifact, files=files, options=portable(artifact.options))


def engine_key(target: Target, manifest: Manifest) -> str:
    """Build key of an engine: hash of the captured graph, libraries and versions.

    Args:
        target: What it is for; the manifest need not have it yet.
        manifest: With the checksums of the files.
    """
    own = f"{FOLDER}/{platform_name()}/"
    made_from = {
        "target": str(target),
        "version": manifest.versions.get(target.backend, ""),
        "files": {
            name: record.sha256
            for name, record in manifest.files.items()
            if name == GRAPH or name.startswith(own)
        },
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
