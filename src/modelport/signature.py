"""Signatures: names, dtypes and dimensions of a model's inputs and outputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modelport.arrays import Array
from modelport.errors import RunError, UsageError


@dataclass(frozen=True)
class Dim:
    """A dynamic dimension: its name and the sizes that it may have.

    Attributes:
        name: The name; dimensions of one name have one size in a run.
        min: The smallest size, at least 1 unless 0 is asked for.
        max: The largest size, or None where there is no bound.
        multiple: What every size is a multiple of. `min` and `max` become sizes: the first and the
            last multiple between them.
    """

    name: str
    min: int = 1
    max: int | None = None
    multiple: int = 1

    def __post_init__(self) -> None:
        declared = str(self)
        if self.multiple < 1:
            raise UsageError(
                f"the sizes of dimension {self.name!r} cannot be multiples of {self.multiple}"
            )
        object.__setattr__(self, "min", -(-self.min // self.multiple) * self.multiple)
        if self.max is not None:
            object.__setattr__(self, "max", self.max // self.multiple * self.multiple)
        if self.min < 0 or (self.max is not None and self.max < self.min):
            raise UsageError(
                f"dimension {self.name!r} has the empty range {declared}", fix="min <= max"
            )

    def __contains__(self, size: int) -> bool:
        inside = self.min <= size and (self.max is None or size <= self.max)
        return inside and size % self.multiple == 0

    def __str__(self) -> str:
        text = f"{self.name} in {self.min}..{'' if self.max is None else self.max}"
        return text if self.multiple == 1 else f"{text}, a multiple of {self.multiple}"

    def nearest(self, size: int) -> int:
        """The largest allowed size up to a number, or else the smallest allowed size."""
        down = size // self.multiple * self.multiple
        return max(down if self.max is None else min(down, self.max), self.min)


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a model.

    Attributes:
        name: The tensor's name in the graph.
        dtype: NumPy's name of the dtype, e.g. ``float32`` (``bfloat16`` as in ml_dtypes).
        shape: A size, or the name of a dynamic dimension (an expression of such names for an
            output), one an axis; None where the rank is not known.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None

    def shape_at(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The shape at given sizes of the dynamic dimensions.

        Raises:
            UsageError: The rank is not known.
        """
        if self.shape is None:
            raise UsageError(
                f"input {self.name!r} has no known rank", fix="declare its shape in the model"
            )
        return tuple(dim if isinstance(dim, int) else sizes[dim] for dim in self.shape)

    def __str__(self) -> str:
        shape = "?" if self.shape is None else ", ".join(map(str, self.shape))
        return f"{self.name}: {self.dtype}[{shape}]"


@dataclass(frozen=True)
class Signature:
    """Signature of a model.

    Attributes:
        inputs: The inputs, in order.
        outputs: The outputs, in order.
        dims: The dynamic dimensions with a declared range, by name; a name in a shape that is
            missing here has no bound but the one implied by its name.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    dims: Mapping[str, Dim] = field(default_factory=dict)

    def count_elements(self, sizes: Mapping[str, int]) -> int:
        """Elements of all inputs together, at given sizes of the dynamic dimensions.

        Raises:
            UsageError: An input has no known rank.
        """
        return sum(math.prod(spec.shape_at(sizes)) for spec in self.inputs)

    def examine(self, inputs: Mapping[str, Any]) -> None:
        """Checks inputs by name, dtype, rank, fixed dimensions, and dimensions' ranges.

        Args:
            inputs: Arrays by input name.

        Raises:
            RunError: The inputs differ from the signature.
        """
        if not isinstance(inputs, Mapping):
            raise RunError(
                f"the inputs are a {type(inputs).__name__}, not a dict of arrays by input name",
                fix=f"the model takes {self._describe_inputs()}",
            )
        expected = [spec.name for spec in self.inputs]
        missing = [name for name in expected if name not in inputs]
        unknown = [name for name in inputs if name not in expected]
        if missing or unknown:
            problems = [f"missing: {', '.join(missing)}"] if missing else []
            problems += [f"unknown: {', '.join(map(str, unknown))}"] if unknown else []
            raise RunError(
                f"the inputs do not have the model's names ({'; '.join(problems)})",
                fix=f"the model takes {self._describe_inputs()}",
            )
        sizes: dict[str, tuple[int, str]] = {}
        for spec in self.inputs:
            self._examine_one(spec, inputs[spec.name], sizes)

    def _examine_one(self, spec: TensorSpec, array: Any, sizes: dict[str, tuple[int, str]]) -> None:
        if not isinstance(array, np.ndarray):
            raise RunError(
                f"input {spec.name!r} is a {type(array).__name__}, not a NumPy array",
                fix=f"pass {spec}",
            )
        if not _has_dtype(array, spec.dtype):
            raise RunError(
                f"input {spec.name!r} has dtype {array.dtype.str}, expected {spec.dtype}",
                fix=f"convert it: array.astype({spec.dtype!r})",
            )
        if spec.shape is None:
            return
        mismatch = f"{spec.name!r} has shape {list(array.shape)}, expected {spec}"
        if array.ndim != len(spec.shape):
            raise RunError(f"input {mismatch}", why=f"rank {array.ndim} is not {len(spec.shape)}")
        for axis, (size, dim_spec) in enumerate(zip(array.shape, spec.shape, strict=True)):
            axis_name = f"{spec.name}[{axis}]"
            if isinstance(dim_spec, int):
                if size != dim_spec:
                    raise RunError(
                        f"input {mismatch}", why=f"axis {axis} is {size}, not {dim_spec}"
                    )
                continue
            dim = self.dims.get(dim_spec)
            if dim is not None and size not in dim:
                raise RunError(
                    f"input {mismatch}", why=f"axis {axis} is {size}, outside the range {dim}"
                )
            first, first_place = sizes.setdefault(dim_spec, (size, axis_name))
            if size != first:
                raise RunError(
                    f"input {mismatch}",
                    why=f"axis {axis} is {size}, but {dim_spec!r} is {first} in {first_place}",
                )

    def _describe_inputs(self) -> str:
        return "; ".join(map(str, self.inputs)) or "no inputs"

    def to_json(self) -> dict[str, Any]:
        """The signature as plain dicts and lists."""
        return {
            "inputs": [_spec_to_json(spec) for spec in self.inputs],
            "outputs": [_spec_to_json(spec) for spec in self.outputs],
            "dimensions": dims_to_json(self.dims.values()),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Signature:
        """Reads what `to_json` wrote."""
        return cls(
            inputs=tuple(_spec_from_json(spec) for spec in data["inputs"]),
            outputs=tuple(_spec_from_json(spec) for spec in data["outputs"]),
            dims=dims_from_json(data["dimensions"]),
        )


class InputGuard:
    """Checks the inputs of every run; repeated shapes cost almost nothing.

    A combination of shapes that passed `Signature.examine` is remembered, so that a further run
    with it only compares names, dtypes and the shapes themselves.
    """

    _REMEMBERED = 1024

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._expected = tuple((spec.name, _native_dtype(spec.dtype)) for spec in signature.inputs)
        self._count = len(self._expected)
        self._passed: set[tuple[tuple[int, ...], ...]] = set()

    def __call__(self, inputs: Mapping[str, Any]) -> None:
        """Raises `RunError` if the inputs do not match the signature."""
        shapes = []
        try:
            for name, dtype in self._expected:
                array = inputs[name]
                # A dtype that equals but is another object (an unpickled one) is examined anew,
                # and so is an object that only looks like an array (a NumPy scalar).
                if array.dtype is not dtype or array.__class__ is not np.ndarray:
                    break
                shapes.append(array.shape)
        except (LookupError, AttributeError, TypeError):
            pass
        key = tuple(shapes)
        if key in self._passed and len(key) == self._count == len(inputs):
            return
        self._signature.examine(inputs)
        if len(key) == self._count and len(self._passed) < self._REMEMBERED:
            self._passed.add(key)


def dims_to_json(dims: Iterable[Dim]) -> dict[str, dict[str, int | None]]:
    """Dimensions as ``{name: {"min": 1, "max": None}}``, with ``multiple`` where it is not 1."""
    return {
        dim.name: {"min": dim.min, "max": dim.max}
        | ({} if dim.multiple == 1 else {"multiple": dim.multiple})
        for dim in dims
    }


def dims_from_json(data: Mapping[str, Mapping[str, Any]]) -> dict[str, Dim]:
    """Reads what `dims_to_json` wrote."""
    return {
        name: Dim(name, bounds["min"], bounds["max"], bounds.get("multiple", 1))
        for name, bounds in data.items()
    }


def _has_dtype(array: Array, name: str) -> bool:
    if name == "str":
        return array.dtype.kind in "UO"
    return bool(array.dtype.name == name and array.dtype.isnative)


def _native_dtype(name: str) -> np.dtype[Any] | None:
    try:
        return np.dtype(name)
    except TypeError:
        return None


def _spec_to_json(spec: TensorSpec) -> dict[str, Any]:
    shape = None if spec.shape is None else list(spec.shape)
    return {"name": spec.name, "dtype": spec.dtype, "shape": shape}


def _spec_from_json(data: Mapping[str, Any]) -> TensorSpec:
    shape = None if data["shape"] is None else tuple(data["shape"])
    return TensorSpec(data["name"], data["dtype"], shape)
