"""Reader of bundles; it needs no PyTorch."""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.backends import REFERENCE_RUNTIME, Engine, open_engine
from modelport.backends.base import Artifact
from modelport.backends.registry import backend_of_file
from modelport.bundle.archive import MANIFEST_LIMIT, SIGNATURE_LIMIT, unpack
from modelport.bundle.checksums import Check, altered
from modelport.bundle.manifest import FILE_NAME, PLATFORM, SIGNATURE_NAME, Manifest
from modelport.errors import BundleError, ModelportError, UsageError
from modelport.files.beneath import read_beneath
from modelport.files.trusted_code import DigestError, TrustedCode, user_code
from modelport.target import Target

if TYPE_CHECKING:
    from modelport.numerics import ReferenceCase

_LOG = logging.getLogger("modelport.bundle")

_SUFFIXES = ("", ".port", ".zip")
"""Suffixes of bundles, usually."""
OVERLAP_FROM = 16 << 20
"""Bytes of a bundle whose checksums are made while the session opens; smaller ones before that."""


class Bundle:
    """An open bundle whose checksums are right.

    Attributes:
        folder: Where its files lie.
        manifest: What it holds.
        where: The directory or zip file that was opened.
        data: The bytes that the manifest was read from; what is signed is these.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        where: str,
        trust: bool = False,
        signer: Path | None = None,
        seal: tuple[bytes, bytes | None] = (b"", None),
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.where = where
        self.data, self._signature = seal
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
            UsageError: There is nothing at the path, it is not a bundle, or the key is not a key.
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
            return self._with_task(self._staged(target, options))
        chosen = self.choose(target)
        artifact = self.artifact(chosen)
        artifact = dataclasses.replace(artifact, options={**artifact.options, **options})
        return self._with_task(open_engine(self.folder, artifact, chosen, self.manifest.signature))

    def _staged(self, target: Target | str | None, options: Mapping[str, Any]) -> Engine:
        from modelport.pipeline.stages import Stage, StagedEngine

        engines = {stage: own.load(target, **options) for stage, own in self.stages.items()}
        stages = [Stage.from_json(item) for item in self.manifest.stages]
        return StagedEngine(stages, engines, self.manifest.outputs)

    def _with_task(self, engine: Engine) -> Engine:
        if self.manifest.result:
            from modelport.pipeline import task_of

            engine.task = task_of(self.manifest.result)
        return engine

    @functools.cached_property
    def stages(self) -> dict[str, Bundle]:
        """The bundles of a pipeline's stages, by their names; empty where there is one model.

        Raises:
            BundleError: A stage is not a bundle, or is altered.
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
        """Bundles of single models: a pipeline's stages in their order, or the bundle itself."""
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
        return dataclasses.replace(
            artifact,
            files=tuple(map(self._here, artifact.files)),
            options=self._here_in(artifact.options),
            code=self._code,
        )

    def _code(self, folder: Path, name: str) -> TrustedCode:
        """Opens a file that is loaded as code: this is where trust is asked for.

        A file that is none of the bundle's was named by the caller, by its absolute path.

        Raises:
            BundleError: It is not known here, or was altered meanwhile.
            UsageError: The caller named a file that the bundle does not have.
            OperatorError: The caller's file cannot be read.
        """
        if os.path.isabs(name):
            return user_code(folder, name)
        if name not in self.manifest.files:
            raise UsageError(
                f"{name} is no file of the bundle",
                where=self.where,
                fix="name your own files by absolute paths",
            )
        self.require_known([name])
        try:
            return TrustedCode.checked(folder, name, self.manifest.files[name].sha256)
        except DigestError as error:
            raise altered(name, self.where) from error
        except OSError as error:
            raise BundleError(
                f"{name} cannot be read", where=self.where, why=error.strerror
            ) from error

    def choose(self, target: Target | str | None) -> Target:
        """A target of the bundle; the first by default.

        Raises:
            UsageError: The bundle has no engine for the target.
        """
        artifacts = self.manifest.artifacts
        chosen = next(iter(artifacts), None) if target is None else Target.parse(target)
        if chosen is None or chosen not in artifacts:
            raise UsageError(
                f"the bundle has no engine for {chosen}" if chosen else "the bundle has no engine",
                fix=f"it has: {', '.join(map(str, artifacts)) or 'none'}",
            )
        return chosen

    def require_known(self, code: Sequence[str]) -> None:
        """Raises `BundleError` if some files are code that this machine does not trust.

        Code is known if this user built it on this machine, or if a known key signed it.
        """
        if not code:
            return
        if self._trust:
            _LOG.debug("%d files of code: loaded, the caller trusts the bundle", len(code))
            return
        from modelport.ops.build.known_code import is_remembered

        foreign = [name for name in code if not is_remembered(self.manifest.files[name].sha256)]
        if foreign and self.signer is None:
            raise _untrusted(foreign, self.where, self._signature is not None)
        reason = "a known key signed them" if foreign else "this user built them here"
        _LOG.debug("%d files of code: loaded, %s", len(code), reason)

    def standing(self, target: Target) -> str:
        """The state of an engine's code, for people: may it be loaded here."""
        try:
            self.artifact(target)
        except BundleError as error:
            return error.what
        return "is known here" if self.manifest.code_of(target) else "there is none"

    @property
    def is_trusted(self) -> bool:
        """True if all code in it may be loaded: the caller trusts it, or a known key signed it."""
        return self._trust or self.signer is not None

    @property
    def signed(self) -> str:
        """The signer of the bundle, or that it is not signed, for people."""
        if self._signature is None:
            return "not signed"
        return f"signed by {self.signer}" if self.signer else "signed by no key that is known here"

    @property
    def signer(self) -> Path | None:
        """The known key that signed the bundle; None if no known key did.

        Raises:
            UsageError: A known key cannot be read.
        """
        if self._signer is None and self._signature is not None:
            from modelport.bundle.digital_signature import known_keys, signer_of

            if keys := known_keys():
                self._signer = signer_of(self.data, self._signature, keys)
        return self._signer

    def reference_cases(self) -> list[ReferenceCase]:
        """The bundle's reference cases: inputs, and the reference model's outputs."""
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
        chosen = Target.parse(target or REFERENCE_RUNTIME)
        if chosen.precision != "fp32":
            raise UsageError(
                f"loading {path.name} converts nothing to {chosen.precision}",
                fix="leave the precision away: the graph runs in the one that it has",
            )
        return open_engine(path.parent, Artifact(path.name, (), options), chosen)
    if path.suffix not in _SUFFIXES and not path.exists():
        raise UsageError(f"no such file: {path}")
    if path.is_file() and not zipfile.is_zipfile(path):
        return backend_of_file(path).open_file(path, target, options, trust=trust)
    with _opened(path, trust, None if key is None else Path(key)) as (bundle, check):
        if bundle.manifest.stages:
            check.wait()
            return bundle.load(target, **options)
        chosen = bundle.choose(target)
        size = sum(record.size for record in bundle.manifest.files.values())
        if size < OVERLAP_FROM or bundle.manifest.code_of(chosen):
            check.wait()
            return bundle.load(chosen, **options)
        try:
            engine = bundle.load(chosen, **options)
        except ModelportError:
            # What was altered explains it better.
            check.wait()
            raise
        check.wait()
        return engine


@contextmanager
def _opened(path: Path, trust: bool, key: Path | None) -> Iterator[tuple[Bundle, Check]]:
    """Opens a bundle with a sound manifest and list of files; its checksums are still running."""
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
        data = read_beneath(folder, FILE_NAME, MANIFEST_LIMIT)
    except FileNotFoundError as error:
        raise UsageError(
            f"{where} is not a bundle: it has no {FILE_NAME}", why=error.strerror
        ) from error
    except OSError as error:
        raise BundleError(
            f"{FILE_NAME} cannot be read", where=where, why=error.strerror or str(error)
        ) from error
    manifest = Manifest.parse(data, where)
    signature = _read_signature(folder, where)
    if key is not None:
        _require_signed(data, signature, key, where)
    check = Check(folder, manifest, where)
    bundle = Bundle(folder, manifest, where=where, seal=(data, signature), trust=trust, signer=key)
    return bundle, check


def _read_signature(folder: Path, where: str) -> bytes | None:
    try:
        return read_beneath(folder, SIGNATURE_NAME, SIGNATURE_LIMIT)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BundleError(
            f"{SIGNATURE_NAME} cannot be read", where=where, why=error.strerror or str(error)
        ) from error


def _require_signed(data: bytes, signature: bytes | None, key: Path, where: str) -> None:
    from modelport.bundle.digital_signature import signer_of

    if signature is None:
        raise BundleError(
            "the bundle is not signed", where=where, fix="modelport bundle sign, by who made it"
        )
    if signer_of(data, signature, [key]) is None:
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
        f"into {keys_folder() or '~/.config/modelport/keys'}",
    )
