"""Running on OpenVINO."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from modelport.arrays import Array, Arrays
from modelport.backends.base import Artifact, Binding, Engine
from modelport.backends.openvino.core import import_openvino, open_compiled, reason
from modelport.backends.openvino.ports import port_indices, read_inputs
from modelport.errors import BuildError, RunError
from modelport.signature import Signature
from modelport.target import Target

if TYPE_CHECKING:
    import openvino


DTYPES = (
    *("float32", "float16", "bfloat16", "int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64", "bool"),
)
"""What a model may take and give.

Not float64, which OpenVINO computes in float32, and not strings, with which its Python interface
(2026.4) damages the memory of the process."""

_NARROWED = ("int64", "uint32", "uint64")
"""What OpenVINO computes in int32, without a word about values that do not fit."""
_INT32 = np.iinfo(np.int32)


def load(
    folder: Path, artifact: Artifact, target: Target, signature: Signature | None = None
) -> OpenVinoEngine:
    """Opens a graph; see `modelport.backends.Backend.load`."""
    path = folder / artifact.graph
    compiled = open_compiled(path, target, artifact.options)
    if signature is None:
        from modelport.model import Model

        # OpenVINO forgets the names of dimensions.
        signature = Model.load(path).signature
    names = [spec.name for spec in signature.inputs]
    if len(names) != len(compiled.inputs):
        names = read_inputs(path)
    return OpenVinoEngine(compiled, target, signature, names)


class OpenVinoEngine(Engine):
    """A model that OpenVINO compiled, behind the interface of every engine."""

    def __init__(
        self,
        compiled: openvino.CompiledModel,
        target: Target,
        signature: Signature,
        inputs: Sequence[str],
    ) -> None:
        """An engine.

        Args:
            compiled: The compiled model.
            target: What it runs on.
            signature: What the model takes and gives.
            inputs: Names of the inputs that the compiled model has, in their order.
        """
        self.require_dtypes(compiled)
        super().__init__(signature, target)
        self._compiled = compiled
        self._inputs = port_indices("input", inputs, compiled.inputs)
        self._outputs = port_indices("output", self._output_names, compiled.outputs)
        self._narrowed = [spec.name for spec in signature.inputs if spec.dtype in _NARROWED]
        # A request serves one run at a time; runs of several threads take one each.
        self._requests: deque[openvino.InferRequest] = deque()

    @staticmethod
    def require_dtypes(compiled: openvino.CompiledModel) -> None:
        """Raises `BuildError` where a model takes or gives what cannot be handed over soundly."""
        for port in (*compiled.inputs, *compiled.outputs):
            dtype = _dtype_of(port)
            if dtype not in DTYPES:
                raise BuildError(
                    f"{', '.join(sorted(port.get_names()))} is of {dtype}, which the openvino "
                    "backend does not offer",
                    why="OpenVINO computes it in float32"
                    if dtype == "float64"
                    else "OpenVINO's Python interface does not handle it soundly",
                    fix="convert it outside of the model, or deploy for onnxruntime",
                )

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> Arrays:
        """Runs the model once; see `Engine.run`."""
        self._examine(inputs)
        names = self._output_names if outputs is None else self._requested(outputs)
        try:
            request = self._requests.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        # Held until the run is over: a request does not keep the memory of its tensors alive.
        held = {name: _readable(inputs[name]) for name in self._inputs}
        try:
            for name, array in held.items():
                request.set_input_tensor(self._inputs[name], _on_memory(array))
            request.start_async()
            request.wait()
            return {name: _copied(request.get_output_tensor(self._outputs[name])) for name in names}
        except RuntimeError as error:
            raise _run_error(error, inputs) from error
        finally:
            self._requests.append(request)

    def bind(self, inputs: Mapping[str, Array], outputs: Arrays | None = None) -> OpenVinoBinding:
        """Fixes buffers; see `Engine.bind`. Values of integers are no longer examined."""
        self._examine(inputs)
        if outputs is None:
            outputs = self.run(inputs)
        self._requested(list(outputs))
        request = self._compiled.create_infer_request()
        try:
            for name, place in self._inputs.items():
                request.set_input_tensor(place, _shared(name, inputs[name]))
            for name, array in outputs.items():
                request.set_output_tensor(self._outputs[name], _shared(name, array))
        except RuntimeError as error:
            raise _run_error(error, inputs) from error
        return OpenVinoBinding(request, dict(inputs), dict(outputs), self._outputs)

    def _examine(self, inputs: Mapping[str, Array]) -> None:
        self._guard(inputs)
        for name in self._narrowed:
            array = inputs[name]
            if array.size and (array.max() > _INT32.max or array.min() < _INT32.min):
                raise RunError(
                    f"input {name!r} has values beyond {_INT32.min}..{_INT32.max}",
                    why=f"OpenVINO computes {array.dtype.name} in int32",
                    fix="run the model on onnxruntime",
                )


class OpenVinoBinding(Binding):
    """A call with fixed buffers, by an infer request of its own."""

    def __init__(
        self,
        request: openvino.InferRequest,
        inputs: Arrays,
        outputs: Arrays,
        places: Mapping[str, int],
    ) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._request = request
        self._places = {name: places[name] for name in outputs}

    def run(self) -> Arrays:
        """Runs on what `inputs` hold now; see `Binding.run`."""
        request = self._request
        try:
            request.start_async()
            request.wait()
        except RuntimeError as error:
            raise _run_error(error, self.inputs) from error
        for name, place in self._places.items():
            # OpenVINO is content with a buffer that is too large, and uses a part of it.
            shape = tuple(request.get_output_tensor(place).shape)
            if shape != self.outputs[name].shape:
                raise RunError(
                    f"the output {name!r} has shape {list(shape)}, and the array bound to it "
                    f"{list(self.outputs[name].shape)}",
                    fix="bind an array of that shape",
                )
        return self.outputs


def _dtype_of(port: openvino.ConstOutput) -> str:
    element = port.get_element_type()
    if element.get_type_name() == "bf16":
        return "bfloat16"
    if element.get_type_name() == "string":
        return "str"
    return str(np.dtype(element.to_dtype()).name)


def _readable(array: Array) -> Array:
    """The array; a copy where OpenVINO could not take its memory."""
    array = np.asarray(array, order="C")
    return array if array.flags.writeable else array.copy()


def _shared(name: str, array: Array) -> openvino.Tensor:
    """A tensor on the array's own memory.

    Raises:
        RunError: The array is not contiguous, or cannot be written to.
    """
    if not array.flags.c_contiguous or not array.flags.writeable:
        raise RunError(
            f"the array bound to {name!r} is not C-contiguous, or is read-only",
            fix="bind numpy.ascontiguousarray(array).copy()",
        )
    return _on_memory(array)


def _on_memory(array: Array) -> openvino.Tensor:
    openvino = import_openvino()
    if array.dtype.name == "bfloat16":
        bits = array.view(np.uint16)
        return openvino.Tensor(bits, openvino.Shape(array.shape), openvino.Type.bf16)
    return openvino.Tensor(array, shared_memory=True)


def _copied(tensor: openvino.Tensor) -> Array:
    array = np.array(tensor.data)
    if tensor.element_type.get_type_name() != "bf16":
        return array
    import ml_dtypes

    return array.view(ml_dtypes.bfloat16)


def _run_error(error: BaseException, inputs: Mapping[str, Array]) -> RunError:
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in inputs.items())
    return RunError(f"OpenVINO failed on {shapes}", why=reason(error))
