"""What is known of an engine without opening it, in a file beside it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.backends.tensorrt.build.layers import Layer, LayerTensor
from modelport.backends.tensorrt.build.profiles import Profile
from modelport.errors import BuildError, UsageError
from modelport.signature import Signature
from modelport.target import Target

FORMAT = 1


@dataclass(frozen=True)
class BuildRecord:
    """How an engine was built.

    Attributes:
        backend: ``tensorrt`` or ``tensorrt-rtx``.
        version: The library's version.
        target: What it was built for.
        capabilities: Compute capabilities that were named; empty for the library's default.
        version_compatible: Whether later versions run it.
        hardware_compatible: Which other GPUs run it; see `BuildOptions`.
        weights_stripped: Whether it has no weights yet.
        refittable: Whether weights can be replaced.
        signature: What it takes and gives.
        adapters: Tensors that it takes or gives in another form than the model; see
            `modelport.backends.adapters`.
        profiles: Shapes of dynamic inputs by profile.
        layers: Its layers; none where neither the inspector nor the builder lists them.
        warnings: What the builder warned of.
        size: The engine's bytes.
    """

    backend: str
    version: str
    target: Target
    capabilities: tuple[str, ...]
    version_compatible: bool
    hardware_compatible: str
    weights_stripped: bool
    refittable: bool
    signature: Signature
    adapters: tuple[Mapping[str, Any], ...]
    profiles: tuple[Profile, ...]
    layers: tuple[Layer, ...]
    warnings: tuple[str, ...]
    size: int

    def write(self, path: Path, engine: Path) -> None:
        """Writes it for an engine, whose checksum goes along."""
        data = {
            **dataclasses.asdict(self),
            "format": FORMAT,
            "target": str(self.target),
            "signature": self.signature.to_json(),
            "sha256": _sha256(engine),
        }
        path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path, engine: Path) -> BuildRecord:
        """Reads it.

        Raises:
            UsageError: One of the files is missing or unreadable.
            BuildError: The record is that of another engine.
        """
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            version, digest = data.pop("format"), data.pop("sha256")
            if version != FORMAT:
                raise ValueError(f"format {version!r}")
            data["target"] = Target.parse(data["target"])
            data["signature"] = Signature.from_json(data["signature"])
            data["layers"] = tuple(map(_layer, data["layers"]))
            for name in ("capabilities", "adapters", "warnings"):
                data[name] = tuple(data[name])
            data["profiles"] = tuple(
                {name: tuple(shapes) for name, shapes in profile.items()}
                for profile in data["profiles"]
            )
            record = cls(**data)
            same = _sha256(engine) == digest
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{engine} has no readable record of its build",
                where=str(path),
                why=f"{type(error).__name__}: {error}",
                fix="keep both files together, or build the engine again: modelport compile",
            ) from error
        if not same:
            raise BuildError(
                f"{engine} is not the engine that {path.name} was written for",
                why="its checksum does not match",
                fix="keep both files together, or build the engine again: modelport compile",
            )
        return record


def record_of(engine: Path) -> Path:
    """Where the record of an engine lies that is no part of a bundle."""
    return engine.with_name(f"{engine.name}.json")


def _layer(data: dict[str, Any]) -> Layer:
    tensors = {
        side: tuple(
            LayerTensor(item["name"], item["dtype"], tuple(item["shape"])) for item in data[side]
        )
        for side in ("inputs", "outputs")
    }
    return Layer(
        data["name"],
        data["kind"],
        tuple(data["nodes"]),
        tensors["inputs"],
        tensors["outputs"],
        tuple(data["constants"]),
        data["tactic"],
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
