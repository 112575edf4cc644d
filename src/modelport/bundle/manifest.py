"""`manifest.json`: what a bundle holds."""

from __future__ import annotations

import hashlib
import json
import math
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from modelport.backends.adapters import ADAPTERS_OPTION
from modelport.backends.base import Artifact
from modelport.errors import BundleError, UsageError
from modelport.signature import Signature
from modelport.target import Target

FORMAT = 2
PLATFORM = "{platform}"
"""Stands for the platform in the paths of libraries of operators."""
FILE_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.sig"
_TAIL = ',\n  "sha256": "{}"\n}}\n'
_TAIL_BYTES = len(_TAIL.format("0" * 64))
_DIGEST = re.compile(r"[0-9a-f]{64}")
_AGAIN = "copy the bundle again, or deploy again"

T = TypeVar("T")


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
            "verification": self.verification,
            "findings": list(self.findings),
            "provenance": self.provenance,
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
            # RFC 8259 has UTF-8 alone; json would guess at others.
            content = json.loads(data.decode(), object_pairs_hook=_once)
            content = _expect(content, dict, FILE_NAME)
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


def is_inside(path: str) -> bool:
    """Whether a path stays inside the folder that it is relative to, written in the plain way."""
    parts = path.split("/")
    plain = not any(character < " " or character in "\\:" for character in path)
    return plain and not {"", ".", ".."} & set(parts)


def _read(content: dict[str, Any]) -> Manifest:
    files = {
        _path(name): FileRecord(_digest(record["sha256"]), _expect(record["bytes"], int, name))
        for name, record in _expect(content["files"], dict, "files").items()
    }
    if {FILE_NAME, SIGNATURE_NAME} & set(files):
        raise ValueError("files names the manifest itself")
    artifacts: dict[Target, Artifact] = {}
    keys: dict[Target, str] = {}
    for entry in _expect(content["targets"], list, "targets"):
        target = Target.parse(_expect(entry["target"], str, "target"))
        if target in artifacts:
            raise ValueError(f"two engines for {target}")
        artifacts[target] = _artifact(entry, files)
        keys[target] = _expect(entry["key"], str, "key")
    cases = tuple(_file(name, files) for name in _expect(content["cases"], list, "cases"))
    return Manifest(
        name=_expect(content["name"], str, "name"),
        signature=_signature(content["signature"]),
        artifacts=artifacts,
        keys=keys,
        cases=cases,
        files=files,
        verification=_mapping(content["verification"], dict, "verification"),
        findings=tuple(_expect(item, dict, "a finding") for item in content["findings"]),
        provenance=_provenance(content["provenance"]),
        stages=tuple(_stage(item, files) for item in content["stages"]),
        outputs=_mapping(content.get("outputs", {}), str, "outputs"),
        result=None if content["result"] is None else _result(content["result"]),
    )


def _provenance(content: Any) -> dict[str, Any]:
    provenance = _expect(content, dict, "provenance")
    for name in ("versions", "machine"):
        _mapping(provenance.get(name, {}), str, name)
    return provenance


def _stage(content: Any, files: Mapping[str, FileRecord]) -> dict[str, Any]:
    stage = _expect(content, dict, "a stage")
    _expect(stage["name"], str, "a stage's name")
    _file(f"{stage['bundle']}/{FILE_NAME}", files)
    _mapping(stage["inputs"], str, "a stage's inputs")
    _expect(stage["batch"], int, "a stage's batch")
    return stage


def _result(content: Any) -> dict[str, Any]:
    result = _expect(content, dict, "result")
    _expect(result["kind"], str, "a result's kind")
    for label in _expect(result.get("labels", []), list, "a result's labels"):
        _expect(label, str, "a label")
    _mapping(result.get("outputs", {}), str, "a result's outputs")
    return result


def _artifact(entry: Mapping[str, Any], files: Mapping[str, FileRecord]) -> Artifact:
    graph = _file(entry["graph"], files)
    if not graph.endswith(".onnx"):
        raise ValueError(f"{graph} is no graph")
    named = [_path(name) for name in _expect(entry["files"], list, "files")]
    own = tuple(name if PLATFORM in name else _file(name, files) for name in named)
    options = _expect(entry["options"], dict, "options")
    for name, value in options.items():
        # Adapters have names of tensors, which may look like anything.
        for text in _texts(value) if name != ADAPTERS_OPTION else ():
            if text not in own and _is_path(text, files):
                raise ValueError(f"the option {text!r} is a path that is not one of its files")
    return Artifact(graph, own, options)


def _is_path(text: str, files: Mapping[str, FileRecord]) -> bool:
    """Whether a backend that takes a text for a path would get somewhere."""
    outside = text.startswith(("/", "~")) or "\\" in text or ".." in text.split("/")
    return outside or PLATFORM in text or posixpath.normpath(text) in files


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []


def _signature(content: Any) -> Signature:
    entries = _expect(content, dict, "signature")
    for entry in (*entries["inputs"], *entries["outputs"]):
        if entry["shape"] is not None:
            _expect(entry["shape"], list, "a tensor's shape")
    signature = Signature.from_json(entries)
    for spec in (*signature.inputs, *signature.outputs):
        _expect(spec.name, str, "a tensor's name")
        _expect(spec.dtype, str, "a tensor's dtype")
        for size in spec.shape or ():
            if not isinstance(size, str):
                _expect(size, int, "a tensor's size")
    for dim in signature.dims.values():
        _expect(dim.min, int, "min")
        _expect(dim.multiple, int, "multiple")
        if dim.max is not None:
            _expect(dim.max, int, "max")
    return signature


def _file(name: Any, files: Mapping[str, FileRecord]) -> str:
    if _path(name) not in files:
        raise ValueError(f"there is no checksum of {name}")
    return str(name)


def _path(name: Any) -> str:
    if not is_inside(_expect(name, str, "a path")):
        raise ValueError(f"{name!r} lies outside the bundle, or is not written plainly")
    return str(name)


def _digest(text: Any) -> str:
    if not _DIGEST.fullmatch(_expect(text, str, "sha256")):
        raise ValueError(f"{text!r} is no SHA-256")
    return str(text)


def _mapping(value: Any, kind: type[T], what: str) -> dict[str, T]:
    return {name: _expect(item, kind, name) for name, item in _expect(value, dict, what).items()}


def _expect(value: Any, kind: type[T], what: str) -> T:
    negative = isinstance(value, int) and value < 0
    if not isinstance(value, kind) or isinstance(value, bool) or negative:
        raise ValueError(f"{what} is {value!r:.60}, not a {kind.__name__}")
    return value


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is twice in an object")
    return found


def _plain(value: Any) -> Any:
    """The same without floats that JSON has no form for."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
