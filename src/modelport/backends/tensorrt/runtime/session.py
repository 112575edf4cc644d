"""An engine of TensorRT opened on a GPU: shapes, addresses, execution on one stream."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from modelport.arrays import Array
from modelport.backends.tensorrt.build.layers import dtype_of
from modelport.backends.tensorrt.build.profiles import Profile
from modelport.backends.tensorrt.device import Memory, call, cuda_runtime
from modelport.backends.tensorrt.logger import logger
from modelport.backends.tensorrt.plugins import load_plugins
from modelport.errors import BuildError, RunError, UsageError
from modelport.files.replacement import replacing
from modelport.files.trusted_code import TrustedCode


class Session:
    """An engine, one context of execution, and a stream.

    Args:
        trt: The library.
        engine: The engine.
        profiles: Its optimization profiles.
        stream: Handle of the stream to run on; one of its own by default.
        cache: File of TensorRT for RTX's runtime cache, where there is one.
        weights: ONNX file with the weights to put into it, where it has none or others.
        plugins: Libraries of plugins.

    Attributes:
        stream: The stream's handle.

    Raises:
        BuildError: TensorRT does not take the file.
    """

    def __init__(
        self,
        trt: ModuleType,
        engine: TrustedCode,
        profiles: Sequence[Profile],
        stream: int | None = None,
        cache: Path | None = None,
        weights: Path | None = None,
        plugins: Sequence[TrustedCode] = (),
    ) -> None:
        self._trt: Any = trt
        self._log = logger(trt)
        self._log.errors.clear()
        for library in plugins:
            load_plugins(library, self._trt)
        self._runtime = self._trt.Runtime(self._log)
        self._engine = self._runtime.deserialize_cuda_engine(engine.read())
        if self._engine is None:
            raise BuildError(
                f"TensorRT {trt.__version__} does not take the engine {engine.name}",
                why=self._reason(),
                fix="build it with this version, for this GPU: modelport compile",
            )
        if weights is not None:
            self._refit(weights)
        self._profiles = profiles
        self._cache = cache
        self._runtime_cache: Any = None
        self._context = self._open_context()
        self._profile = 0
        self.stream = int(stream if stream is not None else call(cuda_runtime().cudaStreamCreate))
        self._memory: dict[str, Memory] = {}
        self._allocators: dict[str, Any] = {}
        # What was bound last is read and written while the stream runs.
        self._held: dict[str, Any] = {}

    def _reason(self) -> str:
        reason = "; ".join(dict.fromkeys(self._log.errors)) or "it gives no reason"
        self._log.errors.clear()
        return " ".join(reason.split())

    def _open_context(self) -> Any:
        if self._cache is None:
            return self._engine.create_execution_context()
        config = self._engine.create_runtime_config()
        self._runtime_cache = config.create_runtime_cache()
        if self._cache.is_file():
            self._runtime_cache.deserialize(self._cache.read_bytes())
        config.set_runtime_cache(self._runtime_cache)
        return self._engine.create_execution_context(config)

    def _keep_cache(self) -> None:
        """Writes what running compiled, once."""
        if self._runtime_cache is not None and self._cache is not None:
            with replacing(self._cache) as made:
                made.write_bytes(bytes(self._runtime_cache.serialize()))
            self._runtime_cache = None

    def _refit(self, weights: Path) -> None:
        refitter = self._trt.Refitter(self._engine, self._log)
        parser = self._trt.OnnxParserRefitter(refitter, self._log)
        if not parser.refit_from_file(str(weights)) or not refitter.refit_cuda_engine():
            missing = ", ".join(refitter.get_missing_weights())
            raise BuildError(
                f"the weights of {weights.name} do not fit the engine",
                why=f"missing: {missing}" if missing else self._reason(),
                fix="take the graph that the engine was built from, with new weights",
            )

    def set_inputs(
        self, addresses: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        """Says where the inputs lie and how large they are.

        Raises:
            RunError: No profile takes the shapes.
        """
        place = choose_profile(self._profiles, shapes)
        if place != self._profile:
            self._check(self._context.set_optimization_profile_async(place, self.stream), "profile")
            self._profile = place
        for name, shape in shapes.items():
            self._check(self._context.set_input_shape(name, tuple(shape)), f"shape of {name}")
            self._check(self._context.set_tensor_address(name, addresses[name]), name)

    def output_shape(self, name: str) -> tuple[int, ...] | None:
        """An output's shape at the inputs set; None where it depends on their values."""
        shape = tuple(self._context.get_tensor_shape(name))
        return None if any(size < 0 for size in shape) else shape

    def output_dtype(self, name: str) -> np.dtype[Any]:
        """An output's type, as NumPy has it."""
        return numpy_dtype(dtype_of(self._engine.get_tensor_dtype(name).name))

    def on_host(self, name: str) -> bool:
        """Whether a tensor is read in the CPU's memory: values that shapes are made of."""
        location = self._engine.get_tensor_location(name)
        return bool(location == self._trt.TensorLocation.HOST)

    def set_output(self, name: str, address: int) -> None:
        """Says where an output goes."""
        self._check(self._context.set_tensor_address(name, address), name)

    def set_allocator(self, name: str) -> Any:
        """Lets TensorRT ask for an output's memory once it knows its size.

        Returns:
            What has the ``memory`` and, after execution, the ``shape``.
        """
        if name not in self._allocators:
            self._allocators[name] = _allocator(self._trt)
        allocator = self._allocators[name]
        self._check(self._context.set_output_allocator(name, allocator), name)
        return allocator

    def memory(self, name: str) -> Memory:
        """Memory of the GPU that is kept for a tensor."""
        return self._memory.setdefault(name, Memory())

    def execute(self) -> None:
        """Enqueues the engine on the stream."""
        if not self._context.execute_async_v3(self.stream):
            raise RunError("TensorRT failed to run the engine", why=self._reason())

    def copy_in(self, address: int, array: Array) -> None:
        """Enqueues a copy from NumPy's memory."""
        self._copy(address, array.ctypes.data, array.nbytes, "cudaMemcpyHostToDevice")

    def copy_out(self, array: Array, address: int) -> None:
        """Enqueues a copy to NumPy's memory."""
        self._copy(array.ctypes.data, address, array.nbytes, "cudaMemcpyDeviceToHost")

    def _copy(self, to: int, source: int, size: int, kind: str) -> None:
        runtime = cuda_runtime()
        if size:
            way = getattr(runtime.cudaMemcpyKind, kind)
            call(runtime.cudaMemcpyAsync, to, source, size, way, self.stream)

    def wait(self) -> None:
        """Waits for the stream."""
        call(cuda_runtime().cudaStreamSynchronize, self.stream)
        self._keep_cache()

    def timed(self) -> dict[str, float]:
        """Runs once more what is set, and gives the seconds of each layer."""
        profiler = _profiler(self._trt)
        self._context.profiler = profiler
        self._context.enqueue_emits_profile = True
        self.execute()
        self.wait()
        self._context.profiler = None
        return dict(profiler.seconds)

    def _check(self, done: Any, what: str) -> None:
        if not done:
            raise RunError(f"TensorRT does not take the {what}", why=self._reason())


def choose_profile(profiles: Sequence[Profile], shapes: Mapping[str, Sequence[int]]) -> int:
    """The profile whose usual shapes are nearest, of those that take the shapes.

    Args:
        profiles: The engine's profiles; none where all shapes are fixed.
        shapes: The inputs' shapes.

    Returns:
        Its place; 0 where there are none.

    Raises:
        RunError: None takes them.
    """
    if not profiles:
        return 0
    fitting = [
        (_distance(profile, shapes), place)
        for place, profile in enumerate(profiles)
        if all(
            low <= size <= high
            for name, (least, _, most) in profile.items()
            for low, size, high in zip(least, shapes[name], most, strict=True)
        )
    ]
    if not fitting:
        ranges = "; ".join(
            ", ".join(f"{name} {least}..{most}" for name, (least, _, most) in profile.items())
            for profile in profiles
        )
        came = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise RunError(
            f"no optimization profile of the engine takes {came}",
            why=f"the profiles are: {ranges}",
            fix="build it for these sizes: modelport compile --profile, --max-batch",
        )
    return min(fitting)[1]


def _distance(profile: Profile, shapes: Mapping[str, Sequence[int]]) -> float:
    return sum(
        abs(math.log(max(size, 1) / max(usual, 1)))
        for name, (_, best, _) in profile.items()
        for size, usual in zip(shapes[name], best, strict=True)
    )


def numpy_dtype(name: str) -> np.dtype[Any]:
    """NumPy's type of a name; the small floats are those of ml_dtypes."""
    try:
        return np.dtype(name)
    except TypeError:
        pass
    try:
        import ml_dtypes
    except ImportError as error:
        raise UsageError(
            f"the engine takes or gives {name}, which NumPy itself does not have",
            fix="pip install ml_dtypes",
        ) from error
    dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return dtype


def _allocator(trt: Any) -> Any:
    class Allocator(trt.IOutputAllocator):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IOutputAllocator.__init__(self)
            self.memory = Memory()
            self.shape: tuple[int, ...] = ()

        def reallocate_output_async(
            self, name: str, memory: int, size: int, alignment: int, stream: int
        ) -> int:
            return self.memory.reserve(size)

        def notify_shape(self, name: str, shape: Any) -> None:
            self.shape = tuple(shape)

    return Allocator()


def _profiler(trt: Any) -> Any:
    class Profiler(trt.IProfiler):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProfiler.__init__(self)
            self.seconds: dict[str, float] = {}

        def report_layer_time(self, name: str, milliseconds: float) -> None:
            self.seconds[name] = self.seconds.get(name, 0.0) + milliseconds / 1e3

    return Profiler()
