"""Contents of a bundle, for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from modelport.bundle.certificate import certificates
from modelport.bundle.manifest import FILE_NAME, FORMAT, PLATFORM, SIGNATURE_NAME, Manifest
from modelport.bundle.reader import Bundle
from modelport.ops.elf_check import FOLDER, SOURCES


@dataclass(frozen=True)
class Entry:
    """A file of a bundle.

    Attributes:
        path: Its path inside.
        size: Its bytes.
        sha256: Of its content.
        role: What it is: ``graph``, ``weights``, ``engine``, ``library``, ``source``, ``case``,
            ``manifest`` (of a stage, and its signature) or ``page``.
        targets: The targets that need it.
        stage: The stage of a pipeline that it belongs to.
    """

    path: str
    size: int
    sha256: str
    role: str
    targets: tuple[str, ...] = ()
    stage: str = ""


def list_entries(bundle: Bundle) -> Iterator[Entry]:
    """The files of a bundle, by path."""
    manifest = bundle.manifest
    inside: dict[str, Entry] = {}
    for stage in manifest.stages:
        for entry in list_entries(bundle.stages[stage["name"]]):
            name = ".".join(filter(None, (stage["name"], entry.stage)))
            path = f"{stage['bundle']}/{entry.path}"
            inside[path] = dataclasses.replace(entry, path=path, stage=name)
        for own in (FILE_NAME, SIGNATURE_NAME):
            if record := manifest.files.get(path := f"{stage['bundle']}/{own}"):
                inside[path] = Entry(
                    path, record.size, record.sha256, "manifest", (), stage["name"]
                )
    for path, record in manifest.files.items():
        if path in inside:
            yield inside[path]
            continue
        targets = tuple(
            str(target)
            for target, artifact in manifest.artifacts.items()
            if _any_platform(path) in (artifact.graph, f"{artifact.graph}.data", *artifact.files)
        )
        role = _role(path, manifest, bool(targets))
        yield Entry(path, record.size, record.sha256, role, targets)


def describe(bundle: Bundle) -> dict[str, Any]:
    """Contents, origin and signer of a bundle, as plain dicts and lists."""
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "format": FORMAT,
        "bytes": sum(record.size for record in manifest.files.values()),
        "signature": manifest.signature.to_json(),
        "targets": [
            {
                "target": str(target),
                "graph": artifact.graph,
                "files": list(artifact.files),
                "key": manifest.keys[target],
                "verified": bool(manifest.verification.get(str(target), {}).get("ok")),
                "code": bundle.standing(target),
            }
            for target, artifact in manifest.artifacts.items()
        ],
        "certificates": [item.to_json() for item in certificates(manifest)],
        "stages": [
            {**stage, "model": describe(bundle.stages[stage["name"]])} for stage in manifest.stages
        ],
        "outputs": dict(manifest.outputs),
        "result": manifest.result,
        "cases": len(manifest.cases),
        "platforms": sorted(
            {name for model in bundle.models for name in platforms(model.manifest)}
        ),
        "signed": bundle.signed,
        "machine": dict(manifest.machine),
        "versions": dict(manifest.versions),
        "findings": list(manifest.findings),
    }


def platforms(manifest: Manifest) -> list[str]:
    """The platforms that the bundle has libraries of operators for."""
    names = {
        path.split("/")[1]
        for path in manifest.files
        if path.startswith(f"{FOLDER}/") and not path.startswith(f"{SOURCES}/")
    }
    return sorted(names)


def _any_platform(path: str) -> str:
    parts = path.split("/")
    is_library = len(parts) == 3 and parts[0] == FOLDER
    return f"{FOLDER}/{PLATFORM}/{parts[2]}" if is_library else path


def _role(path: str, manifest: Manifest, is_needed: bool) -> str:
    if path in manifest.cases:
        return "case"
    if path.startswith(f"{SOURCES}/"):
        return "source"
    if path.startswith(f"{FOLDER}/"):
        return "library"
    if path.endswith(".onnx"):
        return "graph"
    if path.endswith(".data"):
        return "weights"
    return "engine" if is_needed else "page"
