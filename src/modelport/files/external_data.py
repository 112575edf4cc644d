"""External data of ONNX files, found without a library, and checked before a runtime reads it.

A runtime opens the files that a graph names. Before one sees a graph from elsewhere, every location
in it must be a plain file below the graph's folder. `native/bundle/src/external_data.cpp` does the
same.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from modelport.errors import UsageError
from modelport.files.beneath import open_beneath

MAX_DEPTH = 100
"""Messages in each other; protobuf itself reads no deeper."""
_SMALL = 4 << 20
_FIX = "put the data beside the model, and name it by its path from there"
# Field numbers of onnx.proto: which messages hold tensors, by what a message is.
_MODEL, _GRAPH, _FUNCTION, _NODE, _ATTRIBUTE, _SPARSE, _TENSOR, _ENTRY, _TRAINING = range(9)
_INNER: dict[int, dict[int, int]] = {
    _MODEL: {7: _GRAPH, 20: _TRAINING, 25: _FUNCTION},
    _TRAINING: {1: _GRAPH, 2: _GRAPH},
    _GRAPH: {1: _NODE, 5: _TENSOR, 15: _SPARSE},
    _FUNCTION: {7: _NODE, 11: _ATTRIBUTE},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR, 6: _GRAPH, 10: _TENSOR, 11: _GRAPH, 22: _SPARSE, 23: _SPARSE},
    _SPARSE: {1: _TENSOR, 2: _TENSOR},
    _TENSOR: {13: _ENTRY},
    _ENTRY: {},
}


def require_external_data(path: Path) -> list[str]:
    """Checks the files that a graph names for its weights.

    Args:
        path: The ONNX file.

    Returns:
        The locations, each once.

    Raises:
        UsageError: The file is unreadable, or a location is no plain file below its folder.
    """
    try:
        with path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                return []
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                # The key of an entry is written out: a small graph without it names no file, and
                # is not walked. A large one is mostly weights, which are passed over.
                small = len(data) < _SMALL
                found = [] if small and data.find(b"location") < 0 else list(_locations(data))
    except OSError as error:
        raise UsageError(f"{path} cannot be read", why=error.strerror) from error
    except ValueError as error:
        raise UsageError(
            f"{path} is not a readable ONNX model",
            why=str(error),
            fix="the file is truncated or of another format: write or copy it again",
        ) from error
    locations = list(dict.fromkeys(found))
    for location in locations:
        _require_inside(path, location)
    return [location.decode() for location in locations]


def _require_inside(path: Path, location: bytes) -> None:
    shown = location[:80].decode(errors="replace")
    if not location.strip(b"\0"):
        raise UsageError(f"{path} names no file for its data", fix=_FIX)
    try:
        text = location.decode()
        # Some writers begin with it; it changes nothing.
        name = text.removeprefix("./")
        os.close(open_beneath(path.parent, name))
    except FileNotFoundError as error:
        raise UsageError(
            f"the data of {path} is missing: there is no {shown!a} beside it",
            fix="copy the model together with its data",
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} refers to data outside of its folder: {shown!a}",
            why="a model from elsewhere could read any file of this machine in this way",
            fix=_FIX,
        ) from error


def _locations(data: mmap.mmap) -> Iterator[bytes]:
    """The values of the entries ``location`` of all tensors."""
    left = [(_MODEL, 0, len(data), 0)]
    while left:
        kind, begin, end, depth = left.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"messages are nested more than {MAX_DEPTH} deep")
        if kind == _ENTRY:
            entry = {field: data[start:stop] for field, start, stop in _fields(data, begin, end)}
            if entry.get(1) == b"location":
                yield entry.get(2, b"")
            continue
        inner = _INNER[kind]
        left += [
            (inner[field], start, stop, depth + 1)
            for field, start, stop in _fields(data, begin, end)
            if field in inner
        ]


def _fields(data: mmap.mmap, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The fields of a message that have a length: number, begin and end."""
    while place < end:
        key, place = _varint(data, place, end)
        wire = key & 7
        if wire == 0:
            _, place = _varint(data, place, end)
        elif wire == 2:
            length, place = _varint(data, place, end)
            if length > end - place:
                raise ValueError("a field is longer than its message")
            yield key >> 3, place, place + length
            place += length
        elif wire in (1, 5):
            place += 8 if wire == 1 else 4
        else:
            raise ValueError(f"a field has the unknown wire type {wire}")
    if place > end:
        raise ValueError("a field is longer than its message")


def _varint(data: mmap.mmap, place: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while place < end and shift < 70:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    raise ValueError("a number does not end")
