"""Result of `quantize`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypedDict

from modelport.model import Model
from modelport.precision.calibration_table import CalibrationTable


class QuantizationChoice(TypedDict):
    """Choice of `quantize`, as it is written into a file's metadata and a manifest.

    Attributes:
        precision: One of `PRECISIONS`.
        calibration: Name of the calibration method.
        cases: Number of cases for the calibration.
        score: Score of the reference.
        drop: Loss of the score.
        max_drop: Allowed loss.
        operators: Number of operators that could be quantized.
        kept: Names of those that are excluded.
        improvements: Corrections that were applied.
    """

    precision: str
    calibration: str
    cases: int
    score: float
    drop: float
    max_drop: float
    operators: int
    kept: list[str]
    improvements: list[str]


@dataclass(frozen=True)
class Point:
    """A set of operators that was tried, with its result.

    Attributes:
        kept: How many operators stayed in float32.
        drop: How much of the score was lost.
        milliseconds: Median time of a run on ONNX Runtime on this machine's CPU.
        original_milliseconds: That of the original, measured in turns with it.
    """

    kept: int
    drop: float
    milliseconds: float
    original_milliseconds: float


@dataclass(frozen=True)
class Quantization:
    """Result of `quantize`.

    Attributes:
        model: The model in lower precision.
        precision: One of `PRECISIONS`.
        table: The ranges it was made with.
        score: The original's score.
        drop: How much of it is lost.
        max_drop: How much might be.
        operators: How many operators could be of lower precision.
        kept: Names of those that stay in float32 for the sake of accuracy.
        sensitivity: What each operator costs on its own, the largest first; empty where it was not
            needed.
        improvements: What was done to the graph before, since it helped.
        points: Accuracy against speed, for the sets that were tried.
        seconds: Seconds of every stage, by name.
    """

    model: Model
    precision: str
    table: CalibrationTable
    score: float
    drop: float
    max_drop: float
    operators: int
    kept: tuple[str, ...]
    sensitivity: dict[str, float]
    improvements: tuple[str, ...]
    points: tuple[Point, ...]
    seconds: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """The result as plain dicts and lists."""
        findings = [dataclasses.asdict(finding) for finding in self.model.findings]
        return {
            **self.choice,
            "sensitivity": self.sensitivity,
            "points": [dataclasses.asdict(point) for point in self.points],
            "findings": findings,
            "seconds": self.seconds,
        }

    @property
    def choice(self) -> QuantizationChoice:
        """The choice and its reasons: for the file's metadata and the manifest."""
        return {
            "precision": self.precision,
            "calibration": self.table.method,
            "cases": self.table.cases,
            "score": self.score,
            "drop": self.drop,
            "max_drop": self.max_drop,
            "operators": self.operators,
            "kept": list(self.kept),
            "improvements": list(self.improvements),
        }
