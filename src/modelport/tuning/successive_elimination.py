"""Successive elimination: slower candidates are dropped early, incorrect ones are rejected."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Sequence

from modelport.deployment.plan import Plan
from modelport.errors import RunError
from modelport.precision import form_for
from modelport.precision.quantization_result import QuantizationChoice
from modelport.progress import Stages
from modelport.tuning.candidate_report import FAILED, FINISHED, SLOWER, UNTRIED, WRONG, Row
from modelport.tuning.candidates import merged, variations
from modelport.tuning.interleaved_timing import median_interval, paired_ratios
from modelport.tuning.worker_client import WorkerProcess, why_failed
from modelport.tuning.workspace import TuningWorkspace

_LOG = logging.getLogger("modelport.tuning")

_DUEL = 5
"""Rounds of a challenger against the best so far."""
_HOPELESS = 1.5
"""Factor by which a challenger is slower in each of two rounds, so that it is dropped."""
_SLOWER = 1.2
"""Factor by which a challenger is slower in the median of a duel, so that it is dropped."""
_FINALISTS = 4
_PATIENCE = 600.0
"""Seconds that a candidate may take while no other is correct, whatever the budget."""
_ROUNDS = (9, 25)
"""Minimum and maximum number of rounds of the final."""
_PRECISE = 0.02
"""Relative width of all finalists' intervals at which the final ends."""


class Race:
    """Candidates against each other, each in a process of its own.

    Attributes:
        rows: Every candidate so far, in the order in which they were tried.
        quantizations: What was chosen for int8, by form; see
            `modelport.precision.Quantization.choice`.
    """

    def __init__(
        self,
        workspace: TuningWorkspace,
        *,
        tolerance: float | None,
        at_once: int,
        seconds: float,
        by_memory: bool,
        rewrites: Sequence[str],
        stage: Stages,
    ) -> None:
        """Prepares a race.

        Args:
            workspace: The model and its cases.
            tolerance: Bound on the error; by default the one of the candidate's precision.
            at_once: Calls at a time, of which the throughput is measured.
            seconds: The budget; when it is spent, one that is right is enough.
            by_memory: Whether the smallest wins; else the fastest.
            rewrites: Names of the rewrites that change the graph.
            stage: Told of every candidate.
        """
        self.rows: list[Row] = []
        self.quantizations: dict[str, QuantizationChoice] = {}
        self._workspace = workspace
        self._tolerance = tolerance
        self._at_once = at_once
        self._deadline = time.monotonic() + seconds
        self._by_memory = by_memory
        self._rewrites = rewrites
        self._stage = stage
        self._running: dict[int, WorkerProcess] = {}
        self._unquantizable: dict[str, RunError] = {}

    def run(self, plans: Sequence[Plan]) -> Row | None:
        """Measures all candidates, and chooses one.

        Args:
            plans: The candidates; variations of the best of them are tried as well.

        Returns:
            The winner; None where no candidate is right.
        """
        try:
            for plan in plans:
                self._try(plan)
            for row in self._ranked():
                self._vary(row)
            return self._final()
        finally:
            for worker_process in self._running.values():
                worker_process.close()

    def quantization_of(self, row: Row) -> QuantizationChoice | None:
        """The quantization of an int8 candidate; None if it was not quantized here."""
        if row.plan.target.precision != "int8":
            return None
        return self.quantizations.get(form_for(row.plan.target))

    def _left(self) -> float:
        """Seconds left for a step; until one candidate is correct, as many as it needs."""
        left = self._deadline - time.monotonic()
        return max(left, 0.0) if self._ranked() else max(left, _PATIENCE)

    def _is_over(self) -> bool:
        return self._left() <= 0

    def _key(self, row: Row) -> float:
        return float(row.memory) if self._by_memory else statistics.median(row.samples)

    def _ranked(self) -> list[Row]:
        """Correct candidates that were not dropped, the best first."""
        left = [row for row in self.rows if id(row) in self._running and row.error is not None]
        return sorted(left, key=self._key)

    def _leave(self, row: Row, state: str, why: str) -> None:
        row.state, row.why = state, why
        _LOG.debug("%s: dropped, %s: %s", row.plan, state, why)
        self._running.pop(id(row)).close()

    def _vary(self, row: Row) -> None:
        """Tries variations of a candidate in one option, then all options that helped together."""
        base = statistics.median(row.samples)
        better = [
            other
            for plan in variations(row.plan, self._rewrites)
            if (other := self._try(plan)) is not None
            and id(other) in self._running
            and statistics.median(other.samples) < 0.99 * base
        ]
        together = merged([other.plan for other in better]) if len(better) > 1 else None
        if together is not None and all(together != known.plan for known in self.rows):
            self._try(together)

    def _try(self, plan: Plan) -> Row | None:
        """Opens a candidate, compares it, and times it against the best so far."""
        row = Row(plan)
        self.rows.append(row)
        if self._is_over():
            row.why = "the budget was spent"
            return None
        with self._stage(str(plan)):
            worker_process = WorkerProcess(str(plan), at_once=self._at_once)
            self._running[id(row)] = worker_process
            try:
                self._enter(row, worker_process)
            except RunError as error:
                if self._is_over():
                    self._leave(row, UNTRIED, "the budget was spent before it was done")
                else:
                    self._leave(row, FAILED, why_failed(error))
        self._thin_out()
        return row

    def _quantize(self, form: str) -> None:
        """Quantizes the model, once for each form; raises `RunError` where that cannot be done."""
        if form in self._unquantizable:
            raise self._unquantizable[form]
        if form in self.quantizations:
            return
        with self._stage(f"quantize, {form}"), WorkerProcess("the quantization") as quantizer:
            try:
                reply = quantizer.ask(
                    "quantize",
                    self._left(),
                    folder=str(self._workspace.folder),
                    form=form,
                    tolerance=self._tolerance,
                )
            except RunError as error:
                self._unquantizable[form] = error
                raise
        self.quantizations[form] = reply["choice"]

    def _enter(self, row: Row, worker_process: WorkerProcess) -> None:
        if row.plan.target.precision == "int8" and self._workspace.data.exists():
            self._quantize(form_for(row.plan.target))
        folder = self._workspace.folder.parent / f"candidate-{len(self.rows)}"
        self._workspace.copy(folder)
        opened = worker_process.open(
            "compile",
            self._left(),
            folder=str(folder),
            target=str(row.plan.target),
            options=row.plan.options,
            rewrites=row.plan.rewrites,
            case=str(self._workspace.inputs),
        )
        row.opened, row.memory = opened["opened"], worker_process.memory
        # One case before any time is spent on it, the others where it is fast enough to matter.
        if self._is_right(row, worker_process, only_first=True):
            self._duel(row, worker_process)
        if id(row) in self._running:
            self._is_right(row, worker_process, only_first=False)

    def _is_right(self, row: Row, worker_process: WorkerProcess, *, only_first: bool) -> bool:
        found = worker_process.ask(
            "verify", self._left(), tolerance=self._tolerance, only_first=only_first
        )
        if not found["ok"]:
            self._leave(row, WRONG, found["failure"])
        elif not only_first:
            row.error = found["error"]
        return bool(found["ok"])

    def _duel(self, row: Row, worker_process: WorkerProcess) -> None:
        """Times a challenger and the best, interleaved, until it is clear whether it may win."""
        best = next(iter(self._ranked()), None)
        if best is None or self._by_memory:
            row.samples = [statistics.median(worker_process.turn()) for _ in range(_DUEL)]
            return
        rival, against = self._running[id(best)], list[float]()
        row.samples = []
        for number in range(_DUEL):
            row.samples.append(statistics.median(worker_process.turn()))
            against.append(statistics.median(rival.turn()))
            ratios = paired_ratios(row.samples, against)
            if number == 1 and min(ratios) > _HOPELESS:
                break
        best.samples = against
        ratio = statistics.median(ratios)
        if ratio > _SLOWER:
            self._leave(row, SLOWER, f"{ratio:.2f} times the time of {best.plan}")

    def _thin_out(self) -> None:
        """Drops all but as many candidates as the final has."""
        for row in self._ranked()[_FINALISTS:]:
            ratio = self._key(row) / self._key(self._ranked()[0])
            what = "memory" if self._by_memory else "time"
            self._leave(row, SLOWER, f"{ratio:.2f} times the {what} of the best")

    def _final(self) -> Row | None:
        """Times all that are left, interleaved; of equally fast ones the simplest wins."""
        finalists = self._ranked()
        if not finalists:
            return None
        with self._stage("final"):
            for row in finalists:
                row.samples = []
            while not self._decided(finalists):
                for row in list(finalists):
                    if not self._turn(row):
                        finalists.remove(row)
        if not finalists:
            return None
        return self._judge(finalists)

    def _turn(self, row: Row) -> bool:
        try:
            row.samples.append(statistics.median(self._running[id(row)].turn()))
        except RunError as error:
            self._leave(row, FAILED, why_failed(error))
            return False
        return True

    def _decided(self, finalists: Sequence[Row]) -> bool:
        least, most = _ROUNDS
        rounds = min((len(row.samples) for row in finalists), default=most)
        if rounds >= most or (rounds >= 3 and self._is_over()):
            return True
        if rounds < least:
            return False
        first = min(finalists, key=lambda row: statistics.median(row.samples))
        intervals = [
            median_interval(paired_ratios(row.samples, first.samples)) for row in finalists
        ]
        return all(high - low <= _PRECISE for low, high in intervals)

    def _judge(self, finalists: list[Row]) -> Row:
        ranked = sorted(finalists, key=self._key)
        winner = ranked[0] if self._by_memory else self._plainest(ranked)
        _LOG.debug("%s: chosen of %d finalists", winner.plan, len(ranked))
        for row in ranked:
            ratios = paired_ratios(row.samples, winner.samples)
            row.state, row.ratio = FINISHED, statistics.median(ratios)
            row.ratio_interval = median_interval(ratios)
        return winner

    def _plainest(self, ranked: Sequence[Row]) -> Row:
        """Of candidates within the noise of the best, the one with the fewest options."""
        alike = [
            row
            for row in ranked
            if median_interval(paired_ratios(row.samples, ranked[0].samples))[0] <= 1.0
        ]
        return min(alike, key=lambda row: len(row.plan.options) + len(row.plan.rewrites))
