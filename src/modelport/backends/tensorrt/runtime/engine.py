"""Running on TensorRT."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelport.arrays import Array, Arrays
from modelport.backends.adapters import adapters_from_json, with_adapters
from modelport.backends.base import Artifact, Binding, Engine
from modelport.backends.loader import open_engine
from modelport.backends.tensorrt.caches import runtime_cache
from modelport.backends.tensorrt.device import compute_capability, why_no_gpu
from modelport.backends.tensorrt.engine_metadata import BuildRecord, record_of
from modelport.backends.tensorrt.library import RTX, Flavor, flavor_of
from modelport.backends.tensorrt.runtime.dlpack import CPU, ForeignTensor, is_foreign, read_foreign
from modelport.backends.tensorrt.runtime.session import Session
from modelport.errors import BuildError, BundleError, RunError, UsageError
from modelport.files.trusted_code import TrustedCode, user_code
from modelport.ops.build.known_code import is_remembered
from modelport.signature import Signature
from modelport.target import Target

_OPTIONS = ("engine", "record", "plugins", "kernels", "stream", "weights")


def why_not_run(target: Target) -> str:
    """Why engines of a target do not run here; see `modelport.backends.Backend.why_not_run`."""
    missing = why_no_gpu()
    if missing or not target.compute_capabilities:
        return missing
    here = compute_capability()
    if here in target.compute_capabilities:
        return ""
    return f"the GPU here is {here}, and it is for {', '.join(target.compute_capabilities)}"


def load(
    folder: Path, artifact: Artifact, target: Target, signature: Signature | None = None
) -> TensorRtEngine:
    """Opens an engine; see `modelport.backends.Backend.load`.

    Options of the artifact are ``stream`` (the handle of the CUDA stream to run on, such as
    ``torch.cuda.current_stream().cuda_stream``; one of its own by default) and ``weights`` (an ONNX
    file whose weights are put into an engine that is refittable or has none).
    """
    options = artifact.options
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown or "engine" not in options:
        raise UsageError(
            f"the {target.backend} backend has no option {', '.join(unknown)} for loading"
            if unknown
            else f"{artifact.graph} is no engine, which is what {target.backend} loads",
            fix="stream, weights" if unknown else "build one: modelport compile, or deploy",
        )
    flavor = flavor_of(target)
    engine = folder / options["engine"]
    record = BuildRecord.read(folder / options["record"], engine)
    trt = flavor.open()
    _require_fitting(record, flavor, str(trt.__version__))
    weights = options.get("weights")
    if weights is None and record.weights_stripped:
        if not artifact.graph:
            raise UsageError(f"{engine.name} has no weights", fix="load it with weights=FILE.onnx")
        weights = folder / artifact.graph
    session = Session(
        trt,
        artifact.code(folder, options["engine"]),
        record.profiles,
        options.get("stream"),
        runtime_cache(flavor, trt, engine),
        None if weights is None else Path(weights),
        [artifact.code(folder, name) for name in options.get("plugins", ())],
    )
    return TensorRtEngine(session, target, signature or record.signature)


def open_engine_file(
    path: Path, target: Target | str | None, options: Mapping[str, Any], *, trust: bool = False
) -> Engine:
    """Opens an engine file that lies beside its record.

    Args:
        path: The file that `modelport.compile` wrote.
        target: What it is for; by default what it was built for.
        options: As for `load`.
        trust: Whether it may be opened though this user did not build it on this machine.

    Raises:
        UsageError: There is no such file, or the target is another one.
        BundleError: It is not known here.
        BuildError: The library does not take it.
    """
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    record = BuildRecord.read(record_of(path), path)
    built = record.target
    if target is not None and Target.parse(target) != built:
        raise UsageError(f"{path} is an engine for {built}, not for {Target.parse(target)}")
    given = {"engine": path.name, "record": record_of(path).name, **options}
    source = Artifact("", options=given, code=functools.partial(engine_code, path.name, trust))
    artifact = with_adapters(source, adapters_from_json(record.adapters))
    return open_engine(path.parent, artifact, built)


def engine_code(engine: str, trust: bool, folder: Path, name: str) -> TrustedCode:
    """The code of an engine file, where it is known; libraries of plugins the caller named."""
    code = user_code(folder, name)
    if name == engine and not trust and not is_remembered(code.sha256):
        raise BundleError(
            f"the engine {name} is code that is not known here",
            where=str(folder / name),
            why="it was not built by this user on this machine",
            fix="if you know where it comes from: trust=True, or --trust",
        )
    return code


def _require_fitting(record: BuildRecord, flavor: Flavor, version: str) -> None:
    """Raises `BuildError` where TensorRT would refuse the engine, or worse."""
    advice = "build it again with what is here: modelport compile, or deploy"
    if record.backend != flavor.backend:
        raise BuildError(f"the engine is for {record.backend}, not {flavor.backend}", fix=advice)
    if record.version != version and not record.version_compatible:
        raise BuildError(
            f"the engine was built with {flavor.title} {record.version}, and here is {version}",
            why="engines run with the version that built them",
            fix=advice
            if flavor is RTX
            else f"{advice}; or build it with version_compatible, or install that version",
        )
    missing = why_no_gpu()
    if missing:
        raise BuildError(
            "the engine cannot run here",
            why=missing,
            fix="`modelport verify BUNDLE` compares its graph on ONNX Runtime; run it on a machine "
            "with a GPU",
        )
    here = compute_capability()
    if record.capabilities and here not in record.capabilities:
        raise BuildError(
            f"the engine is for {', '.join(record.capabilities)}, and the GPU here is {here}",
            fix=f"build it for this GPU, too: {flavor.backend}:{here}",
        )


class TensorRtEngine(Engine):
    """An engine of TensorRT. Inputs and outputs may be NumPy arrays or tensors on the GPU.

    NumPy arrays are copied in and out. A tensor of any library that has DLPack is used where it
    lies. Runs of one engine follow each other on its stream.
    """

    def __init__(self, session: Session, target: Target, signature: Signature) -> None:
        super().__init__(signature, target)
        self._session = session
        self._lock = threading.Lock()

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> Arrays:
        """Runs the model once; see `Engine.run`. Inputs may be tensors on the GPU as well."""
        names = self._requested(outputs)
        with self._lock:
            held = self._put(inputs)
            places: dict[str, Any] = {}
            for name in self._output_names:
                places[name] = self._place(name)
            self._session.execute()
            results = {name: self._take(name, places[name]) for name in names}
            self._session.wait()
            del held
        return results

    def bind(self, inputs: Mapping[str, Array], outputs: Arrays | None = None) -> TensorRtBinding:
        """Fixes buffers; see `Engine.bind`. They may be tensors on the GPU as well.

        Where all outputs are tensors on the GPU, a run is only enqueued on the stream: what reads
        them must do so on that stream, or wait for it.
        """
        if outputs is None:
            outputs = self.run(inputs)
        self._requested(list(outputs))
        if missing := [name for name in self._output_names if name not in outputs]:
            raise RunError(f"no buffer is given for the output {', '.join(missing)}")
        for name, array in {**inputs, **outputs}.items():
            if isinstance(array, np.ndarray) and not array.flags.c_contiguous:
                raise RunError(
                    f"the array bound to {name!r} is not C-contiguous",
                    fix="bind numpy.ascontiguousarray(array)",
                )
        return TensorRtBinding(self, dict(inputs), dict(outputs))

    def layer_times(self, inputs: Mapping[str, Array]) -> dict[str, float]:
        """Seconds that each layer takes, in a run after a first one.

        Args:
            inputs: As for `run`.
        """
        self.run(inputs)
        with self._lock:
            return self._session.timed()

    def run_into(self, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> None:
        """Runs once, and writes the outputs into buffers; see `bind`."""
        with self._lock:
            held = self._put(inputs)
            copied = {}
            for name, buffer in outputs.items():
                place = self._place(name, self._foreign(name, buffer))
                if isinstance(buffer, np.ndarray):
                    copied[name] = (buffer, place)
            self._session.execute()
            for name, (buffer, place) in copied.items():
                self._take(name, place, buffer)
            if copied:
                self._session.wait()
            del held

    def _put(self, inputs: Mapping[str, Any]) -> list[Any]:
        """Tells TensorRT where the inputs are; gives what must outlive the run."""
        foreign = {name: self._foreign(name, value) for name, value in inputs.items()}
        if any(item is not None for item in foreign.values()):
            self._examine(inputs, foreign)
        else:
            self._guard(inputs)
        addresses, shapes = {}, {}
        held: list[Any] = []
        for name, value in inputs.items():
            tensor = foreign[name]
            if tensor is not None:
                addresses[name], shapes[name] = tensor.address, tensor.shape
                held.append(tensor)
                continue
            array = np.ascontiguousarray(value)
            # A scalar would become a vector.
            shapes[name] = value.shape
            held.append(array)
            if self._session.on_host(name):
                addresses[name] = array.ctypes.data
            else:
                addresses[name] = self._session.memory(name).reserve(array.nbytes)
                self._session.copy_in(addresses[name], array)
        self._session.set_inputs(addresses, shapes)
        return held

    def _foreign(self, name: str, value: Any) -> ForeignTensor | None:
        if not is_foreign(value):
            return None
        tensor = read_foreign(name, value, self._session.stream)
        if tensor.kind == CPU:
            raise RunError(
                f"the tensor given as {name!r} lies in the CPU's memory",
                fix="give a NumPy array, or a tensor on the GPU",
            )
        return tensor

    def _examine(self, inputs: Mapping[str, Any], foreign: Mapping[str, Any]) -> None:
        """The signature's checks, on arrays of the tensors' shapes that have no memory."""
        stand_ins = {
            name: value
            if foreign[name] is None
            else np.broadcast_to(np.zeros((), foreign[name].dtype), foreign[name].shape)
            for name, value in inputs.items()
        }
        self.signature.examine(stand_ins)

    def _place(self, name: str, given: ForeignTensor | None = None) -> Any:
        """Where an output goes: its address and shape, or what will know them."""
        session = self._session
        shape = session.output_shape(name)
        if given is not None:
            if given.shape != shape:
                raise RunError(
                    f"the buffer of the output {name!r} is {list(given.shape)}, the output is "
                    f"{'not known before it is computed' if shape is None else list(shape)}"
                )
            session.set_output(name, given.address)
            return given.address, shape
        if shape is None:
            return session.set_allocator(name)
        size = int(np.prod(shape, dtype=np.int64)) * session.output_dtype(name).itemsize
        address = session.memory(name).reserve(size)
        session.set_output(name, address)
        return address, shape

    def _take(self, name: str, place: Any, buffer: Array | None = None) -> Array:
        """Enqueues the copy of an output to a buffer or a fresh array, where it is after a wait."""
        if not isinstance(place, tuple):
            # Its size is known when it is computed.
            self._session.wait()
            place = (place.memory.address, place.shape)
        address, shape = place
        array = np.empty(shape, self._session.output_dtype(name)) if buffer is None else buffer
        if array.shape != tuple(shape):
            raise RunError(
                f"the buffer of the output {name!r} is {list(array.shape)}, the output is "
                f"{list(shape)}"
            )
        self._session.copy_out(array, address)
        return array


class TensorRtBinding(Binding):
    """A call with fixed buffers."""

    def __init__(self, engine: TensorRtEngine, inputs: Arrays, outputs: Arrays) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self._engine = engine

    def run(self) -> Arrays:
        """Runs on what `inputs` hold now; see `Binding.run`."""
        self._engine.run_into(self.inputs, self.outputs)
        return self.outputs
