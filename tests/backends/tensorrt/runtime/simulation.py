"""A library with TensorRT's names that runs ONNX files on the CPU, and CUDA's memory in the CPU's.

It stands in for a GPU, so that what modelport does around an engine is run: addresses, shapes,
profiles, copies, outputs of unknown size. What it computes comes from ONNX Runtime.
"""

from __future__ import annotations

import ctypes
import enum
import types
from typing import Any

import numpy as np
import onnxruntime

_NAMES = {"tensor(float)": ("FLOAT", "float32"), "tensor(int64)": ("INT64", "int64")}


class Cuda(types.ModuleType):
    """What is used of ``cuda.bindings.runtime``."""

    cudaMemcpyKind = types.SimpleNamespace(cudaMemcpyHostToDevice=1, cudaMemcpyDeviceToHost=2)  # noqa: N815

    def __init__(self) -> None:
        super().__init__("cuda")
        self.memory: dict[int, Any] = {}
        self.copies = 0
        self.waits = 0

    def cudaMalloc(self, size: int) -> tuple[int, int]:  # noqa: N802
        buffer = ctypes.create_string_buffer(size)
        self.memory[ctypes.addressof(buffer)] = buffer
        return 0, ctypes.addressof(buffer)

    def cudaFree(self, address: int) -> tuple[int]:  # noqa: N802
        del self.memory[address]
        return (0,)

    def cudaStreamCreate(self) -> tuple[int, int]:  # noqa: N802
        return 0, 7

    def cudaStreamSynchronize(self, stream: int) -> tuple[int]:  # noqa: N802
        self.waits += 1
        return (0,)

    def cudaMemcpyAsync(  # noqa: N802
        self, to: int, source: int, size: int, kind: int, stream: int
    ) -> tuple[int]:
        self.copies += 1
        ctypes.memmove(to, source, size)
        return (0,)


class Library(types.ModuleType):
    """What is used of TensorRT when an engine, here an ONNX file, is opened and run."""

    __version__ = "1.0"
    TensorLocation = enum.Enum("TensorLocation", ["DEVICE", "HOST"])

    class ILogger:
        ERROR = 1
        WARNING = 2

    class IOutputAllocator:
        pass

    class IProfiler:
        pass

    def __init__(self, flexible: tuple[str, ...] = ()) -> None:
        super().__init__("library")
        self.flexible = flexible
        self.contexts: list[Context] = []

    def Runtime(self, log: Any) -> Any:  # noqa: N802
        return types.SimpleNamespace(deserialize_cuda_engine=self._open)

    def _open(self, plan: bytes) -> Plan | None:
        return Plan(self, plan) if plan else None

    def Refitter(self, engine: Plan, log: Any) -> Any:  # noqa: N802
        return types.SimpleNamespace(engine=engine, refit_cuda_engine=lambda: True)

    def OnnxParserRefitter(self, refitter: Any, log: Any) -> Any:  # noqa: N802
        def refit(path: str) -> bool:
            refitter.engine.session = onnxruntime.InferenceSession(path)
            return True

        return types.SimpleNamespace(refit_from_file=refit)


class Plan:
    """An engine."""

    def __init__(self, library: Library, plan: bytes) -> None:
        self.library = library
        self.session = onnxruntime.InferenceSession(plan)

    @property
    def nodes(self) -> dict[str, Any]:
        return {
            node.name: node for node in (*self.session.get_inputs(), *self.session.get_outputs())
        }

    def get_tensor_dtype(self, name: str) -> Any:
        return types.SimpleNamespace(name=_NAMES[self.nodes[name].type][0])

    def get_tensor_location(self, name: str) -> Any:
        return Library.TensorLocation.DEVICE

    def create_execution_context(self, config: Any = None) -> Context:
        self.library.contexts.append(Context(self))
        return self.library.contexts[-1]

    def create_runtime_config(self) -> Any:
        cache = types.SimpleNamespace(serialize=lambda: b"kernels", deserialize=lambda data: None)
        return types.SimpleNamespace(
            create_runtime_cache=lambda: cache, set_runtime_cache=lambda cache: None
        )


class Context:
    """A context of execution."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.profile = 0
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.allocators: dict[str, Any] = {}
        self.profiler: Any = None

    def set_optimization_profile_async(self, place: int, stream: int) -> bool:
        self.profile = place
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes[name] = shape
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def set_output_allocator(self, name: str, allocator: Any) -> bool:
        self.allocators[name] = allocator
        return True

    def _inputs(self) -> dict[str, np.ndarray[Any, Any]]:
        arrays = {}
        for node in self.plan.session.get_inputs():
            dtype = np.dtype(_NAMES[node.type][1])
            size = int(np.prod(self.shapes[node.name])) * dtype.itemsize
            data = ctypes.string_at(self.addresses[node.name], size)
            arrays[node.name] = np.frombuffer(data, dtype).reshape(self.shapes[node.name])
        return arrays

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self.plan.library.flexible:
            return (-1,) * len(self.plan.nodes[name].shape)
        (array,) = self.plan.session.run([name], self._inputs())
        return array.shape

    def execute_async_v3(self, stream: int) -> bool:
        names = [node.name for node in self.plan.session.get_outputs()]
        for name, array in zip(names, self.plan.session.run(names, self._inputs()), strict=True):
            address = self.addresses.get(name)
            if name in self.plan.library.flexible:
                allocator = self.allocators[name]
                address = allocator.reallocate_output_async(name, 0, array.nbytes, 256, stream)
                allocator.notify_shape(name, array.shape)
            assert address is not None
            ctypes.memmove(address, np.ascontiguousarray(array).ctypes.data, array.nbytes)
        if self.profiler is not None:
            self.profiler.report_layer_time("only", 2.0)
        return True
