"""Several bundles as one: a pipeline of models."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import copytree
from typing import Any

from modelport.backends import Engine
from modelport.bundle.manifest import Manifest
from modelport.bundle.reader import Bundle
from modelport.bundle.writer import BundleWriter
from modelport.errors import UsageError
from modelport.pipeline import Result
from modelport.pipeline.stages import Stage, signature_of


def join_stages(
    stages: Sequence[Stage],
    output: str | os.PathLike[str],
    *,
    outputs: Mapping[str, str],
    result: Result | None = None,
    name: str = "pipeline",
    zipped: bool = False,
) -> Path:
    """Puts several models into one bundle, which `load` opens as one engine.

        join_stages(
            [
                Stage("detect", "det.port", {"image": "image"}),
                Stage("classify", "cls.port", {"image": "detect.crops"}, batch=16),
            ],
            "both.port",
            outputs={"boxes": "detect.boxes", "labels": "classify.labels"},
        )

    Args:
        stages: The stages, each after those that it reads; their bundles were deployed before.
        output: The bundle to write.
        outputs: The outputs of the whole: ``stage.output`` by name.
        result: What the outputs mean.
        name: The name of the whole.
        zipped: Write one zip file instead of a directory.

    Returns:
        The bundle.

    Raises:
        UsageError: A stage reads what is not there, or its bundle cannot be read.
        BundleError: A bundle was altered.
    """
    if not stages:
        raise UsageError("a pipeline has at least one stage")
    with BundleWriter(Path(output), zipped=zipped) as writer:
        placed, signatures = [], {}
        for stage in stages:
            own = f"stages/{stage.name}"
            with Bundle.open(stage.bundle) as bundle:
                signatures[stage.name] = bundle.manifest.signature
                copytree(bundle.folder, writer.folder / own)
            placed.append(dataclasses.replace(stage, bundle=own))
        signature = signature_of(placed, signatures, outputs)
        if result is not None:
            result.require_outputs(list(outputs))
        writer.commit(
            Manifest(
                name=name,
                signature=signature,
                artifacts={},
                stages=tuple(item.to_json() for item in placed),
                result=None if result is None else result.to_json(),
                provenance={"outputs": dict(outputs)},
            )
        )
    return Path(output)


def load_stages(bundle: Bundle, target: Any, options: Mapping[str, Any]) -> Engine:
    """The engine of a bundle of several models; see `Bundle.load`."""
    from modelport.pipeline.stages import StagedEngine

    manifest = bundle.manifest
    stages = [Stage.from_json(item) for item in manifest.stages]
    engines = {}
    for stage in stages:
        with Bundle.open(bundle.folder / stage.bundle, trust=bundle.is_trusted) as own:
            engines[stage.name] = own.load(target, **options)
    return StagedEngine(stages, engines, manifest.provenance["outputs"])
