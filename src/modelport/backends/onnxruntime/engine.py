"""Running on ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.backends.interface import Arrays, Artifact, Binding, Engine
from modelport.backends.onnxruntime.session import absolute, one_line, open_session, runtime_errors
from modelport.errors import BuildError, RunError
from modelport.model import DIMS_KEY
from modelport.signature import Signature, TensorSpec, dims_from_json
from modelport.target import Target

if TYPE_CHECKING:
    import onnxruntime

_DTYPES = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "string": "str",
    "bool": "bool",
    **{name: name for name in ("int8", "int16", "int32", "int64")},
    **{name: name for name in ("uint8", "uint16", "uint32", "uint64")},
}


def load(
    folder: Path, artifact: Artifact, target: Target, signature: Signature | None = None
) -> OnnxRuntimeEngine:
    """Opens a graph; see `modelport.backends.Backend.load`."""
    options = absolute(artifact.options, folder)
    session = open_session(folder / artifact.graph, target, options)
    return OnnxRuntimeEngine(session, target, signature or read_signature(session))


def read_signature(session: onnxruntime.InferenceSession) -> Signature:
    """The signature of a session's graph; dimensions without a name get one of their place.

    Declared ranges are those that `modelport.Model.save` keeps in the file.
    """
    kept = session.get_modelmeta().custom_metadata_map.get(DIMS_KEY, "{}")
    try:
        dims = dims_from_json(json.loads(kept))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BuildError(
            f"the file's metadata {DIMS_KEY!r} is not readable",
            why=f"{type(error).__name__}: {error}",
            fix="export the model again",
        ) from error
    return Signature(
        tuple(map(_read_spec, session.get_inputs())),
        tuple(map(_read_spec, session.get_outputs())),
        dims,
    )


def _read_spec(node: onnxruntime.NodeArg) -> TensorSpec:
    kind, _, element = node.type.rstrip(")").partition("(")
    if kind != "tensor" or element not in _DTYPES:
        raise BuildError(
            f"{node.name!r} is a {node.type}, not a tensor of a supported type",
            fix="sequences, maps and optionals cannot be inputs or outputs of an engine",
        )
    shape = tuple(
        dim if isinstance(dim, int | str) else f"{node.name}_{axis}"
        for axis, dim in enumerate(node.shape)
    )
    return TensorSpec(node.name, _DTYPES[element], shape)


class OnnxRuntimeEngine(Engine):
    """An ONNX Runtime session behind the interface of every engine."""

    def __init__(
        self, session: onnxruntime.InferenceSession, target: Target, signature: Signature
    ) -> None:
        super().__init__(signature, target)
        self._session = session
        self._errors = runtime_errors()

    def run(
        self, inputs: Mapping[str, np.ndarray[Any, Any]], outputs: Sequence[str] | None = None
    ) -> Arrays:
        """Runs the model once; see `Engine.run`."""
        self._guard(inputs)
        names = self._output_names if outputs is None else self._requested(outputs)
        try:
            return dict(zip(names, self._session.run(names, inputs), strict=True))
        except self._errors as error:
            raise _run_error(error, inputs) from error

    def bind(
        self, inputs: Mapping[str, np.ndarray[Any, Any]], outputs: Arrays | None = None
    ) -> OnnxRuntimeBinding:
        """Fixes buffers; see `Engine.bind`. Buffers are in the memory of the CPU."""
        self._guard(inputs)
        if outputs is None:
            outputs = self.run(inputs)
        self._requested(list(outputs))
        _require_contiguous({**inputs, **outputs})
        return OnnxRuntimeBinding(self._session, dict(inputs), dict(outputs))


class OnnxRuntimeBinding(Binding):
    """A call with fixed buffers, by ONNX Runtime's IO binding."""

    def __init__(
        self, session: onnxruntime.InferenceSession, inputs: Arrays, outputs: Arrays
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._errors = runtime_errors()
        self._io = session.io_binding()
        for name, array in inputs.items():
            self._io.bind_cpu_input(name, array)
        for name, array in outputs.items():
            self._io.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        self._run = session.run_with_iobinding

    def run(self) -> Arrays:
        """Runs on what `inputs` hold now; see `Binding.run`."""
        try:
            self._run(self._io)
        except self._errors as error:
            raise _run_error(error, self.inputs) from error
        return self.outputs


def _require_contiguous(arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    for name, array in arrays.items():
        if not array.flags.c_contiguous:
            raise RunError(
                f"the array bound to {name!r} is not C-contiguous",
                fix="bind numpy.ascontiguousarray(array)",
            )


def _run_error(error: BaseException, inputs: Mapping[str, np.ndarray[Any, Any]]) -> RunError:
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in inputs.items())
    return RunError(f"ONNX Runtime failed on {shapes}", why=one_line(error))
