"""Running on ONNX Runtime."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.arrays import Array, Arrays
from modelport.backends.base import Artifact, Binding, Engine
from modelport.backends.onnxruntime.io_binding import bind_input, bind_output, run_bound
from modelport.backends.onnxruntime.probe import version
from modelport.backends.onnxruntime.session import one_line, open_session, runtime_errors
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
    "bfloat16": "bfloat16",
    "string": "str",
    "bool": "bool",
    **{name: name for name in ("int8", "int16", "int32", "int64")},
    **{name: name for name in ("uint8", "uint16", "uint32", "uint64")},
}


_BFLOAT16_SINCE = (1, 20)
"""The release from which a binding takes ONNX's element types."""


def load(
    folder: Path, artifact: Artifact, target: Target, signature: Signature | None = None
) -> OnnxRuntimeEngine:
    """Opens a graph; see `modelport.backends.Backend.load`."""
    libraries = [artifact.code(folder, name) for name in artifact.options.get("libraries", ())]
    options = {**artifact.options, "libraries": libraries}
    session = open_session(folder / artifact.graph, target, options)
    signature = signature or read_signature(session)
    if _has_bfloat16(signature):
        _require_bfloat16()
    return OnnxRuntimeEngine(session, target, signature)


def _has_bfloat16(signature: Signature) -> bool:
    return any(spec.dtype == "bfloat16" for spec in (*signature.inputs, *signature.outputs))


def _require_bfloat16() -> None:
    if tuple(map(int, version().split(".")[:2])) < _BFLOAT16_SINCE:
        raise BuildError(
            f"the model takes or gives bfloat16, which ONNX Runtime {version()} cannot be handed",
            fix="pip install 'onnxruntime>=1.20'",
        )
    try:
        # NumPy knows the dtype from here on.
        importlib.import_module("ml_dtypes")
    except ImportError as error:
        raise BuildError(
            "the model takes or gives bfloat16, which NumPy itself does not have",
            fix="pip install ml_dtypes",
        ) from error


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
        self._bound = _has_bfloat16(signature)
        self._errors = runtime_errors()

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> Arrays:
        """Runs the model once; see `Engine.run`."""
        self._guard(inputs)
        names = self._output_names if outputs is None else self._requested(outputs)
        try:
            if self._bound:
                return dict(zip(names, run_bound(self._session, inputs, names), strict=True))
            return dict(zip(names, self._session.run(names, inputs), strict=True))
        except self._errors as error:
            raise _run_error(error, inputs) from error

    def bind(
        self, inputs: Mapping[str, Array], outputs: Arrays | None = None
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
            bind_input(self._io, name, array)
        for name, array in outputs.items():
            bind_output(self._io, name, array)
        self._run = session.run_with_iobinding

    def run(self) -> Arrays:
        """Runs on what `inputs` hold now; see `Binding.run`."""
        try:
            self._run(self._io)
        except self._errors as error:
            raise _run_error(error, self.inputs) from error
        return self.outputs


def _require_contiguous(arrays: Mapping[str, Array]) -> None:
    for name, array in arrays.items():
        if not array.flags.c_contiguous:
            raise RunError(
                f"the array bound to {name!r} is not C-contiguous",
                fix="bind numpy.ascontiguousarray(array)",
            )


def _run_error(error: BaseException, inputs: Mapping[str, Array]) -> RunError:
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in inputs.items())
    return RunError(f"ONNX Runtime failed on {shapes}", why=one_line(error))
