"""Bundles from bundles: libraries added, files removed, signed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from modelport.backends.base import GRAPH
from modelport.bundle.checksums import copy_checked
from modelport.bundle.digital_signature import make_signature
from modelport.bundle.manifest import FILE_NAME, SIGNATURE_NAME, Manifest
from modelport.bundle.reader import Bundle
from modelport.bundle.writer import BundleWriter, all_code
from modelport.errors import UsageError
from modelport.ops.build.known_code import remember
from modelport.ops.elf_check import FOLDER, SOURCES, platform_name
from modelport.ops.library_store import place_library
from modelport.target import Target

StrPath = str | os.PathLike[str]
PARTS = {"cases": "cases/", "report": "report.html", "sources": f"{SOURCES}/"}
"""Prefixes of paths that `strip` can remove, by name."""


def add_operators(
    bundle: StrPath, output: StrPath | None = None, *, trust: bool = False, cuda: bool = False
) -> list[str]:
    """Builds the bundle's libraries of operators for this platform, from the sources in it.

    Args:
        bundle: The bundle.
        output: Where to write; in its place by default. What was signed is signed no more.
        trust: Whether sources may be built and loaded that neither this user wrote into a bundle
            on this machine nor a known key signed.
        cuda: Whether the CUDA kernels are to be in the libraries.

    Returns:
        The libraries, by their paths in the bundle.

    Raises:
        UsageError: The bundle has no sources.
        BundleError: The bundle is altered, or its sources are not known here.
        OperatorError: They cannot be built.
    """
    from modelport.ops.build import build_sources

    with changed_bundle(bundle, output, trust) as (opened, writer):
        if not _sources(opened):
            raise UsageError(
                f"{bundle} has no sources of operators",
                fix="deploy again: operators that are declared bring their sources along",
            )
        made = []
        for prefix, own in stages_of(opened):
            if _sources(own):
                inside = add_operators(writer.folder / prefix, trust=own.is_trusted, cuda=cuda)
                made += [f"{prefix}/{name}" for name in inside]
        sources = [name for name in opened.manifest.files if name.startswith(f"{SOURCES}/")]
        opened.require_known(sources)
        for domain in sorted({name.split("/")[2] for name in sources}):
            library = f"{FOLDER}/{platform_name()}/{domain}.so"
            (writer.folder / library).parent.mkdir(exist_ok=True)
            built = build_sources(writer.folder / SOURCES / domain, domain, cuda=cuda)
            place_library(built, (writer.folder / library).parent)
            made.append(library)
        commit_changed(writer, opened.manifest, opened.manifest)
    return made


def strip(
    bundle: StrPath,
    output: StrPath | None = None,
    *,
    targets: Sequence[Target | str] = (),
    platforms: Sequence[str] = (),
    parts: Collection[str] = (),
) -> list[str]:
    """Removes files from a bundle.

    Args:
        bundle: The bundle.
        output: Bundle to write; the bundle itself by default. A signature does not hold for it.
        targets: Targets whose engines go, with the files that no other target needs.
        platforms: Platforms whose libraries of operators go, such as ``linux-x86_64``.
        parts: Names of `PARTS` to remove.

    Returns:
        The files that went.

    Raises:
        UsageError: There is no such part, or no engine would be left.
        BundleError: The bundle is altered.
    """
    with changed_bundle(bundle, output, False) as (opened, writer):
        manifest = opened.manifest
        if opened.stages:
            removed = [
                f"{prefix}/{name}"
                for prefix, _ in stages_of(opened)
                for name in strip(
                    writer.folder / prefix, targets=targets, platforms=platforms, parts=parts
                )
            ]
            own = list(manifest.cases) if "cases" in parts else []
            for name in own:
                _remove(writer.folder, name)
            kept_cases = tuple(name for name in manifest.cases if name not in own)
            commit_changed(writer, dataclasses.replace(manifest, cases=kept_cases), manifest)
            return sorted([*own, *removed])
        gone = {opened.choose(target) for target in targets}
        kept = {item: artifact for item, artifact in manifest.artifacts.items() if item not in gone}
        if not kept:
            raise UsageError(f"{bundle} would have no engine", fix="leave a target in it")
        unused = _files_of(manifest, gone) - _files_of(manifest, kept) - {GRAPH}
        beginnings = (
            *(PARTS[part] for part in parts),
            *(f"{FOLDER}/{platform}/" for platform in platforms),
        )
        named = {name for name in manifest.files if name.startswith(beginnings)}
        for name in unused | named:
            _remove(writer.folder, name)
        changed = dataclasses.replace(
            manifest,
            artifacts=kept,
            keys={target: key for target, key in manifest.keys.items() if target in kept},
            cases=tuple(name for name in manifest.cases if name not in named),
        )
        commit_changed(writer, changed, manifest)
    return sorted(unused | named)


def trust_code(bundle: StrPath, key: StrPath | None = None) -> list[str]:
    """Remembers the code of a bundle: from now on this user loads it on this machine.

    Args:
        bundle: The bundle.
        key: A PEM file with a public ed25519 key, by which the bundle must be signed.

    Returns:
        The files that are known from now on.

    Raises:
        UsageError: There is no bundle, or the cache cannot be written.
        BundleError: The bundle is altered, or not signed by the key.
    """
    with Bundle.open(bundle, key=key) as opened:
        code = sorted(_code(opened))
        remember(opened.manifest.files[name].sha256 for name in code)
    return code


def sign(bundle: StrPath, private: StrPath) -> None:
    """Signs a bundle in place.

    Args:
        bundle: The bundle.
        private: A PEM file with a private ed25519 key.

    Raises:
        UsageError: There is no bundle, or the key cannot be read.
        BundleError: The bundle is altered.
    """
    with changed_bundle(bundle, None, False) as (opened, writer):
        (writer.folder / FILE_NAME).write_bytes(opened.data)
        signature = make_signature(opened.data, Path(private))
        (writer.folder / SIGNATURE_NAME).write_bytes(signature)
        writer.place()


def stages_of(opened: Bundle) -> Iterator[tuple[str, Bundle]]:
    """The stages of a pipeline: their folders in the bundle, and the bundles that they are."""
    for stage in opened.manifest.stages:
        yield stage["bundle"], opened.stages[stage["name"]]


def _code(opened: Bundle) -> set[str]:
    """The files that are code, those of stages included."""
    inside = {f"{prefix}/{name}" for prefix, own in stages_of(opened) for name in _code(own)}
    return all_code(opened.manifest) | inside


def _sources(opened: Bundle) -> bool:
    """Return True if there are sources of operators, in any of its models."""
    files = (name for model in opened.models for name in model.manifest.files)
    return any(name.startswith(f"{SOURCES}/") for name in files)


@contextmanager
def changed_bundle(
    bundle: StrPath, output: StrPath | None, trust: bool
) -> Iterator[tuple[Bundle, BundleWriter]]:
    """Opens a bundle, and a writer with its files except the manifest and its signature."""
    path = Path(bundle)
    with (
        Bundle.open(path, trust=trust) as opened,
        BundleWriter(Path(output or path), zipped=path.is_file()) as writer,
    ):
        for name, record in opened.manifest.files.items():
            place = writer.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            copy_checked(opened.folder, name, record, place, opened.where)
        yield opened, writer


def commit_changed(writer: BundleWriter, manifest: Manifest, before: Manifest) -> None:
    """Replaces a bundle by its changed version; its code stays trusted if it was."""
    writer.commit(manifest, {record.sha256 for record in before.files.values()})


def _files_of(manifest: Manifest, targets: Collection[Target]) -> set[str]:
    """Files that the engines of targets need, without libraries of operators."""
    artifacts = [manifest.artifacts[target] for target in targets]
    named = {name for item in artifacts for name in (item.graph, *item.files)}
    weights = {f"{item.graph}.data" for item in artifacts}
    return (named | weights) & set(manifest.files)


def _remove(folder: Path, name: str) -> None:
    """Removes a file, and the folders that become empty."""
    path = folder / name
    path.unlink()
    for parent in path.relative_to(folder).parents:
        if parent != Path() and not any((folder / parent).iterdir()):
            (folder / parent).rmdir()
