"""Tensors in files: .npy, .npz, and pictures."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelport.arrays import Array, Arrays
from modelport.errors import UsageError
from modelport.files import images
from modelport.signature import TensorSpec

_FORMATS = ".npy, .npz, .png or .jpg"

FREE_BYTES = 64 << 20
EXPANSION = 100
"""An archive of more than `FREE_BYTES` unpacked may be that many times as large as packed."""

UNREADABLE = (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)
"""Errors that NumPy and zipfile raise on a damaged file of arrays."""


def read_tensor(path: str | os.PathLike[str], spec: TensorSpec) -> Array:
    """Reads an input from a file.

    Args:
        path: ``.npy``; ``.npz`` with an array of the input's name, or with a single one; or a
            picture, which becomes [1, C, H, W] with values 0..255 in the input's dtype.
        spec: The input.

    Returns:
        The array, as it is in the file.

    Raises:
        UsageError: The file is missing, unreadable, or not what the input takes.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    if path.suffix.lower() in images.SUFFIXES:
        if not images.looks_like_pictures(spec.shape):
            raise UsageError(f"{path} is a picture, but the input is {spec}, not [N, 1|3, H, W]")
        assert spec.shape is not None
        return images.to_nchw(images.read(path), spec.dtype, int(spec.shape[1]))
    try:
        require_small_archive(path)
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return as_stored(loaded, spec.dtype)
        return as_stored(_read_member(loaded, path, spec), spec.dtype)
    except UNREADABLE as error:
        raise UsageError(
            f"cannot read {path}", why=str(error), fix=f"give {_FORMATS}, without pickled objects"
        ) from error


def _read_member(loaded: Any, path: Path, spec: TensorSpec) -> Array:
    """The array of an input's name in a ``.npz`` file, or its only one."""
    with loaded:
        if not loaded.files:
            raise UsageError(f"{path} has no arrays")
        name = spec.name if spec.name in loaded.files else loaded.files[0]
        if name != spec.name and len(loaded.files) != 1:
            raise UsageError(
                f"{path} has no array {spec.name!r}", fix=f"it has: {', '.join(loaded.files)}"
            )
        return np.asarray(loaded[name])


def require_small_archive(path: Path) -> None:
    """Refuses an ``.npz`` archive that would unpack to far more than it is.

    Raises:
        ValueError: It has a compression that NumPy does not write, or is a bomb.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if any(
        item.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for item in entries
    ):
        raise ValueError("it is compressed in a way that NumPy does not write")
    total = sum(item.file_size for item in entries)
    if total > max(FREE_BYTES, EXPANSION * path.stat().st_size):
        raise ValueError(f"it would unpack to {total:,} bytes, and no arrays shrink that much")


def as_stored(array: Array, dtype: str) -> Array:
    """An array from a file in the dtype that it was written in.

    NumPy writes bfloat16, which it has no name for, as two bytes an element, and texts, which
    engines have as objects, at one width.
    """
    if dtype == "str" and array.dtype.kind == "U":
        return array.astype(object)
    if dtype != "bfloat16" or array.dtype != np.dtype("V2"):
        return array
    import ml_dtypes

    return array.view(ml_dtypes.bfloat16)


def as_declared(arrays: Mapping[str, Array], specs: Sequence[TensorSpec]) -> Arrays:
    """Arrays from files by name, in the dtypes that files cannot keep; see `as_stored`."""
    dtypes = {spec.name: spec.dtype for spec in specs}
    return {name: as_stored(array, dtypes.get(name, "")) for name, array in arrays.items()}


def write_tensor(path: str | os.PathLike[str], name: str, array: Array) -> None:
    """Writes an output to a file.

    Args:
        path: ``.npy``, ``.npz``, or a picture, for an array of [N, 1|3, H, W] with values 0..255.
        name: The output's name, which it gets inside a ``.npz``.
        array: The output.

    Raises:
        UsageError: The suffix is unknown, the array is not an image, or the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in images.SUFFIXES:
        images.write(path, images.from_nchw(array))
        return
    try:
        if suffix == ".npy":
            np.save(path, array)
        elif suffix == ".npz":
            np.savez(path, **{name: array})  # type: ignore[arg-type]
        else:
            raise UsageError(f"cannot write {path}: unknown suffix {suffix!r}", fix=_FORMATS)
    except OSError as error:
        raise UsageError(f"cannot write {path}", why=str(error)) from error
