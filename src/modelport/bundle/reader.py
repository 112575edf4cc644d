"""Reading a bundle; no PyTorch is needed."""

from __future__ import annotations

import functools
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.backends import Engine, open_engine
from modelport.backends.base import Artifact
from modelport.bundle.archive import unpack
from modelport.bundle.checksums import Check
from modelport.bundle.manifest import FILE_NAME, PLATFORM, SIGNATURE_NAME, Manifest
from modelport.errors import BundleError, ModelportError, UsageError
from modelport.target import Target

if TYPE_CHECKING:
    from modelport.numerics import ReferenceCase

OVERLAP_FROM = 16 << 20
"""Bytes of a bundle whose checksums are made while the session opens; smaller ones before that."""


class Bundle:
    """A bundle that was opened and found to be whole.

    Attributes:
        folder: Where its files lie.
        manifest: What it holds.
        where: The directory or zip file that was opened.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        where: str,
        trust: bool = False,
        signer: Path | None = None,
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.where = where
        self._trust = trust
        self._signer = signer

    @staticmethod
    @contextmanager
    def open(
        path: str | os.PathLike[str],
        *,
        trust: bool = False,
        key: str | os.PathLike[str] | None = None,
    ) -> Iterator[Bundle]:
        """Opens a bundle and verifies every checksum.

        Args:
            path: A directory, or a zip file (unpacked for the time that it is open).
            trust: Whether code in it may be loaded that was neither built here nor signed.
            key: A PEM file with a public ed25519 key, by which the bundle must be signed.

        Yields:
            The bundle.

        Raises:
            UsageError: There is nothing at the path, it is no bundle, or the key is none.
            BundleError: A file is missing or altered, one too many, the format is another one, or
                the bundle is not signed by the key.
        """
        with _opened(Path(path), trust, None if key is None else Path(key)) as (bundle, check):
            check.wait()
            yield bundle

    def load(self, target: Target | str | None = None, **options: Any) -> Engine:
        """Opens the engine for a target.

        Args:
            target: One of the bundle's targets; the first by default.
            **options: Options of the backend, such as ``threads``.

        Returns:
            The engine.

        Raises:
            UsageError: The bundle has no engine for the target.
            BundleError: The engine has code that is not known here.
        """
        if self.manifest.stages:
            from modelport.bundle.join import load_stages

            return self._with_task(load_stages(self, target, options))
        wanted = self.choose(target)
        artifact = self.artifact(wanted)
        artifact = Artifact(artifact.graph, artifact.files, {**artifact.options, **options})
        return self._with_task(open_engine(self.folder, artifact, wanted, self.manifest.signature))

    def _with_task(self, engine: Engine) -> Engine:
        if self.manifest.result:
            from modelport.pipeline import task_of

            engine.task = task_of(self.manifest.result)
        return engine

    @functools.cached_property
    def stages(self) -> dict[str, Bundle]:
        """The bundles of a pipeline's stages, by their names; empty where there is one model.

        Raises:
            BundleError: A stage is no bundle, or altered.
        """
        opened = {}
        for stage in self.manifest.stages:
            own, check = _open_folder(
                self.folder / stage["bundle"], self.where, self.is_trusted, None
            )
            check.wait()
            opened[stage["name"]] = own
        return opened

    @property
    def models(self) -> list[Bundle]:
        """The bundles of its models: of a pipeline those of its stages, in their order."""
        if not self.manifest.stages:
            return [self]
        return [model for stage in self.stages.values() for model in stage.models]

    def artifact(self, target: Target) -> Artifact:
        """The engine of a target, with this platform's libraries.

        Raises:
            BundleError: It has code that is not known here, or none for this platform.
        """
        self.require_known([self._here(name) for name in self.manifest.code_of(target)])
        artifact = self.manifest.artifacts[target]
        files = tuple(map(self._here, artifact.files))
        return Artifact(artifact.graph, files, self._here_in(artifact.options))

    def choose(self, target: Target | str | None) -> Target:
        """One of the bundle's targets; the first by default.

        Raises:
            UsageError: The bundle has no engine for the target.
        """
        artifacts = self.manifest.artifacts
        wanted = next(iter(artifacts), None) if target is None else Target.parse(target)
        if wanted is None or wanted not in artifacts:
            raise UsageError(
                f"the bundle has no engine for {wanted}" if wanted else "the bundle has no engine",
                fix=f"it has: {', '.join(map(str, artifacts)) or 'none'}",
            )
        return wanted

    def require_known(self, code: Sequence[str]) -> None:
        """Raises `BundleError` where files are code that is not known here.

        Known is what this user built on this machine, and what a known key signed.
        """
        if not code or self._trust:
            return
        from modelport.bundle.trust import is_remembered

        foreign = [name for name in code if not is_remembered(self.manifest.files[name].sha256)]
        if foreign and self.signer is None:
            raise _untrusted(foreign, self.where, (self.folder / SIGNATURE_NAME).is_file())

    def standing(self, target: Target) -> str:
        """Whether an engine's code may be loaded here, for people."""
        try:
            self.artifact(target)
        except BundleError as error:
            return error.what
        return "is known here" if self.manifest.code_of(target) else "there is none"

    @property
    def is_trusted(self) -> bool:
        """Whether all code in it may be loaded: its caller said so, or a known key signed it."""
        return self._trust or self.signer is not None

    @property
    def signed(self) -> str:
        """Whether the bundle is signed, and by whom, for people."""
        if not (self.folder / SIGNATURE_NAME).is_file():
            return "not signed"
        return f"signed by {self.signer}" if self.signer else "signed by no key that is known here"

    @property
    def signer(self) -> Path | None:
        """The key that the bundle is signed by, among those that are known; None if by none.

        Raises:
            UsageError: A known key cannot be read.
        """
        signature = self.folder / SIGNATURE_NAME
        if self._signer is None and signature.is_file():
            from modelport.bundle.digital_signature import known_keys, signer_of

            if keys := known_keys():
                data = (self.folder / FILE_NAME).read_bytes()
                self._signer = signer_of(data, signature.read_bytes(), keys)
        return self._signer

    def reference_cases(self) -> list[ReferenceCase]:
        """The bundle's reference cases: inputs, and what the original made of them."""
        return [self._read_case(path) for path in self.manifest.cases]

    def _read_case(self, path: str) -> ReferenceCase:
        from modelport.files.arrays import as_declared
        from modelport.numerics import Case, ReferenceCase, read_case

        signature = self.manifest.signature
        case, outputs = read_case(self.folder / path)
        return ReferenceCase(
            Case(case.name, as_declared(case.inputs, signature.inputs), "kept in the bundle"),
            as_declared(outputs, signature.outputs),
        )

    def _here(self, name: str) -> str:
        """A path for this platform.

        Raises:
            BundleError: The bundle has no such library for it.
        """
        if PLATFORM not in name:
            return name
        from modelport.ops.elf_check import platform_name

        own = name.replace(PLATFORM, platform_name())
        if own not in self.manifest.files:
            raise BundleError(
                f"the bundle has no library of operators for {platform_name()}",
                where=f"{self.where}: {own}",
                fix="build it here, from the sources in the bundle: "
                f"modelport bundle add {self.where} --operators",
            )
        return own

    def _here_in(self, options: Any) -> Any:
        if isinstance(options, str):
            return self._here(options)
        if isinstance(options, Mapping):
            return {name: self._here_in(value) for name, value in options.items()}
        return [self._here_in(item) for item in options] if isinstance(options, list) else options


def load(
    path: str | os.PathLike[str],
    target: Target | str | None = None,
    *,
    trust: bool = False,
    key: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Engine:
    """Opens the engine of a bundle, or of an ONNX file, or an engine file.

    Args:
        path: A bundle (directory or zip), a ``.onnx`` file, which runs as it is, or an ``.engine``
            file that `modelport.compile` wrote.
        target: One of the bundle's targets, the first by default; for an ONNX file any target
            whose backend takes one, ONNX Runtime on the CPU by default.
        trust: Whether code in the bundle (libraries of operators, built engines) may be loaded
            that was neither built on this machine nor signed by a known key.
        key: A PEM file with a public ed25519 key, by which the bundle must be signed.
        **options: Options of the backend, such as ``threads``.

    Returns:
        The engine.

    Raises:
        UsageError: There is nothing at the path, or the bundle has no such target.
        BundleError: A file of the bundle is missing or was altered, the bundle is not signed by
            the key, or has code that is not known here.
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
        return open_engine(path.parent, Artifact(path.name, (), options), wanted)
    if path.suffix == ".engine":
        from modelport.backends.tensorrt.engine import open_engine_file

        return open_engine_file(path, target, options)
    with _opened(path, trust, None if key is None else Path(key)) as (bundle, check):
        if bundle.manifest.stages:
            check.wait()
            return bundle.load(target, **options)
        wanted = bundle.choose(target)
        size = sum(record.size for record in bundle.manifest.files.values())
        if size < OVERLAP_FROM or bundle.manifest.code_of(wanted):
            check.wait()
            return bundle.load(wanted, **options)
        try:
            engine = bundle.load(wanted, **options)
        except ModelportError:
            # What was altered explains it better.
            check.wait()
            raise
        check.wait()
        return engine


@contextmanager
def _opened(path: Path, trust: bool, key: Path | None) -> Iterator[tuple[Bundle, Check]]:
    """A bundle whose manifest and list of files are sound; its checksums are under way."""
    if path.is_dir():
        yield _open_folder(path, str(path), trust, key)
    elif not path.exists():
        raise UsageError(f"no such bundle: {path}")
    elif not zipfile.is_zipfile(path):
        raise UsageError(f"{path} is neither a bundle nor an ONNX file")
    else:
        with tempfile.TemporaryDirectory() as unpacked:
            unpack(path, Path(unpacked))
            yield _open_folder(Path(unpacked), str(path), trust, key)


def _open_folder(folder: Path, where: str, trust: bool, key: Path | None) -> tuple[Bundle, Check]:
    try:
        data = (folder / FILE_NAME).read_bytes()
    except OSError as error:
        raise UsageError(
            f"{where} is not a bundle: it has no {FILE_NAME}", why=error.strerror
        ) from error
    manifest = Manifest.parse(data, where)
    if key is not None:
        _require_signed(data, folder / SIGNATURE_NAME, key, where)
    check = Check(folder, manifest, where)
    return Bundle(folder, manifest, where=where, trust=trust, signer=key), check


def _require_signed(data: bytes, signature: Path, key: Path, where: str) -> None:
    from modelport.bundle.digital_signature import signer_of

    if not signature.is_file():
        raise BundleError(
            "the bundle is not signed", where=where, fix="modelport bundle sign, by who made it"
        )
    if signer_of(data, signature.read_bytes(), [key]) is None:
        raise BundleError(
            f"the bundle is not signed by {key}",
            where=where,
            why="the signature does not hold for this key and this content",
            fix="ask who made it for the key, or for the bundle",
        )


def _untrusted(names: Sequence[str], where: str, is_signed: bool) -> BundleError:
    from modelport.bundle.digital_signature import keys_folder

    signed = "signed by no key that is known here" if is_signed else "not signed"
    return BundleError(
        f"the bundle has code that is not known here: {', '.join(names)}",
        where=where,
        why=f"it was not built by this user on this machine, and the bundle is {signed}",
        fix="if you know where it comes from: trust=True, or --trust, or once and for all "
        f"`modelport bundle trust {where}`; to know its maker from now on, put their public key "
        f"into {keys_folder()}",
    )
