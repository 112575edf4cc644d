"""Is a model being captured at this moment?"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_state = threading.local()


def is_exporting() -> bool:
    """Whether modelport is capturing a model in this thread.

    For models that behave otherwise in the graph than in eager mode, beside
    ``torch.onnx.is_in_onnx_export``, which it includes. The reference runs that a graph is
    compared with count as exporting too: what is proven is that the graph computes what the model
    computes *at export*.

    Returns:
        True inside of `export`, `deploy` and their like, and inside of ``torch.onnx.export``.
    """
    import torch

    return is_capturing() or torch.onnx.is_in_onnx_export()


def is_capturing() -> bool:
    """Whether modelport itself is at it, and not ``torch.onnx.export`` alone."""
    return getattr(_state, "depth", 0) > 0


@contextmanager
def exporting() -> Iterator[None]:
    """Makes `is_exporting` true for a scope."""
    _state.depth = getattr(_state, "depth", 0) + 1
    try:
        yield
    finally:
        _state.depth -= 1
