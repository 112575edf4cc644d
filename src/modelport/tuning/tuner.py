"""`tune`: the fastest correct plan on this machine."""

from __future__ import annotations

import dataclasses
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.backends import get_backend
from modelport.bundle import require_replaceable
from modelport.deployment.plan import Plan
from modelport.errors import ProofError, UsageError
from modelport.model import Model
from modelport.passes import applicable
from modelport.precision import form_for
from modelport.precision.data import Source
from modelport.precision.quantization_result import QuantizationChoice
from modelport.progress import Progress, Stages
from modelport.recipe import Recipe, load_recipe
from modelport.target import Target
from modelport.tuning.candidate_report import FINISHED, Row, pareto
from modelport.tuning.candidates import base_plans, cores
from modelport.tuning.int8_candidates import quantized_how
from modelport.tuning.successive_elimination import Race
from modelport.tuning.workspace import make_workspace

if TYPE_CHECKING:
    from modelport.deployment import Deployment

METRICS = ("latency", "throughput", "memory")
BUDGET = 300.0
"""Budget in seconds by default."""

_LEAST_ERROR = 1e-7
"""Error below which differences are rounding alone."""


@dataclass(frozen=True)
class Tuning:
    """Result of `tune`.

    Attributes:
        source: The model's name.
        metric: What was to be small: one of `METRICS`.
        tolerance: The bound on the error that was given; None for that of each precision.
        rows: Every candidate, in the order in which they were tried.
        winner: The candidate that is to be deployed.
        plan: The winner as `modelport.deploy` takes it, with the reason, and its graph in int8.
        front: Those that no other beats in time, memory and error together.
        reason: Why the winner won.
        deployment: The bundle, where one was asked for.
        quantizations: What was chosen for int8, by form of Q/DQ; see
            `modelport.precision.Quantization.choice`.
        seconds: Seconds of every stage, by name.
    """

    source: str
    metric: str
    tolerance: float | None
    rows: tuple[Row, ...]
    winner: Row
    plan: Plan
    front: tuple[Row, ...]
    reason: str
    deployment: Deployment | None
    quantizations: Mapping[str, QuantizationChoice]
    seconds: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The tuning as plain dicts and lists."""
        return {
            "source": self.source,
            "metric": self.metric,
            "tolerance": self.tolerance,
            "winner": str(self.winner.plan),
            "reason": self.reason,
            "front": [str(row.plan) for row in self.front],
            "candidates": [row.to_json() for row in self.rows],
            "quantizations": dict(self.quantizations),
            "bundle": None if self.deployment is None else str(self.deployment.path),
            "seconds": dict(self.seconds),
        }


def tune(
    source: str | os.PathLike[str] | Recipe,
    output: str | os.PathLike[str] | None = None,
    *,
    metric: str = "latency",
    tolerance: float | None = None,
    targets: Sequence[Target | str] = (),
    budget: float = BUDGET,
    case: str | os.PathLike[str] | None = None,
    data: Source | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tuning:
    """Measures candidates, and chooses the fastest correct one on this machine.

    Each candidate is a backend with its options, and runs in a process of its own. One that is
    clearly slower than the best so far leaves after a few turns; the others are compared with the
    original on all cases. Variations of those that are left are tried in the same way. In the end
    the best take turns until the intervals of their times are narrow; among those whose interval
    reaches the best's time, the one with the fewest options wins.

    Args:
        source: A recipe, or a source of one, or an ONNX file.
        output: A bundle to write, which holds the winner; none by default.
        metric: ``latency`` (seconds of a call on the example), ``throughput`` (as many calls at a
            time as there are cores) or ``memory`` (what the process holds at most).
        tolerance: Error that an output may have as a whole, relative to its rms; an element may
            have ten times that. Precisions below fp32 are tried where it is given. By default,
            and where that is less, `modelport.numerics.tolerance_for` the candidate's precision.
        targets: What to choose from; by default every backend that works here.
        budget: Seconds that the candidates may take. Who was not tried by then is a row, too. The
            search goes on beyond it until one candidate is right.
        case: An ``.npz`` file with the inputs to time on; the example by default, and for an ONNX
            file, which has none, inputs that are drawn.
        data: Data to calibrate on (see `modelport.precision.data.CalibrationData`), with which int8
            is tried, too: quantized once for each form that the targets ask for, with as few
            operators in float32 as the tolerance asks. Every fifth case, eight at most, is held
            out: on those, int8 is bound by the tolerance, and on other cases by its own.
        seed: Seed of the cases.
        progress: Told of every candidate.

    Returns:
        All candidates, and the winner.

    Raises:
        UsageError: The source, a target, the data or an option is wrong.
        ExportError: The model cannot be captured.
        ProofError: No candidate computes what the original computes, within the tolerance.
    """
    # Here and below: the processes that are timed load this package, and must not load PyTorch.
    from modelport.capture.attempts import capture_attempts
    from modelport.capture.programs import open_program
    from modelport.capture.rewriters import same_rewrites
    from modelport.deployment.deployer import deploy_attempts
    from modelport.deployment.exporter import proven_attempt

    _examine(metric, tolerance, budget)
    if output is not None:
        require_replaceable(Path(output))
    if data is not None and tolerance is None:
        raise UsageError(
            "data are to calibrate int8 on, which is not tried without a tolerance",
            fix="say how large the error may be: --tolerance 0.05",
        )
    parsed_targets = [Target.parse(target) for target in targets]
    for target in parsed_targets:
        get_backend(target)
    stage = Stages(progress)
    recipe = open_program(source if isinstance(source, Recipe) else load_recipe(os.fspath(source)))
    plans = base_plans(parsed_targets, lossy=tolerance is not None, calibrated=data is not None)
    with tempfile.TemporaryDirectory(prefix="modelport-") as name:
        with stage("prepare"):
            folder = Path(name) / "model"
            attempt = proven_attempt(recipe).attempt
            workspace = make_workspace(folder, attempt, plans, case=case, data=data, seed=seed)
            rewrites = applicable(workspace.model)
        race = Race(
            workspace,
            tolerance=tolerance,
            at_once=cores() if metric == "throughput" else 1,
            seconds=budget,
            by_memory=metric == "memory",
            rewrites=rewrites,
            stage=stage,
        )
        winner = race.run(plans)
        if winner is None:
            raise _no_winner(race.rows)
        choice = race.quantization_of(winner)
        reason = _reason(winner, race.rows, metric, choice)
        plan = dataclasses.replace(winner.plan, reason=reason)
        if choice is not None:
            model = Model.load(workspace.quantized(form_for(plan.target)))
            plan = dataclasses.replace(plan, model=model, quantization=choice)
        deployment = None
        if output is not None:
            # The graph that was measured, unless the winner's target has rewrites of its own.
            alike = choice is not None or same_rewrites(None, plan.target)
            attempts = [attempt] if alike else capture_attempts(recipe, plan.target)
            deployment = deploy_attempts(
                attempts, Path(output), [plan], seed=seed, stage=Stages(progress)
            )
    right = [row for row in race.rows if row.error is not None and row.timing is not None]
    return Tuning(
        recipe.title,
        metric,
        tolerance,
        tuple(race.rows),
        winner,
        plan,
        tuple(pareto(right, [_time, _memory, _decade])),
        reason,
        deployment,
        race.quantizations,
        stage.seconds,
    )


def _examine(metric: str, tolerance: float | None, budget: float) -> None:
    if metric not in METRICS:
        raise UsageError(f"unknown metric {metric!r}", fix=f"one of: {', '.join(METRICS)}")
    if tolerance is not None and not 0 < tolerance < math.inf:
        raise UsageError(f"the tolerance {tolerance} is not above 0")
    if not budget > 0:
        raise UsageError(f"a budget of {budget} seconds is too small")


def _time(row: Row) -> float:
    return row.timing.median if row.timing else math.inf


def _memory(row: Row) -> float:
    return float(row.memory)


def _decade(row: Row) -> float:
    """The power of ten of an error: errors of one power count as equal."""
    return float(math.floor(math.log10(max(row.error or 0.0, _LEAST_ERROR))))


def _no_winner(rows: Sequence[Row]) -> ProofError:
    return ProofError(
        "no candidate agrees with the reference model within the tolerance",
        why="\n    ".join(f"{row.plan}: {row.state}: {row.why}" for row in rows),
        fix="give a wider tolerance, a larger budget or other targets",
    )


def _reason(
    winner: Row, rows: Sequence[Row], metric: str, choice: QuantizationChoice | None
) -> str:
    """The reason for the winner, in a sentence."""
    if metric == "memory":
        figure = f"{winner.memory / 2**20:.0f} MiB"
    else:
        timing = winner.timing
        assert timing is not None
        low, high = timing.interval
        figure = f"{timing.median * 1e3:.3g} ms a call ({low * 1e3:.3g} to {high * 1e3:.3g})"
    reasons = [
        f"tuned for {metric}: {winner.plan}, of {len(rows)} candidates, with {figure} and an error "
        f"of {winner.error or 0:.1e}"
    ]
    rivals = [row for row in rows if row.state == FINISHED and row is not winner]
    if metric != "memory" and any(row.ratio is not None and row.ratio < 1 for row in rivals):
        reasons.append("faster ones are within the noise and have more options")
    reasons += [
        f"{row.plan} takes {row.ratio:.2f} times the time ({row.ratio_interval[0]:.2f} to "
        f"{row.ratio_interval[1]:.2f})"
        for row in rivals
        if row.ratio is not None and row.ratio_interval is not None
    ]
    if choice is not None:
        reasons.append(quantized_how(choice))
    return "; ".join(reasons)
