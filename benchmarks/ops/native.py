"""C++ that the operators are measured with, compiled on first use."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from modelport.ops.build.toolchain import cxx

SOURCE = Path(__file__).with_suffix(".cpp")
PEAK_ROUNDS = 200_000


@functools.cache
def library() -> ctypes.CDLL:
    """native.cpp, compiled for the baseline of the operators' own kernels."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "native.so"
        flags = ["-std=c++17", "-O3", "-march=x86-64-v3", "-shared", "-fPIC", "-pthread"]
        subprocess.run([cxx(), *flags, str(SOURCE), "-o", str(made)], check=True)
        opened = ctypes.CDLL(str(made))
    opened.peak.restype = ctypes.c_double
    opened.peak.argtypes = [ctypes.c_int64, ctypes.c_int64]
    opened.copy.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
    opened.deform_conv2d.argtypes = [*[ctypes.c_void_p] * 5, *[ctypes.c_int64] * 4]
    return opened


def peak(threads: int) -> tuple[Callable[[], object], float]:
    """A contestant that multiplies and adds all it can, and the operations of a call.

    Vectors are of 256 bits, which is the baseline of the kernels.
    """
    native = library()
    return lambda: native.peak(PEAK_ROUNDS, threads), native.peak(1, threads) * PEAK_ROUNDS


def copying(threads: int, count: int) -> Callable[[], object]:
    """A contestant that copies so many float32."""
    native, source = library(), torch.ones(count)
    target = torch.empty_like(source)

    def copy() -> torch.Tensor:
        native.copy(target.data_ptr(), source.data_ptr(), count, threads)
        return target

    return copy


def naive_deform_conv2d(
    x: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """MMDeploy's way, of one picture with a 3x3 kernel and a padding of 1; on one thread."""
    _, channels, height, width = x.shape
    output = torch.empty(1, len(weight), height, width)
    library().deform_conv2d(
        *(tensor.data_ptr() for tensor in (x, weight, offset, mask, output)),
        *(channels, len(weight), height, width),
    )
    return output
