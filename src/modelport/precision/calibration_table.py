"""Calibration tables: the range of every tensor, in a file that people can read and edit."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelport.errors import UsageError
from modelport.files.replacement import write_text

_FORMAT = "modelport calibration table"
_LEVELS = 127


@dataclass(frozen=True)
class CalibrationTable:
    """Ranges of tensors, from which scales are made.

    Attributes:
        ranges: The smallest and the largest value that a tensor is to hold, by its name; zero lies
            between them.
        method: Name of the calibration method.
        cases: How many cases they were calibrated on; 0 where that is not known.
    """

    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    method: str = "given"
    cases: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in self.ranges.items():
            if not (math.isfinite(low) and math.isfinite(high) and low <= 0.0 <= high):
                raise UsageError(
                    f"the range {low:g}..{high:g} of {name!r} is none to quantize to",
                    why="both ends must be finite, and zero must lie between them",
                )

    def replaced(self, ranges: Mapping[str, tuple[float, float]]) -> CalibrationTable:
        """The table with other ranges for some tensors."""
        return CalibrationTable({**self.ranges, **ranges}, self.method, self.cases)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes the table as JSON.

        Raises:
            UsageError: The file cannot be written.
        """
        path = Path(path)
        ranges = {name: list(ends) for name, ends in sorted(self.ranges.items())}
        data = {
            "format": _FORMAT,
            "method": self.method,
            "cases": self.cases,
            "ranges": ranges,
        }
        write_text(path, json.dumps(data, indent=1) + "\n")
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> CalibrationTable:
        """Reads a table that `save` wrote, or a calibration cache of TensorRT 7 to 10.

        The latter has a line ``TRT-<version>-<algorithm>`` and then ``name: scale`` lines, where a
        scale is a float32 as eight hexadecimal digits, the most significant first; the range goes
        to 127 steps of it on both sides.

        Raises:
            UsageError: The file is missing, or neither of both.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read the calibration table {path}", why=str(error)) from error
        try:
            if text.startswith("TRT-"):
                return _from_tensorrt(text)
            data = json.loads(text)
            if data["format"] != _FORMAT:
                raise ValueError(f"it is a {data['format']!r}")
            ends = {name: (float(low), float(high)) for name, (low, high) in data["ranges"].items()}
            return cls(ends, str(data["method"]), int(data["cases"]))
        except (KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
            raise UsageError(
                f"{path} is not a calibration table",
                why=f"{type(error).__name__}: {error}",
                fix="take FILE of `modelport quantize SOURCE -o NEW.onnx --int8 --save-table FILE`"
                ", or a calibration cache of TensorRT",
            ) from error


def _from_tensorrt(text: str) -> CalibrationTable:
    head, *lines = text.splitlines()
    ranges = {}
    for line in filter(str.strip, lines):
        name, colon, digits = line.rpartition(":")
        if not colon:
            raise ValueError(f"the line {line!r} has no scale")
        (scale,) = struct.unpack(">f", bytes.fromhex(digits.strip().rjust(8, "0")))
        ranges[name.strip()] = (-_LEVELS * scale, _LEVELS * scale)
    return CalibrationTable(ranges, head.strip())
