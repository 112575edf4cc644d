"""`manifest.json`: what a bundle holds."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelport.backends.base import Artifact
from modelport.bundle.manifest_fields import (
    MAX_FILES,
    MAX_STAGES,
    MAX_TARGETS,
    expect,
    read_digest,
    read_mapping,
    read_name,
    read_path,
    read_signature,
    require_few,
)
from modelport.bundle.option_schema import require_options
from modelport.bundle.strict_json import CONTROL, read_json
from modelport.errors import BundleError, UsageError
from modelport.files.trusted_code import TrustedCode
from modelport.signature import Signature
from modelport.target import Target

FORMAT = 2
PLATFORM = "{platform}"
"""Stands for the platform in the paths of libraries of operators."""
FILE_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.sig"
_TAIL = ',\n  "sha256": "{}"\n}}\n'
_TAIL_BYTES = len(_TAIL.format("0" * 64))
_AGAIN = "copy the bundle again, or deploy again"


@dataclass(frozen=True)
class FileRecord:
    """What is known of a file of a bundle.

    Attributes:
        sha256: Hexadecimal SHA-256 of its content.
        size: Its bytes.
    """

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """What a bundle holds.

    Attributes:
        name: The model's name.
        signature: Inputs and outputs with dtypes, dimension names and ranges.
        artifacts: The engine of each target; `PLATFORM` is in the paths of libraries.
        keys: What stands for all that the engine of a target was made from.
        cases: Reference cases: ``.npz`` files inside the bundle.
        files: Every file but the manifest itself and its signature, by its path inside the bundle.
        verification: The comparison's figures, by target.
        findings: What was noticed about the model.
        provenance: Where the model comes from, versions of everything used, and the machine.
        stages: The stages of a pipeline of several models; each names a folder that is a bundle.
        outputs: Where each output of a pipeline comes from: ``stage.output`` by name.
        result: What the outputs mean; None for plain arrays.
        bounds: The user's own bounds on outputs' errors, ``rtol`` and ``atol``; each a number, or
            numbers by output name.
    """

    name: str
    signature: Signature
    artifacts: Mapping[Target, Artifact]
    cases: tuple[str, ...] = ()
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    verification: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Mapping[str, str], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[Target, str] = field(default_factory=dict)
    stages: tuple[Mapping[str, Any], ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    bounds: Mapping[str, Any] = field(default_factory=dict)

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions of everything used, by name."""
        return dict(self.provenance.get("versions", {}))

    @property
    def machine(self) -> Mapping[str, str]:
        """The machine that the bundle was built on; see `modelport.bundle.environment`."""
        return dict(self.provenance.get("machine", {}))

    def render(self) -> bytes:
        """The file's bytes; they end with a checksum of those before."""
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
                    "key": self.keys.get(target, ""),
                }
                for target, artifact in self.artifacts.items()
            ],
            "stages": list(self.stages),
            "outputs": dict(self.outputs),
            "result": self.result,
            "cases": list(self.cases),
            "bounds": dict(self.bounds),
            "verification": _printable(self.verification),
            "findings": _printable(list(self.findings)),
            "provenance": _printable(self.provenance),
            "files": {
                name: {"sha256": record.sha256, "bytes": record.size}
                for name, record in sorted(self.files.items())
            },
        }
        text = json.dumps(_plain(content), indent=2, allow_nan=False)
        body = text.removesuffix("\n}").encode()
        return body + _TAIL.format(hashlib.sha256(body).hexdigest()).encode()

    @classmethod
    def parse(cls, data: bytes, where: str) -> Manifest:
        """Reads the file's bytes.

        Args:
            data: The bytes.
            where: The bundle, for messages.

        Returns:
            The manifest.

        Raises:
            BundleError: The bytes were altered, are of another format, or say what cannot be.
        """
        try:
            content = expect(read_json(data), dict, FILE_NAME)
            version = content["format"]
        except (ValueError, KeyError, RecursionError) as error:
            raise BundleError(
                f"{FILE_NAME} is not readable",
                where=where,
                why=f"{type(error).__name__}: {error}",
                fix=_AGAIN,
            ) from error
        if version != FORMAT or isinstance(version, bool):
            raise BundleError(
                f"the bundle has format {version!r}, this modelport reads {FORMAT}",
                where=where,
                fix="install the version of modelport that wrote it, or deploy again",
            )
        body = data[:-_TAIL_BYTES]
        if body + _TAIL.format(hashlib.sha256(body).hexdigest()).encode() != data:
            raise BundleError(
                f"{FILE_NAME} was altered: its checksum does not match", where=where, fix=_AGAIN
            )
        try:
            return _read(content)
        except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
            raise BundleError(
                f"{FILE_NAME} says what cannot be",
                where=where,
                why=f"{type(error).__name__}: {error}",
                fix="deploy again",
            ) from error

    def code_of(self, target: Target) -> list[str]:
        """The files that the engine of a target may run as code.

        They are those that it names beside its graph, and whatever lies in the graph's folder and
        is neither a graph nor weights: a backend may look for it there.
        """
        artifact = self.artifacts[target]
        folder = artifact.graph.rpartition("/")[0]
        beside = (
            name
            for name in self.files
            if name.rpartition("/")[0] == folder and not name.endswith((".onnx", ".data"))
        )
        return sorted({*artifact.files, *beside})


def _bounds(content: Any) -> Mapping[str, Any]:
    """The bounds of a manifest, which older ones lack."""
    found = expect(content, dict, "bounds")
    if found.keys() - {"rtol", "atol"}:
        raise ValueError("bounds has more than rtol and atol")
    for bound in found.values():
        for value in bound.values() if isinstance(bound, dict) else (bound,):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError("a bound is not a number")
            if not 0 <= value < math.inf:
                raise ValueError("a bound is not a number from 0 up")
    return found


def _read(content: dict[str, Any]) -> Manifest:
    files = {
        read_path(name): FileRecord(
            read_digest(record["sha256"]), expect(record["bytes"], int, name)
        )
        for name, record in expect(content["files"], dict, "files").items()
    }
    require_few(files, MAX_FILES, "files")
    if {FILE_NAME, SIGNATURE_NAME} & set(files):
        raise ValueError("files names the manifest itself")
    artifacts: dict[Target, Artifact] = {}
    keys: dict[Target, str] = {}
    for entry in require_few(expect(content["targets"], list, "targets"), MAX_TARGETS, "targets"):
        target = Target.parse(expect(entry["target"], str, "target"))
        if target in artifacts:
            raise ValueError(f"two engines for {target}")
        artifacts[target] = _artifact(entry, files, target.backend)
        keys[target] = expect(entry["key"], str, "key")
    cases = tuple(_file(name, files) for name in expect(content["cases"], list, "cases"))
    return Manifest(
        name=read_name(content["name"], "name"),
        signature=read_signature(content["signature"]),
        artifacts=artifacts,
        keys=keys,
        cases=cases,
        files=files,
        verification=read_mapping(content["verification"], dict, "verification"),
        findings=tuple(
            expect(item, dict, "a finding")
            for item in expect(content["findings"], list, "findings")
        ),
        provenance=_provenance(content["provenance"]),
        bounds=_bounds(content.get("bounds", {})),
        stages=tuple(
            _stage(item, files)
            for item in require_few(expect(content["stages"], list, "stages"), MAX_STAGES, "stages")
        ),
        outputs=read_mapping(content.get("outputs", {}), str, "outputs"),
        result=None if content["result"] is None else _result(content["result"]),
    )


def _provenance(content: Any) -> dict[str, Any]:
    provenance = expect(content, dict, "provenance")
    for name in ("versions", "machine"):
        read_mapping(provenance.get(name, {}), str, name)
    return provenance


def _stage(content: Any, files: Mapping[str, FileRecord]) -> dict[str, Any]:
    stage = expect(content, dict, "a stage")
    read_name(stage["name"], "a stage's name")
    _file(f"{stage['bundle']}/{FILE_NAME}", files)
    read_mapping(stage["inputs"], str, "a stage's inputs")
    expect(stage["batch"], int, "a stage's batch")
    return stage


def _result(content: Any) -> dict[str, Any]:
    result = expect(content, dict, "result")
    expect(result["kind"], str, "a result's kind")
    for label in expect(result.get("labels", []), list, "a result's labels"):
        read_name(label, "a label")
    read_mapping(result.get("outputs", {}), str, "a result's outputs")
    return result


def _artifact(entry: Mapping[str, Any], files: Mapping[str, FileRecord], backend: str) -> Artifact:
    graph = _file(entry["graph"], files)
    if not graph.endswith(".onnx"):
        raise ValueError(f"{graph} is no graph")
    named = [read_path(name) for name in expect(entry["files"], list, "files")]
    own = tuple(name if PLATFORM in name else _file(name, files) for name in named)
    options = expect(entry["options"], dict, "options")
    require_options(backend, options, set(own))
    return Artifact(graph, own, options, code=_untrusted_code)


def _untrusted_code(folder: Path, name: str) -> TrustedCode:
    raise BundleError(f"{name} is code of a bundle that was not asked about", where=str(folder))


def _file(name: Any, files: Mapping[str, FileRecord]) -> str:
    if read_path(name) not in files:
        raise ValueError(f"there is no checksum of {name}")
    return str(name)


def _printable(value: Any) -> Any:
    """The same with escapes for the characters of texts that no reader takes."""
    if isinstance(value, str):
        text = value.encode(errors="backslashreplace").decode()
        return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    if isinstance(value, Mapping):
        return {_printable(name): _printable(item) for name, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list | tuple) else value


def _plain(value: Any) -> Any:
    """The same without floats that JSON has no form for."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
