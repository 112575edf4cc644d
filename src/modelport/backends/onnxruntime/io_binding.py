"""Buffers of ONNX Runtime's IO binding, bfloat16 among them, which its plain call does not take."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.arrays import Array

if TYPE_CHECKING:
    import onnxruntime

BFLOAT16 = 16
"""ONNX's number of the element type, by which a binding is told what NumPy has no name for."""


def bind_input(io: onnxruntime.IOBinding, name: str, array: Array) -> Array:
    """Binds an array that is read; what is returned must outlive the runs."""
    if array.dtype.name != "bfloat16":
        io.bind_cpu_input(name, array)
        return array
    array = np.asarray(array, order="C")
    io.bind_input(name, "cpu", 0, BFLOAT16, array.shape, array.ctypes.data)
    return array


def bind_output(io: onnxruntime.IOBinding, name: str, array: Array) -> None:
    """Binds an array that is overwritten."""
    element: Any = BFLOAT16 if array.dtype.name == "bfloat16" else array.dtype
    io.bind_output(name, "cpu", 0, element, array.shape, array.ctypes.data)


def run_bound(
    session: onnxruntime.InferenceSession,
    inputs: Mapping[str, Array],
    outputs: Sequence[str],
) -> list[Array]:
    """Runs a session whose inputs or outputs are bfloat16.

    Returns:
        Fresh arrays, in the order of the names.
    """
    io = session.io_binding()
    # Held until the run is over: the session reads their memory.
    held = [bind_input(io, name, array) for name, array in inputs.items()]
    for name in outputs:
        io.bind_output(name, "cpu")
    session.run_with_iobinding(io)
    results = [_read(value) for value in io.get_outputs()]
    del held
    return results


def _read(value: onnxruntime.OrtValue) -> Array:
    if value.data_type() != "tensor(bfloat16)":
        array: Array = value.numpy()
        return array
    import ml_dtypes

    shape = value.shape()
    result = np.empty(shape, ml_dtypes.bfloat16)
    if result.size:
        ctypes.memmove(result.ctypes.data, value.data_ptr(), result.nbytes)
    return result
