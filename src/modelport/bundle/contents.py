"""What lies in a bundle, for people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from modelport.bundle.manifest import PLATFORM, Manifest
from modelport.ops.binaries import FOLDER, SOURCES


@dataclass(frozen=True)
class Entry:
    """A file of a bundle.

    Attributes:
        path: Its path inside.
        size: Its bytes.
        sha256: Of its content.
        role: What it is: ``graph``, ``weights``, ``engine``, ``library``, ``source``, ``case``,
            ``stage`` or ``page``.
        targets: The targets that need it.
    """

    path: str
    size: int
    sha256: str
    role: str
    targets: tuple[str, ...] = ()


def list_entries(manifest: Manifest) -> Iterator[Entry]:
    """The files of a bundle, by path."""
    for path, record in manifest.files.items():
        targets = tuple(
            str(target)
            for target, artifact in manifest.artifacts.items()
            if _any_platform(path) in (artifact.graph, f"{artifact.graph}.data", *artifact.files)
        )
        role = _role(path, manifest, bool(targets))
        yield Entry(path, record.size, record.sha256, role, targets)


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
    stages = tuple(f"{stage.get('bundle')}/" for stage in manifest.stages)
    if path in manifest.cases:
        return "case"
    if stages and path.startswith(stages):
        return "stage"
    if path.startswith(f"{SOURCES}/"):
        return "source"
    if path.startswith(f"{FOLDER}/"):
        return "library"
    if path.endswith(".onnx"):
        return "graph"
    if path.endswith(".data"):
        return "weights"
    return "engine" if is_needed else "page"
