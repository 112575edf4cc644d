"""The GPU, by NVIDIA's own bindings: what is there, memory on it, streams."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from modelport.errors import RunError

INSTALL = "pip install cuda-bindings"


def why_no_gpu() -> str:
    """Why no engine runs here; empty where there is a GPU."""
    try:
        runtime = cuda_runtime()
    except ImportError as error:
        return f"the package cuda-bindings is not usable ({error}): {INSTALL}"
    try:
        code, count = runtime.cudaGetDeviceCount()
    except RuntimeError as error:  # there is no driver to ask
        return f"there is no NVIDIA driver ({error})"
    if int(code) != 0:
        return f"there is no GPU that CUDA can use ({_name(runtime, code)})"
    return "" if count else "there is no GPU"


def compute_capability(device: int = 0) -> str:
    """The compute capability of a GPU, such as ``sm89``."""
    runtime = cuda_runtime()
    kinds = runtime.cudaDeviceAttr
    major = call(runtime.cudaDeviceGetAttribute, kinds.cudaDevAttrComputeCapabilityMajor, device)
    minor = call(runtime.cudaDeviceGetAttribute, kinds.cudaDevAttrComputeCapabilityMinor, device)
    return f"sm{major}{minor}"


def cuda_runtime() -> ModuleType:
    """CUDA's runtime; raises `ImportError` where its bindings are missing."""
    return importlib.import_module("cuda.bindings.runtime")


def call(function: Any, *arguments: Any) -> Any:
    """Calls a function of the runtime.

    Returns:
        What it gives beside its status, if anything.

    Raises:
        RunError: The status is not success.
    """
    code, *results = function(*arguments)
    if int(code) != 0:
        raise RunError(f"CUDA failed in {function.__name__}", why=_name(cuda_runtime(), code))
    return results[0] if results else None


def _name(runtime: ModuleType, code: Any) -> str:
    status, name = runtime.cudaGetErrorName(code)
    return name.decode() if int(status) == 0 and isinstance(name, bytes) else str(code)


class Memory:
    """A piece of the GPU's memory, freed with its owner; grows, never shrinks.

    Attributes:
        address: Where it lies; 0 before anything was asked for.
        size: Its bytes.
    """

    def __init__(self) -> None:
        self.address = 0
        self.size = 0
        self._free = cuda_runtime().cudaFree

    def reserve(self, size: int) -> int:
        """Makes it at least so many bytes large; what was in it is lost where it must grow."""
        if size > self.size or not self.address:
            self.close()
            self.address = int(call(cuda_runtime().cudaMalloc, max(size, 1)))
            self.size = size
        return self.address

    def close(self) -> None:
        """Frees it."""
        if self.address:
            self._free(self.address)
        self.address = self.size = 0

    def __del__(self) -> None:
        self.close()
