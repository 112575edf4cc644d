"""What stands in for an engine that was built here and cannot run here."""

from __future__ import annotations

import tempfile
from pathlib import Path

from modelport.backends.adapters import adapters_in, load_engine
from modelport.backends.interface import Artifact, Engine
from modelport.model import Model
from modelport.precision.widening import widen
from modelport.signature import Signature
from modelport.target import Target

SUBSTITUTE = Target("onnxruntime")


def stand_in(folder: Path, artifact: Artifact, signature: Signature) -> Engine:
    """ONNX Runtime on the graph that an engine was made from.

    Args:
        folder: The folder that the artifact's paths are relative to.
        artifact: The engine. Its option ``kernels`` lists libraries of operators.
        signature: What the model takes and gives.
    """
    libraries = [str(folder / name) for name in artifact.options.get("kernels", [])]
    options = {"libraries": libraries, **adapters_in(artifact.options)}
    place = folder / artifact.graph
    model = Model.load(place)
    runnable = widen(model)
    with tempfile.TemporaryDirectory() as name:
        if runnable is not model:
            place = runnable.save(Path(name) / "model.onnx")
        graph = Artifact(place.name, options=options)
        return load_engine(place.parent, graph, SUBSTITUTE, signature)
