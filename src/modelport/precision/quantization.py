"""`quantize`: lower precision, as far as accuracy allows."""

from __future__ import annotations

import itertools
import json
import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import onnx_ir as ir

from modelport.arrays import Array, Arrays
from modelport.errors import ProofError, UsageError
from modelport.ir.domains import is_onnx
from modelport.ir.integer_ranges import accepted_integers
from modelport.ir.shape_inference import infer_shapes
from modelport.model import Model
from modelport.numerics import draw_cases
from modelport.passes import simplify
from modelport.precision.calibration import METHOD, read_ranges
from modelport.precision.calibration_table import CalibrationTable
from modelport.precision.compression import SCHEMES, compress, compressible
from modelport.precision.conversion import EIGHT_BITS, convert, is_quantized
from modelport.precision.data import CalibrationData, Part, Source
from modelport.precision.excluded_nodes import MOVEMENT, asked_for
from modelport.precision.exclusion_search import Attempt, search, sensitivities
from modelport.precision.observation import libraries_of
from modelport.precision.ptq_corrections import IMPROVEMENTS, bias_errors, correct_biases
from modelport.precision.qdq import LEVELS
from modelport.precision.quantizable import is_float, tensors_to_calibrate, weighted_nodes
from modelport.precision.quantization_result import Point, Quantization
from modelport.precision.scheme import NAMES
from modelport.precision.score import Metric, Scorer
from modelport.progress import Progress, Stages

_LOG = logging.getLogger("modelport.precision")

QUANTIZATION_KEY = "modelport.quantization"
"""Key of the choice in an ONNX file's metadata."""

PRECISIONS = ("int8", "fp8", "fp16", "bf16", *SCHEMES)
"""Precisions of `quantize`."""

MAX_DROP = 0.005
"""Allowed loss of the score by default."""

_JUDGED, _SENSITIVITY_CASES, _DRAWN = 32, 2, 8


def quantize(
    model: Model | str | os.PathLike[str],
    data: Source | None = None,
    *,
    precision: str = "int8",
    form: str = "unsigned",
    method: str = METHOD,
    percentile: float = 99.99,
    table: CalibrationTable | None = None,
    keep: Sequence[str] = (),
    metric: Metric | None = None,
    judge_on: Source | None = None,
    max_drop: float = MAX_DROP,
    libraries: Sequence[Path] | None = None,
    progress: Progress | None = None,
) -> Quantization:
    """Quantizes a model, with as few operators in float32 as the accuracy needs.

    The model is simplified and calibrated. Where it then loses more than allowed, what helps of
    SmoothQuant, cross-layer equalization and bias correction is done (int8), and if that does not
    suffice, the cost of every operator on its own is measured, and the smallest number of the most
    costly ones that meets the bound stays in float32.

    Args:
        model: A model, which is not changed, or an ONNX file.
        data: Data to calibrate on and to judge by; see `modelport.precision.data.CalibrationData`.
            int8 and fp8 need them; other precisions are judged on drawn inputs without.
        precision: One of `PRECISIONS`: ``int8`` with calibrated ranges, ``fp8`` with the largest
            magnitudes (for TensorRT, from sm89 up); ``fp16`` and ``bf16``;
            ``dynamic`` (8 bits with activations scaled at every run, on ONNX Runtime alone);
            ``weights8`` and ``weights4`` (weights alone).
        form: Of int8: ``unsigned`` for CPUs, or ``symmetric``, which TensorRT asks for.
        method: How ranges are chosen: one of `modelport.precision.calibration.METHODS`.
        percentile: Share of the magnitudes inside of a range, in percent, for ``percentile``.
        table: Ranges to use instead of calibrating. The data are then for judging alone, unless
            `judge_on` is passed as well: then tensors that a correction changes are calibrated
            again.
        keep: Names of nodes, patterns with ``*``, or operators that stay in float32 in any case.
        metric: A user's measure of accuracy, of which more is better; by default the agreement with
            the original, as the cosine between their outputs.
        judge_on: Data to judge by; by default every fifth case of `data`, which is then not
            calibrated on.
        max_drop: How much of the score may be lost.
        libraries: Libraries of operators that the model needs; by default those of the operators
            that are declared.
        progress: Told of every stage.

    Returns:
        The model, with what was chosen in its metadata and provenance.

    Raises:
        UsageError: The data are empty, not finite or of wrong shapes, the model is quantized
            already, or an option is wrong.
        ProofError: The bound cannot be met; the message tells the best that was reached.
        BuildError: ONNX Runtime does not take the model.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"unknown precision {precision!r}", fix=f"one of: {', '.join(PRECISIONS)}")
    if precision in EIGHT_BITS and data is None:
        raise UsageError(
            f"a graph does not turn to {precision} without data to calibrate on",
            fix="give data as the model was trained on: --data PLACE",
        )
    original = model if isinstance(model, Model) else Model.load(model)
    if is_quantized(original):
        raise UsageError(
            "the model is quantized already: it has nodes such as QuantizeLinear",
            fix="deploy it as it is, or quantize the model in float32",
        )
    if libraries is None:
        libraries = libraries_of(original)
    work = _Work(original, precision, form, keep, libraries, Stages(progress), progress)
    with work.stage("read the data"):
        work.read(data, judge_on, method, percentile, table)
    return work.walk(metric, max_drop)


class _Work:
    """One quantization, step by step."""

    def __init__(
        self,
        model: Model,
        precision: str,
        form: str,
        keep: Sequence[str],
        libraries: Sequence[Path],
        stage: Stages,
        progress: Progress | None,
    ) -> None:
        self.stage = stage
        self._precision, self._form = precision, form
        self._keep, self._libraries, self._progress = tuple(keep), libraries, progress
        with stage("simplify"):
            self._original = simplify(model, check=False).model
            infer_shapes(self._original.ir)
            _name_nodes(self._original.ir)
        self._ready = self._original
        self._improvements: list[str] = []
        self._errors: dict[str, Array] = {}

    def read(
        self,
        data: Source | None,
        judge_on: Source | None,
        method: str,
        percentile: float,
        table: CalibrationTable | None,
    ) -> None:
        """Opens the data, and separates the cases to judge by."""
        signature = self._original.signature
        if data is None:
            accepted = accepted_integers(self._original.ir)
            drawn = itertools.islice(draw_cases(signature, {}, accepted), _DRAWN)
            data = [case.inputs for case in drawn]
        whole = CalibrationData(data, signature)
        self._cases: Iterable[Arrays] = whole
        judged: Iterable[Arrays] = whole
        if judge_on is not None:
            judged = CalibrationData(judge_on, signature)
        elif table is None:
            self._cases, judged = Part(whole, held_out=False), Part(whole, held_out=True)
        self._judged = list(itertools.islice(judged, _JUDGED))
        self._method, self._percentile, self._given = method, percentile, table
        self._calibrates = table is None or judge_on is not None

    def walk(self, metric: Metric | None, max_drop: float) -> Quantization:
        """Calibrates, improves, and searches until the bound holds."""
        with self.stage("run the reference"):
            scorer = Scorer(self._original, self._judged, metric, self._libraries)
        with self.stage("calibrate"):
            self._table = self._given or self._calibrated(self._original)
        with self.stage("convert and measure"):
            whole = Attempt((), scorer.drop(self._converted(())))
        if whole.drop > max_drop and self._precision == "int8":
            with self.stage("improve"):
                whole = self._improve(scorer, whole)
        best, attempts, sensitivity = whole, [whole], dict[str, float]()
        names = self._operators()
        if whole.drop > max_drop and len(names) > 1:
            with self.stage("measure sensitivity"):
                few = Scorer(
                    self._original, self._judged[:_SENSITIVITY_CASES], metric, self._libraries
                )
                sensitivity = sensitivities(
                    names, lambda kept: few.drop(self._converted(kept)), self._progress
                )
            with self.stage("search"):
                best, attempts = search(
                    sensitivity,
                    lambda kept: scorer.drop(self._converted(kept)),
                    max_drop,
                    whole,
                    self._progress,
                )
        for item in attempts:
            _LOG.debug("%d operators excluded: drop %.3g", len(item.kept), item.drop)
        for name in best.kept:
            cost = sensitivity.get(name, 0.0)
            _LOG.debug("node %r: excluded, drop %.3g when quantized alone", name, cost)
        if best.drop > max_drop:
            raise _impossible(best, max_drop, len(names), scorer.original_score)
        with self.stage("measure speed"):
            points = tuple(
                Point(len(item.kept), *scorer.measure(self._converted(item.kept)))
                for item in attempts
            )
        return self._result(best, scorer, max_drop, names, sensitivity, points)

    def _result(
        self,
        best: Attempt,
        scorer: Scorer,
        max_drop: float,
        names: Sequence[str],
        sensitivity: dict[str, float],
        points: tuple[Point, ...],
    ) -> Quantization:
        result = Quantization(
            model=self._converted(best.kept),
            precision=self._precision,
            table=self._table,
            score=scorer.original_score,
            drop=best.drop,
            max_drop=max_drop,
            operators=len(names),
            kept=best.kept,
            sensitivity=sensitivity,
            improvements=tuple(self._improvements),
            points=points,
            seconds=self.stage.seconds,
        )
        choice = result.choice
        result.model.ir.metadata_props[QUANTIZATION_KEY] = json.dumps(choice)
        result.model.provenance["quantization"] = choice
        return result

    def _improve(self, scorer: Scorer, whole: Attempt) -> Attempt:
        """Applies the corrections that lower the drop, one after the other."""
        for name, improve in IMPROVEMENTS.items():
            candidate = self._ready.copy()
            if not improve(candidate, self._cases, self._libraries):
                continue
            before = self._ready, self._table
            self._ready = candidate
            if self._calibrates:
                self._table = self._calibrated(candidate)
            drop = scorer.drop(self._converted(()))
            is_better = drop < whole.drop
            outcome = "used" if is_better else "not used"
            _LOG.debug("%s: %s, drop %.3g, before %.3g", name, outcome, drop, whole.drop)
            if is_better:
                whole = Attempt((), drop)
                self._improvements.append(name)
            else:
                self._ready, self._table = before
        self._errors = bias_errors(self._ready, self._cases, self._libraries, LEVELS[self._form])
        drop = scorer.drop(self._converted(()))
        if self._errors and drop < whole.drop:
            self._improvements.append("correct")
            return Attempt((), drop)
        self._errors = {}
        return whole

    def _calibrated(self, model: Model) -> CalibrationTable:
        if self._precision in SCHEMES:
            return CalibrationTable()
        graph = model.ir.graph
        names = tensors_to_calibrate(graph)
        if self._precision not in EIGHT_BITS:
            names = [str(v.name) for node in graph for v in node.outputs if is_float(v) and v.name]
        return read_ranges(
            model,
            self._cases,
            names,
            method=self._method if self._precision == "int8" else "minmax",
            percentile=self._percentile,
            libraries=self._libraries,
            progress=self._progress,
        )

    def _converted(self, kept: Sequence[str]) -> Model:
        if self._precision in SCHEMES:
            return compress(self._ready, self._precision, (*self._keep, *kept))
        ready, keep = self._ready, (*self._keep, *kept)
        if self._errors:
            # What stays in float32 makes no error that its bias could take back.
            stays = {node.name for node in asked_for(ready.ir.graph.all_nodes(), keep)}
            ready = ready.copy()
            correct_biases(ready, {n: e for n, e in self._errors.items() if n not in stays})
        return convert(ready, self._precision, table=self._table, keep=keep, form=self._form)

    def _operators(self) -> list[str]:
        """Names that the search may exclude: nodes, or operators for 16 bits."""
        kept = set(self._keep)
        if self._precision in ("fp16", "bf16"):
            half = convert(self._ready, self._precision, table=self._table, keep=self._keep)
            return sorted(_computing(half.ir) - kept)
        list_nodes = compressible if self._precision in SCHEMES else weighted_nodes
        nodes = list_nodes(self._ready.ir.graph)
        return [str(node.name) for node in nodes if not {node.name, node.op_type} & kept]


def _computing(model: ir.Model) -> set[str]:
    """The operators that compute in 16 bits somewhere in a graph."""
    found = set()
    for node in model.graph.all_nodes():
        half = all(value.dtype in NAMES for value in node.outputs)
        if half and not node.domain and not is_onnx(node, "Cast", "Constant", *MOVEMENT):
            found.add(node.op_type)
    return found


def _name_nodes(model: ir.Model) -> None:
    """Sets a unique name for every node, by which it can be excluded."""
    taken: set[str] = set()
    for node in model.graph.all_nodes():
        base = node.name or f"{node.op_type}_{node.outputs[0].name}"
        names = itertools.chain([base], (f"{base}_{number}" for number in itertools.count(1)))
        node.name = next(name for name in names if name not in taken)
        taken.add(node.name)


def _impossible(best: Attempt, max_drop: float, operators: int, score: float) -> ProofError:
    return ProofError(
        f"the model loses more than {max_drop:g} in lower precision, whatever stays in float32",
        why=f"the best that was reached is {best.drop:.6g} of a score of {score:.6g}, with "
        f"{len(best.kept)} of {operators} operators in float32",
        fix="allow more (--max-drop), calibrate by another method or on more data, or stay in "
        "float32",
    )
