"""The engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from modelport import Target
from modelport.arrays import Array, Arrays
from modelport.backends import Binding, Engine
from modelport.signature import Signature


class SampleEngine(Engine):
    """A session of the runtime."""

    def __init__(
        self, path: Path, signature: Signature, target: Target, *, parallel: bool, threads: int
    ) -> None:
        super().__init__(signature, target)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        if parallel:
            options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> Arrays:
        self._guard(inputs)
        names = self._requested(outputs)
        return dict(zip(names, self._session.run(names, dict(inputs)), strict=True))

    def bind(self, inputs: Mapping[str, Array], outputs: Arrays | None = None) -> Binding:
        return SampleBinding(self, dict(inputs), outputs or self.run(inputs))


class SampleBinding(Binding):
    """A call that copies its results into the bound outputs."""

    def __init__(self, engine: SampleEngine, inputs: Arrays, outputs: Arrays) -> None:
        self._engine, self.inputs, self.outputs = engine, inputs, outputs

    def run(self) -> Arrays:
        for name, value in self._engine.run(self.inputs).items():
            np.copyto(self.outputs[name], value)
        return self.outputs
