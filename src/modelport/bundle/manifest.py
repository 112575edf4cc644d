"""`manifest.json`: what a bundle holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from modelport.backends.interface import Artifact
from modelport.errors import BundleError
from modelport.signature import Signature
from modelport.target import Target

FORMAT = 1
FILE_NAME = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What a bundle holds.

    Attributes:
        name: The model's name.
        signature: Inputs and outputs with dtypes, dimension names and ranges.
        artifacts: The engine of each target.
        cases: Reference cases: ``.npz`` files inside the bundle.
        files: SHA-256 of every other file, by its path inside the bundle.
        verification: The comparison's figures, by target.
        findings: What was noticed about the model.
        provenance: Where the model comes from, and versions of everything used.
        stages: The stages of a pipeline of several models; each names a folder that is a bundle.
        result: What the outputs mean; None for plain arrays.
    """

    name: str
    signature: Signature
    artifacts: Mapping[Target, Artifact]
    cases: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    verification: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Mapping[str, str], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    stages: tuple[Mapping[str, Any], ...] = ()
    result: Mapping[str, Any] | None = None

    def render(self) -> bytes:
        """The file's bytes; they carry a checksum of themselves."""
        content = {
            "format": FORMAT,
            "name": self.name,
            "signature": self.signature.to_json(),
            "targets": [
                {
                    "target": str(target),
                    "graph": artifact.graph,
                    "files": list(artifact.files),
                    "options": dict(artifact.options),
                }
                for target, artifact in self.artifacts.items()
            ],
            "stages": list(self.stages),
            "result": self.result,
            "cases": list(self.cases),
            "verification": self.verification,
            "findings": list(self.findings),
            "provenance": self.provenance,
            "files": dict(sorted(self.files.items())),
        }
        return _render(content)

    @classmethod
    def parse(cls, data: bytes, where: str) -> Manifest:
        """Reads the file's bytes.

        Args:
            data: The bytes.
            where: The bundle, for messages.

        Returns:
            The manifest.

        Raises:
            BundleError: The bytes were altered, or are of a newer format.
        """
        try:
            content = json.loads(data)
            version = content["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"{FILE_NAME} is not readable", where=where, why=str(error)
            ) from error
        if version != FORMAT:
            raise BundleError(
                f"the bundle has format {version!r}, this modelport reads {FORMAT}",
                where=where,
                fix="install the version of modelport that wrote it, or deploy again",
            )
        content.pop("sha256", None)
        if _render(content) != data:
            raise BundleError(
                f"{FILE_NAME} was altered: its checksum does not match",
                where=where,
                fix="copy the bundle again, or deploy again",
            )
        return cls(
            name=content["name"],
            signature=Signature.from_json(content["signature"]),
            artifacts={
                Target.parse(entry["target"]): Artifact(
                    entry["graph"], tuple(entry["files"]), entry["options"]
                )
                for entry in content["targets"]
            },
            cases=tuple(content["cases"]),
            files=content["files"],
            verification=content["verification"],
            findings=tuple(content["findings"]),
            provenance=content["provenance"],
            stages=tuple(content.get("stages", ())),
            result=content.get("result"),
        )


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_inside(path: str) -> bool:
    """Whether a path stays inside the folder that it is relative to."""
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and "\\" not in path


def _render(content: Mapping[str, Any]) -> bytes:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**content, "sha256": digest}, indent=2) + "\n").encode()
