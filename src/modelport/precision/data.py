"""Calibration data from any source, as cases that can be read repeatedly."""

from __future__ import annotations

import itertools
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelport.arrays import Array, Arrays
from modelport.errors import RunError, UsageError
from modelport.files import images
from modelport.files.arrays import UNREADABLE, as_stored, read_tensor
from modelport.recipe import load_function
from modelport.signature import Signature, TensorSpec

Source = str | os.PathLike[str] | Iterable[Any] | Callable[[], Iterable[Any]]

HELD_OUT = 5
"""One of so many cases is held out of calibration, to judge by, unless others are passed."""

_FORMS = (
    "give a folder of pictures, .npy or .npz files, one .npz file, file.py:function, or an "
    "iterable of arrays or of dicts of arrays"
)


class CalibrationData:
    """Cases of inputs, each checked as it is read.

    Args:
        source: A folder of pictures (each is brought to the input's size; values stay 0..255), of
            ``.npy`` or ``.npz`` files (one case each); one ``.npz`` file whose arrays hold all
            cases along their first axis; ``file.py:function``, a function without arguments that
            yields cases; or an iterable of arrays (for a model of one input), tuples in the order
            of the inputs, or dicts by name. What can be iterated only once is kept in temporary
            files.
        signature: The model's inputs.

    Raises:
        UsageError: The source is none of these.
    """

    def __init__(self, source: Source, signature: Signature) -> None:
        self._signature = signature
        self._open, self._name = self._opener(source)

    def __iter__(self) -> Iterator[Arrays]:
        """Yields the cases as arrays by input name.

        Raises:
            UsageError: A case does not fit the model's inputs, holds NaN or infinite values, or
                there are no cases.
        """
        count = 0
        for item in self._open():
            yield self._checked(item, count)
            count += 1
        if not count:
            raise UsageError(f"there are no calibration data in {self._name}", fix=_FORMS)

    def _opener(self, source: Source) -> tuple[Callable[[], Iterable[Any]], str]:
        if isinstance(source, str | os.PathLike):
            text = os.fspath(source)
            if ".py:" in text or (":" in text and not Path(text).exists()):
                return load_function(text), text
            return self._open_path(Path(text)), text
        if callable(source):
            return source, getattr(source, "__name__", "the function given")
        if iter(source) is source:
            spooled = _Spool(map(self._named, source))
            return spooled.read, "the iterator given"
        return lambda: source, "the data given"

    def _open_path(self, path: Path) -> Callable[[], Iterable[Any]]:
        if path.is_dir():
            known = (*images.SUFFIXES, ".npy", ".npz")
            files = sorted(item for item in path.rglob("*") if item.suffix.lower() in known)
            if not files:
                raise UsageError(f"there are no calibration data in {path}", fix=_FORMS)
            return lambda: map(self._read_file, files)
        if not path.is_file():
            raise UsageError(f"no such file: {path}")
        if path.suffix.lower() == ".npz":
            return lambda: self._read_rows(path)
        return lambda: [self._read_file(path)]

    def _read_file(self, path: Path) -> Arrays:
        """One case: a picture or an array of a model's one input, or arrays by name."""
        specs = self._signature.inputs
        if path.suffix.lower() == ".npz":
            return {spec.name: read_tensor(path, spec) for spec in specs}
        if len(specs) != 1:
            raise UsageError(
                f"{path} is one array, but the model takes {len(specs)} inputs",
                fix="give .npz files with an array for every input",
            )
        (spec,) = specs
        if path.suffix.lower() in images.SUFFIXES:
            return {spec.name: _fitted(path, spec)}
        return {spec.name: read_tensor(path, spec)}

    def _read_rows(self, path: Path) -> Iterator[Arrays]:
        """The cases of a file that holds all of them, read one after the other."""
        try:
            with zipfile.ZipFile(path) as archive:
                missing = [
                    spec.name
                    for spec in self._signature.inputs
                    if f"{spec.name}.npy" not in archive.namelist()
                ]
                if missing:
                    there = ", ".join(name.removesuffix(".npy") for name in archive.namelist())
                    raise UsageError(f"{path} has no array {missing[0]!r}", fix=f"it has: {there}")
                streams = [_rows(archive, spec) for spec in self._signature.inputs]
                names = [spec.name for spec in self._signature.inputs]
                for rows in zip(*streams, strict=True):
                    yield dict(zip(names, rows, strict=True))
        except UNREADABLE as error:
            raise UsageError(f"cannot read the calibration data {path}", why=str(error)) from error

    def _named(self, item: Any) -> Arrays:
        """A case by input name, from any of the forms that an iterable may yield."""
        names = [spec.name for spec in self._signature.inputs]
        if isinstance(item, Mapping):
            return {str(name): _array(value) for name, value in item.items()}
        values = list(item) if isinstance(item, tuple | list) else [item]
        if len(values) != len(names):
            raise UsageError(
                f"a calibration case has {len(values)} arrays, the model takes {len(names)} inputs",
                fix=f"give them in the order {', '.join(names)}, or as a dict",
            )
        return dict(zip(names, map(_array, values), strict=True))

    def _checked(self, item: Any, index: int) -> Arrays:
        arrays = self._named(item)
        where = f"case {index} of {self._name}"
        try:
            self._signature.examine(arrays)
        except RunError as error:
            raise UsageError(
                f"the calibration data do not fit the model: {error.what}",
                where=where,
                why=error.why,
                fix=error.fix,
            ) from error
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                bad = array.size - int(np.count_nonzero(np.isfinite(array)))
                raise UsageError(
                    f"the calibration data hold {bad} NaN or infinite values in {name!r}",
                    where=where,
                    fix="a range cannot be read from them: leave the case out",
                )
        return arrays


class Part:
    """A part of data: the cases that are held out to judge by, or those to calibrate on.

    Args:
        data: The data; where there is a single case, it serves for both.
        held_out: Which part: every `HELD_OUT`-th case from the first on (of so few, every second),
            or the others.
    """

    def __init__(self, data: Iterable[Arrays], *, held_out: bool) -> None:
        self._data = data
        self._held_out = held_out

    def __iter__(self) -> Iterator[Arrays]:
        """Yields the cases of this part."""
        first = len(list(itertools.islice(self._data, HELD_OUT + 1)))
        step = HELD_OUT if first > HELD_OUT else 2
        for index, case in enumerate(self._data):
            if first == 1 or (index % step == 0) == self._held_out:
                yield case


def _array(value: Any) -> Array:
    """An array, of a PyTorch tensor as well."""
    return np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


def _fitted(path: Path, spec: TensorSpec) -> Array:
    """A picture as an input's array, resized if the input's size is fixed."""
    from PIL import Image

    array = read_tensor(path, spec)
    shape = [*(spec.shape or ())][2:]
    sizes = [
        size if isinstance(size, int) else there
        for size, there in zip(shape, array.shape[2:], strict=True)
    ]
    if sizes == list(array.shape[2:]):
        return array
    planes = [
        np.asarray(
            Image.fromarray(plane.astype(np.float32)).resize(sizes[::-1], Image.Resampling.BILINEAR)
        )
        for plane in array[0]
    ]
    return np.stack(planes)[None].astype(array.dtype)


def _rows(archive: zipfile.ZipFile, spec: TensorSpec) -> Iterator[Array]:
    """The cases of one array in a .npz file, without reading it as a whole."""
    rank = len(spec.shape or ())
    with archive.open(f"{spec.name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(stream)
        if fortran or dtype.hasobject or not shape:
            raise UsageError(
                f"the array {spec.name!r} cannot be read case by case",
                fix="save numpy.ascontiguousarray(array), with the cases along the first axis",
            )
        batch = 1
        if len(shape) == rank and spec.shape and isinstance(spec.shape[0], int):
            batch = spec.shape[0]
        tail = tuple(shape[1:])
        size = batch * dtype.itemsize * int(np.prod(tail, dtype=np.int64))
        for _ in range(shape[0] // batch):
            row = np.frombuffer(_exactly(stream, size), dtype).reshape(batch, *tail)
            yield as_stored(row if len(shape) == rank else row[0], spec.dtype)


def _exactly(stream: Any, size: int) -> bytes:
    data: bytes = stream.read(size)
    if len(data) != size:
        raise EOFError("the array is shorter than its header says")
    return data


class _Spool:
    """Stores data that can be read only once in a temporary folder of this object."""

    def __init__(self, cases: Iterator[Arrays]) -> None:
        self._cases: Iterator[Arrays] | None = cases
        self._folder = tempfile.TemporaryDirectory(prefix="modelport-calibration-")
        self._count = 0

    def read(self) -> Iterator[Arrays]:
        """Yields the cases; those not yet read come from the source, and are kept."""
        for index in itertools.count():
            path = Path(self._folder.name, f"{index}.npz")
            if index >= self._count:
                case = None if self._cases is None else next(self._cases, None)
                if case is None:
                    self._cases = None
                    return
                np.savez(path, **case)  # type: ignore[arg-type]
                self._count += 1
                yield case
            else:
                with np.load(path, allow_pickle=False) as stored:
                    yield {name: stored[name] for name in stored.files}
