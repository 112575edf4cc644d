"""Caches of TensorRT, kept by the content that they belong to."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from modelport.backends.tensorrt.device import compute_capability, why_no_gpu
from modelport.backends.tensorrt.library import Flavor
from modelport.ops.build.cache import cache_folder, key_of, writable


def timing_cache(flavor: Flavor, module: ModuleType) -> Path | None:
    """Where TensorRT keeps how fast kernels are.

    Timings hold for one version on one kind of GPU. TensorRT for RTX times nothing when it builds.

    Returns:
        The file, which need not be there yet; None where there is nothing to keep.

    Raises:
        UsageError: The cache cannot be written.
    """
    if flavor.ahead or why_no_gpu():
        return None
    key = key_of([flavor.backend, str(module.__version__), compute_capability()])
    return _place(f"tensorrt/timing-{key}.cache")


def runtime_cache(flavor: Flavor, module: ModuleType, engine: Path) -> Path | None:
    """Where TensorRT for RTX keeps the kernels that it compiles when an engine first runs.

    Args:
        flavor: The library.
        module: Its Python module.
        engine: The engine.

    Returns:
        As for `timing_cache`; TensorRT itself compiles everything when it builds.

    Raises:
        UsageError: The cache cannot be written.
    """
    if not flavor.ahead:
        return None
    key = key_of([flavor.backend, str(module.__version__), compute_capability(), engine])
    return _place(f"tensorrt/runtime-{key}.cache")


def _place(name: str) -> Path:
    path = cache_folder() / name
    with writable(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    return path
