"""Fields of a manifest: their types, ranges and numbers.

`native/bundle/src/manifest.cpp` says the same.
"""

from __future__ import annotations

import re
from collections.abc import Sized
from typing import Any, TypeVar

from modelport.bundle.strict_json import CONTROL
from modelport.signature import Signature

MAX_PARTS = 32
"""Folders in each other, the file included; a pipeline of pipelines is no deeper either."""
MAX_FILES = 1 << 16
MAX_TARGETS = 64
MAX_TENSORS = 4096
MAX_RANK = 64
MAX_STAGES = 64
DTYPES = frozenset(
    (
        *("float16", "float32", "float64", "bfloat16", "bool", "str"),
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        # Engines of TensorRT have these; ml_dtypes names them.
        *("float8_e4m3fn", "float8_e5m2", "float4_e2m1fn", "int4", "uint4"),
    )
)
"""NumPy's names of the dtypes that tensors of a bundle have."""
_DIGEST = re.compile(r"[0-9a-f]{64}")

T = TypeVar("T")
S = TypeVar("S", bound=Sized)


def is_inside(path: str) -> bool:
    """Whether a path stays inside the folder that it is relative to, written in the plain way."""
    parts = path.split("/")
    plain = not any(character in "\\:\t\n" for character in path) and not CONTROL.search(path)
    short = len(parts) <= MAX_PARTS and all(
        len(part.encode(errors="replace")) < 256 for part in parts
    )
    return plain and short and not {"", ".", ".."} & set(parts)


def read_signature(content: Any) -> Signature:
    """The tensors of a model; a `ValueError` where they say what cannot be."""
    entries = expect(content, dict, "signature")
    expect(entries["dimensions"], dict, "dimensions")
    for side in ("inputs", "outputs"):
        expect(entries[side], list, side)
    for entry in (*entries["inputs"], *entries["outputs"]):
        if entry["shape"] is not None:
            expect(entry["shape"], list, "a tensor's shape")
    signature = Signature.from_json(entries)
    for spec in require_few((*signature.inputs, *signature.outputs), MAX_TENSORS, "tensors"):
        read_name(spec.name, "a tensor's name")
        if expect(spec.dtype, str, "a tensor's dtype") not in DTYPES:
            raise ValueError(f"unknown dtype {spec.dtype!r:.60}")
        for size in require_few(spec.shape or (), MAX_RANK, "axes"):
            if isinstance(size, str):
                read_name(size, "a dimension's name")
            else:
                expect(size, int, "a tensor's size")
    for dim in signature.dims.values():
        read_name(dim.name, "a dimension's name")
        expect(dim.min, int, "min")
        expect(dim.multiple, int, "multiple")
        if dim.max is not None:
            expect(dim.max, int, "max")
    return signature


def read_name(value: Any, what: str) -> str:
    """A text of one line."""
    name = expect(value, str, what)
    if "\n" in name or "\t" in name:
        raise ValueError(f"{what} is {name!r:.60}, which has more than one line")
    return name


def require_few(values: S, limit: int, what: str) -> S:
    """The values, where there are not more than a limit; a `ValueError` where there are."""
    if len(values) > limit:
        raise ValueError(f"it has {len(values)} {what}, more than {limit}")
    return values


def read_path(name: Any) -> str:
    """A path inside of the bundle."""
    if not is_inside(expect(name, str, "a path")):
        raise ValueError(f"{name!r} lies outside the bundle, or is not written plainly")
    return str(name)


def read_digest(text: Any) -> str:
    """A SHA-256, in hexadecimal digits."""
    if not _DIGEST.fullmatch(expect(text, str, "sha256")):
        raise ValueError(f"{text!r} is no SHA-256")
    return str(text)


def read_mapping(value: Any, kind: type[T], what: str) -> dict[str, T]:
    """An object whose values are all of one type."""
    return {name: expect(item, kind, name) for name, item in expect(value, dict, what).items()}


def expect(value: Any, kind: type[T], what: str) -> T:
    """A value of a type, no negative number and no boolean; a `ValueError` else."""
    negative = isinstance(value, int) and value < 0
    if not isinstance(value, kind) or isinstance(value, bool) or negative:
        raise ValueError(f"{what} is {value!r:.60}, not a {kind.__name__}")
    return value
