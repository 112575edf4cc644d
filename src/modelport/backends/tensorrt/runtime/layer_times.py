"""How long the layers of an engine take."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from modelport.backends.adapters import FixedPoint, adapters_from_json
from modelport.backends.base import Artifact
from modelport.backends.loader import open_engine
from modelport.backends.tensorrt.engine_metadata import BuildRecord, record_of
from modelport.backends.tensorrt.runtime.engine import TensorRtEngine, engine_code, why_not_run
from modelport.backends.tensorrt.runtime.session import numpy_dtype
from modelport.errors import RunError


def time_layers(path: Path, seed: int = 0) -> dict[str, float]:
    """Seconds that each layer of an engine file takes, on drawn inputs.

    The inputs have the sizes that the engine is fastest at: normal numbers, and ones where they are
    integers or booleans. An input whose values are shapes has the usual ones.

    Args:
        path: The file that `modelport.compile` wrote.
        seed: Of the numbers.

    Returns:
        Seconds by the layer's name.

    Raises:
        BundleError: This user did not build it on this machine.
        BuildError: The library does not take the engine.
        RunError: The engine cannot run, here or on such inputs.
    """
    record = BuildRecord.read(record_of(path), path)
    missing = why_not_run(record.target)
    if missing:
        raise RunError(f"the layers of {path.name} are not timed: {missing}")
    options = {"engine": path.name, "record": record_of(path).name}
    artifact = Artifact("", options=options, code=functools.partial(engine_code, path.name, False))
    # Without its adapters: the inputs are drawn as the engine itself takes them.
    engine = open_engine(path.parent, artifact, record.target)
    assert isinstance(engine, TensorRtEngine)
    return engine.layer_times(_usual_inputs(record, np.random.default_rng(seed)))


def _usual_inputs(record: BuildRecord, rng: np.random.Generator) -> dict[str, Any]:
    usual = {
        item.tensor: item.adapted(np.asarray(item.values[1]))
        for item in adapters_from_json(record.adapters)
        if isinstance(item, FixedPoint) and len(item.values) > 1
    }
    profile = record.profiles[0] if record.profiles else {}
    inputs = {}
    for spec in record.signature.inputs:
        sizes = profile[spec.name][1] if spec.name in profile else spec.shape or ()
        shape = [int(size) for size in sizes]
        floats = "float" in spec.dtype
        drawn = rng.standard_normal(shape) if floats else np.ones(shape)
        inputs[spec.name] = usual.get(spec.name, drawn.astype(numpy_dtype(spec.dtype)))
    return inputs
