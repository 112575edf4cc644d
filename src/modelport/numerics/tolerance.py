"""How far two results may lie apart, and why."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from modelport.errors import UsageError

_UNIT_ROUNDOFF = {
    "float64": 2.0**-53,
    "float32": 2.0**-24,
    "float16": 2.0**-11,
    "bfloat16": 2.0**-8,
}
_EIGHT_BITS = "8-bit"
_FLOAT8 = "float8"
_OF_PRECISION = {
    "fp32": "float32",
    "tf32": "float16",
    "fp16": "float16",
    "bf16": "bfloat16",
    "int8": _EIGHT_BITS,
    "fp8": _FLOAT8,
}
_LIMITS = {
    "float64": 1e-9,
    "float32": 1e-4,
    "float16": 1e-2,
    "bfloat16": 5e-2,
    _EIGHT_BITS: 1e-1,
    _FLOAT8: 2.5e-1,
}
_ELEMENT_FACTOR = 10.0
_OF_ONE_NODE = 0.1


@dataclass(frozen=True)
class Tolerance:
    """How far an output may lie from what is expected, as a whole and in its worst element.

    An output agrees where ``rms(actual - expected) <= overall * scale`` and, for every element,
    ``|actual - expected| <= element * (|expected| + scale)``. The scale is the output's root mean
    square, in this case or in the case of the usual ones where it is largest: it stands in for the
    magnitude of the terms that an element is a sum of, since an element that cancels to almost
    nothing carries their rounding, not its own.

    Where the reference is known in float64, an error of a few times the reference's own rounding
    is allowed as well; see `modelport.numerics.result.compare_outputs`.

    Attributes:
        overall: Bound on the error of the output as a whole; 0 asks for equality.
        element: Bound on the error of an element.
        source: Where the bounds come from.
        levels: What an element may be off by besides, because it was rounded to whole numbers; a
            hundredth of the elements, and one always, may be off by that much.
        absolute: What an element may be off by besides, in the output's own unit.
    """

    overall: float
    element: float
    source: str
    levels: float = 0.0
    absolute: float = 0.0


@dataclass(frozen=True)
class Bounds:
    """Bounds that a user sets in place of the usual ones, for all float outputs or by output name.

    Attributes:
        rtol: Bound on the error of an output as a whole, relative to its scale; an element may be
            ten times worse. None for the usual bound of its dtype.
        atol: An error that is allowed besides, in the output's own unit; None for none.

    Raises:
        UsageError: A bound is no number from 0 up.
    """

    rtol: float | Mapping[str, float] | None = None
    atol: float | Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        for kind, bound in (("rtol", self.rtol), ("atol", self.atol)):
            named = bound if isinstance(bound, Mapping) else {"": bound}
            for name, value in named.items():
                if value is not None and not 0 <= value < math.inf:
                    raise UsageError(
                        f"{kind} {value} is not a number from 0 up",
                        where=f"output {name!r}" if name else None,
                        fix=f"give a bound such as {kind}=1e-3",
                    )

    def applied(self, usual: Tolerance, output: str) -> Tolerance:
        """Returns the tolerance for an output.

        A bound without a name holds for floats alone: integers stay equal unless one is named.

        Args:
            usual: The tolerance without bounds of the user's.
            output: The output's name.
        """
        rtol = _bound(self.rtol, output, exact=usual.element == 0.0)
        atol = _bound(self.atol, output, exact=usual.element == 0.0)
        changed = usual
        if rtol is not None:
            element = _ELEMENT_FACTOR * rtol
            changed = dataclasses.replace(changed, overall=rtol, element=element, source="given")
        if atol is not None:
            changed = dataclasses.replace(changed, absolute=atol)
        return changed

    def require_known(self, outputs: Collection[str]) -> None:
        """Requires that every name is an output's.

        Raises:
            UsageError: A bound names something else.
        """
        for bound in (self.rtol, self.atol):
            unknown = [name for name in bound if name not in outputs] if _is_named(bound) else []
            if unknown:
                raise UsageError(
                    f"a tolerance names {unknown[0]!r}, which is no output",
                    fix=f"the outputs are {', '.join(outputs)}",
                )

    def to_json(self) -> dict[str, Any]:
        """The bounds as plain dicts; empty where none is set."""
        return {
            kind: dict(bound) if isinstance(bound, Mapping) else bound
            for kind, bound in (("rtol", self.rtol), ("atol", self.atol))
            if bound is not None
        }


def _is_named(bound: float | Mapping[str, float] | None) -> TypeGuard[Mapping[str, float]]:
    return isinstance(bound, Mapping)


def _bound(bound: float | Mapping[str, float] | None, output: str, *, exact: bool) -> float | None:
    if isinstance(bound, Mapping):
        return bound.get(output)
    return None if exact else bound


def tolerance_for(dtype: str, precision: str = "fp32", at_most: float | None = None) -> Tolerance:
    """The tolerance for an output.

    Rounding in a chain of sums and products grows with the square root of its length times the
    unit roundoff of the arithmetic (N. J. Higham, Accuracy and Stability of Numerical Algorithms,
    2nd ed., section 2.8): 1e-6 to 2e-5 of the output as a whole in fp32, for networks of 50 to
    150 layers on several runtimes. The overall bound leaves some five times that, and lies below
    what a wrong epsilon, padding mode or coefficient makes. A single element may be ten times
    worse: a coordinate of 1000 in fp32 is off by 6e-5 of a pixel, and a resized edge with it.

    In int8 a tensor is off by 0.9 % at best: the best uniform quantizer of 256 levels for normal
    values has a signal-to-noise ratio of 40.6 dB (J. Max, Quantizing for Minimum Distortion, 1960).
    By the square-root law a hundred of them are off by a tenth. In fp8 (E4M3, P. Micikevicius et
    al., FP8 Formats for Deep Learning, 2022) neighbours are an eighth of their power of two apart:
    an error of 2 ** -3 / sqrt(12) of that power, or 2.4 % of the mean number between it and the
    next; a hundred of them are off by a quarter.

    Bytes are pictures: real numbers that were rounded at the end. One that lies just between two
    bytes goes to either with the least rounding before.

    Args:
        dtype: The output's dtype.
        precision: The precision of the target's arithmetic.
        at_most: What the output as a whole may be off by, where that is less.

    Returns:
        The bounds for the coarser of the two; equality for integers but bytes, and booleans.
    """
    usual = _usual(dtype, precision)
    if at_most is None or at_most >= usual.overall:
        return usual
    return dataclasses.replace(
        usual, overall=at_most, element=_ELEMENT_FACTOR * at_most, source="given"
    )


def _usual(dtype: str, precision: str) -> Tolerance:
    if dtype == "uint8":
        real = _usual("float32", precision)
        return dataclasses.replace(real, source=f"{real.source}, rounded to bytes", levels=1.0)
    if dtype not in _UNIT_ROUNDOFF:
        return Tolerance(0.0, 0.0, f"{dtype} is exact")
    arithmetic = _OF_PRECISION.get(precision, "float32")
    if arithmetic in (_EIGHT_BITS, _FLOAT8):
        limit = _LIMITS[arithmetic]
        return Tolerance(limit, _ELEMENT_FACTOR * limit, "8-bit quantization")
    coarser = max(dtype, arithmetic, key=lambda name: _UNIT_ROUNDOFF[name])
    if dtype == "float64" and precision == "fp32":
        coarser = "float64"
    limit = _LIMITS[coarser]
    return Tolerance(limit, _ELEMENT_FACTOR * limit, f"{coarser} arithmetic")


def node_tolerance_for(dtype: str, precision: str = "fp32") -> Tolerance:
    """The tolerance for one node that is given the very same inputs.

    The bounds of `tolerance_for` leave room for a chain of 50 to 150 layers; one node is one link
    of it. By the same square-root law its rounding is a tenth.

    Args:
        dtype: The output's dtype.
        precision: The precision of the target's arithmetic.

    Returns:
        A tenth of the bounds of a whole model.
    """
    whole = tolerance_for(dtype, precision)
    return dataclasses.replace(
        whole,
        overall=whole.overall * _OF_ONE_NODE,
        element=whole.element * _OF_ONE_NODE,
        source=f"{whole.source}, one node",
    )
