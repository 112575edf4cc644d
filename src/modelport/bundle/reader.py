"""Reading a bundle; no PyTorch is needed."""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelport.backends import Engine, get_backend
from modelport.backends.adapters import load_engine
from modelport.backends.interface import Artifact
from modelport.bundle.manifest import FILE_NAME, Manifest, is_inside, sha256
from modelport.errors import BundleError, UsageError
from modelport.pipeline import task_of
from modelport.proof import Case, ReferenceCase, read_case
from modelport.target import Target
from modelport.tensorfile import as_declared


class Bundle:
    """A bundle that was opened and found to be whole.

    Attributes:
        folder: Where its files lie.
        manifest: What it holds.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @staticmethod
    @contextmanager
    def open(path: str | os.PathLike[str]) -> Iterator[Bundle]:
        """Opens a bundle and verifies every checksum.

        Args:
            path: A directory, or a zip file (unpacked for the time that it is open).

        Yields:
            The bundle.

        Raises:
            UsageError: There is nothing at the path, or it is no bundle.
            BundleError: A file is missing or altered, or the format is newer.
        """
        path = Path(path)
        if path.is_dir():
            yield _open_folder(path, str(path))
        elif not path.exists():
            raise UsageError(f"no such bundle: {path}")
        elif not zipfile.is_zipfile(path):
            raise UsageError(f"{path} is neither a bundle nor an ONNX file")
        else:
            with tempfile.TemporaryDirectory() as unpacked:
                _unpack(path, Path(unpacked))
                yield _open_folder(Path(unpacked), str(path))

    def load(self, target: Target | str | None = None, **options: Any) -> Engine:
        """Opens the engine for a target.

        Args:
            target: One of the bundle's targets; the first by default.
            **options: Options of the backend, such as ``threads``.

        Returns:
            The engine.

        Raises:
            UsageError: The bundle has no engine for the target.
        """
        if self.manifest.stages:
            from modelport.bundle.staging import load_stages

            engine = load_stages(self, target, options)
            engine.task = task_of(self.manifest.result)
            return engine
        artifacts = self.manifest.artifacts
        wanted = next(iter(artifacts)) if target is None else Target.parse(target)
        if wanted not in artifacts:
            raise UsageError(
                f"the bundle has no engine for {wanted}",
                fix=f"it has: {', '.join(map(str, artifacts))}",
            )
        artifact = artifacts[wanted]
        artifact = Artifact(artifact.graph, artifact.files, {**artifact.options, **options})
        engine = load_engine(self.folder, artifact, wanted, self.manifest.signature)
        engine.task = task_of(self.manifest.result)
        return engine

    def reference_cases(self) -> list[ReferenceCase]:
        """The bundle's reference cases: inputs, and what the original made of them."""
        return [self._read_case(path) for path in self.manifest.cases]

    def _read_case(self, path: str) -> ReferenceCase:
        signature = self.manifest.signature
        case, outputs = read_case(self.folder / path)
        return ReferenceCase(
            Case(case.name, as_declared(case.inputs, signature.inputs), "kept in the bundle"),
            as_declared(outputs, signature.outputs),
        )


def load(
    path: str | os.PathLike[str], target: Target | str | None = None, **options: Any
) -> Engine:
    """Opens the engine of a bundle, or of an ONNX file, or an engine file.

    Args:
        path: A bundle (directory or zip), a ``.onnx`` file, which runs as it is, or an ``.engine``
            file that `modelport.compile` wrote.
        target: One of the bundle's targets, the first by default; for an ONNX file any target
            whose backend takes one, ONNX Runtime on the CPU by default.
        **options: Options of the backend, such as ``threads``.

    Returns:
        The engine.

    Raises:
        UsageError: There is nothing at the path, or the bundle has no such target.
        BundleError: A file of the bundle is missing or was altered.
        BuildError: The backend cannot open it.
    """
    path = Path(path)
    if path.suffix == ".onnx":
        if not path.is_file():
            raise UsageError(f"no such file: {path}")
        wanted = Target.parse(target or "onnxruntime")
        if wanted.precision != "fp32":
            raise UsageError(
                f"loading {path.name} converts nothing to {wanted.precision}",
                fix="leave the precision away: the graph runs in the one that it has",
            )
        return get_backend(wanted).load(path.parent, Artifact(path.name, (), options), wanted)
    if path.suffix == ".engine":
        from modelport.backends.tensorrt import open_engine

        return open_engine(path, target, options)
    with Bundle.open(path) as bundle:
        return bundle.load(target, **options)


def _open_folder(folder: Path, where: str) -> Bundle:
    manifest_path = folder / FILE_NAME
    if not manifest_path.is_file():
        raise UsageError(f"{where} is not a bundle: it has no {FILE_NAME}")
    manifest = Manifest.parse(manifest_path.read_bytes(), where)
    used = [path for item in manifest.artifacts.values() for path in (item.graph, *item.files)]
    for name in [*used, *manifest.cases]:
        if name not in manifest.files:
            raise BundleError(
                f"{FILE_NAME} has no checksum of {name}", where=where, fix="deploy again"
            )
    for name, expected in manifest.files.items():
        path = folder / name
        if not is_inside(name) or not path.is_file():
            raise BundleError(
                f"{name} is missing", where=where, fix="copy the bundle again, or deploy again"
            )
        if sha256(path) != expected:
            raise BundleError(
                f"{name} was altered: its checksum does not match",
                where=where,
                fix="copy the bundle again, or deploy again",
            )
    return Bundle(folder, manifest)


def _unpack(path: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if not is_inside(name):
                    raise BundleError(f"{name!r} lies outside the bundle", where=str(path))
            archive.extractall(folder)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
        raise BundleError("the zip file is damaged", where=str(path), why=str(error)) from error
