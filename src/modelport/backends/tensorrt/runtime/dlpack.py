"""Tensors of other libraries, taken as they are by DLPack (https://dmlc.github.io/dlpack)."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from modelport.errors import RunError

CPU, CUDA, CUDA_HOST, CUDA_MANAGED = 1, 2, 3, 13
"""Kinds of devices."""
_CODES = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 6: "bool"}
_NAMES = {("bool", 8): "bool", ("bfloat", 16): "bfloat16"}
_CAPSULE = b"dltensor"


class _Device(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int32), ("number", ctypes.c_int32))


class _Type(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("rank", ctypes.c_int32),
        ("type", _Type),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("offset", ctypes.c_uint64),
    )


@dataclass(frozen=True)
class ForeignTensor:
    """A tensor that lies where its owner put it.

    Attributes:
        address: Where its elements begin.
        shape: Its sizes.
        dtype: NumPy's name of its type.
        kind: The kind of its device: `CPU`, `CUDA` and so on.
        device: The device's number.
        capsule: What keeps the memory alive.
    """

    address: int
    shape: tuple[int, ...]
    dtype: str
    kind: int
    device: int
    capsule: Any


def is_foreign(value: Any) -> bool:
    """Whether a value can be taken by DLPack and is no NumPy array, which is copied."""
    return hasattr(value, "__dlpack__") and not hasattr(value, "__array_interface__")


def read_foreign(name: str, value: Any, stream: int | None = None) -> ForeignTensor:
    """Looks at a tensor of another library, without copying it.

    Args:
        name: What the error calls it.
        value: An object with ``__dlpack__`` and ``__dlpack_device__``.
        stream: Handle of the CUDA stream on which it will be used: its owner sees to it that it is
            ready there.

    Raises:
        RunError: It is not contiguous, or of a type without a name.
    """
    kind, _ = value.__dlpack_device__()
    # 0 is ambiguous there; 1 is CUDA's default stream.
    capsule = value.__dlpack__() if int(kind) == CPU else value.__dlpack__(stream=stream or 1)
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    tensor = _Tensor.from_address(get_pointer(capsule, _CAPSULE))
    shape = tuple(tensor.shape[axis] for axis in range(tensor.rank))
    if tensor.strides and not _contiguous(shape, [tensor.strides[i] for i in range(tensor.rank)]):
        raise RunError(f"the tensor given as {name!r} is not contiguous", fix="tensor.contiguous()")
    code = _CODES.get(tensor.type.code, "")
    dtype = _NAMES.get((code, tensor.type.bits), f"{code}{tensor.type.bits}")
    if not code or tensor.type.lanes != 1:
        raise RunError(f"the tensor given as {name!r} has a type that no engine takes")
    address = (tensor.data or 0) + tensor.offset
    return ForeignTensor(address, shape, dtype, tensor.device.kind, tensor.device.number, capsule)


def _contiguous(shape: tuple[int, ...], strides: list[int]) -> bool:
    expected = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size > 1 and stride != expected:
            return False
        expected *= size
    return True
