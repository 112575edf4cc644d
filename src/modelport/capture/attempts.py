"""Attempts at capturing a model, by the strategies that its recipe allows."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from modelport.capture.avoid_size_one import without_ones
from modelport.capture.custom_operators import add_bodies, declared_operators
from modelport.capture.diagnosis import (
    KEEP_LOOP,
    Original,
    ShadowRun,
    Suspicion,
    find_suspicions,
    hygiene_findings,
    shadow_run,
)
from modelport.capture.dynamic import dynamic_dims
from modelport.capture.export_flag import exporting
from modelport.capture.inputs import bind_inputs, number_findings
from modelport.capture.marks import note_marks
from modelport.capture.module_snapshot import unchanged
from modelport.capture.names import name_dims
from modelport.capture.programs import Program, export_program
from modelport.capture.reference_function import evaluating
from modelport.capture.reference_model import (
    ReferenceModel,
    open_graph,
    open_module,
    read_graph,
)
from modelport.capture.strategies import STRATEGIES, Capture, LaterOpsetError, Request
from modelport.errors import ExportError, UsageError
from modelport.facts import CaptureFacts
from modelport.ir.domains import STANDARD_DOMAINS
from modelport.model import Model
from modelport.numerics.cases import example_sizes
from modelport.passes import adopt
from modelport.progress import Stages
from modelport.recipe import Recipe
from modelport.target import Target

_LOG = logging.getLogger("modelport.capture")

LOWEST_OPSET = 18
HIGHEST_OPSETS = {"dynamo": 23, "trace": 20, "script": 20}


@dataclass(frozen=True)
class CaptureAttempt:
    """A graph that a strategy captured, and what says whether it is right. Nothing changes it.

    Attributes:
        recipe: What it was captured from, as `open_program` leaves it.
        model: The graph, with the findings that need no proof.
        reference: The model that says what is right.
        suspicions: What may have gone wrong.
        shadow: A run on symbolic sizes, for what has no program.
    """

    recipe: Recipe
    model: Model
    reference: ReferenceModel
    suspicions: tuple[Suspicion, ...] = ()
    shadow: ShadowRun = field(default_factory=ShadowRun)

    @property
    def facts(self) -> CaptureFacts:
        """Facts of the capture."""
        return self.model.facts

    @property
    def foreign_operators(self) -> list[str]:
        """Operators outside of the standard's domains that have no body in the model."""
        bodies = {(key[0], key[1]) for key in self.model.ir.functions}
        return sorted(
            f"{domain}::{name}"
            for domain, name in self.model.operators() - bodies
            if domain not in STANDARD_DOMAINS | {"com.microsoft"}
        )

    @cached_property
    def program(self) -> Program:
        """The model as a program of ``torch.export``, for PyTorch itself; captured when asked for.

        Raises:
            ExportError: The recipe is of an ONNX file, or torch cannot capture the model.
        """
        with self.reference.unchanged():
            return export_program(self.recipe)


def capture_attempts(
    recipe: Recipe, target: Target | None = None, stage: Stages | None = None
) -> Iterator[CaptureAttempt]:
    """Captures by one strategy after the other, as long as the caller asks for another attempt.

    What capturing makes the model remember is put back before an attempt is yielded.

    Args:
        recipe: The recipe, as `open_program` leaves it.
        target: What the graph is for, which decides on rewrites; None for any.
        stage: Told of every capture.

    Yields:
        An attempt for each strategy that the recipe allows; for a model file, the file.

    Raises:
        ExportError: No strategy can capture the model.
    """
    stage = stage or Stages()
    if isinstance(recipe.model, str | Path):
        with stage("capture"):
            model = _take_onnx(recipe)
            reference = open_graph(Path(recipe.model), model, model.signature)
        yield CaptureAttempt(recipe, model, reference)
        return
    strategies = _strategies(recipe)
    reasons: list[str] = []
    errors: list[ExportError] = []
    for strategy in strategies:
        reason = "; ".join(reasons) or (
            "asked for" if len(strategies) == 1 else f"the first choice of {recipe.capture}"
        )
        _LOG.debug("strategy %s: tried, %s", strategy, reason)
        try:
            with stage("capture"), unchanged(recipe.model, parameters=True):
                attempt = _capture(recipe, strategy, reason, target)
        except ExportError as error:
            _LOG.debug("strategy %s: refused, %s", strategy, error.what)
            errors.append(error)
            reasons.append(error.what)
            continue
        yield attempt
        reasons.append(f"what {strategy} gave computes something else")
    if len(errors) < len(strategies):
        return
    if len(errors) == 1:
        raise errors[0]
    raise ExportError(
        f"the model can be captured by none of {', '.join(strategies)}",
        where=errors[0].where,
        why="; ".join(error.what for error in errors),
        fix="`modelport ops support SOURCE` lists operators without a mapping; torch.cond "
        "and torch.while_loop stand for branches and loops on data, and "
        "`torch._higher_order_ops.scan` for a loop over a dynamic length (docs/capture.md)",
    ) from errors[0]


def _take_onnx(recipe: Recipe) -> Model:
    """An ONNX file is taken as it is."""
    fields = (
        *("args", "kwargs", "input_names", "output_names", "opset", "cases"),
        "mutated_inputs",
    )
    forms = ("dynamic", "dynamic_axes", "dynamic_shapes")
    given = [name for name in (*fields, *forms) if getattr(recipe, name)]
    given += ["capture"] if recipe.capture != "auto" else []
    if given:
        raise UsageError(
            f"{recipe.model} is an ONNX file, which is taken as it is: "
            f"{', '.join(given)} cannot be given with it"
        )
    model = read_graph(Path(recipe.model))
    reason = "the source is an ONNX file"
    return _with_facts(
        model, CaptureFacts(recipe.title, "none", reason, model.opset, versions=_versions())
    )


def _strategies(recipe: Recipe) -> tuple[str, ...]:
    import torch

    if isinstance(recipe.model, torch.export.ExportedProgram):
        return ("dynamo",)
    if recipe.capture != "auto":
        return (recipe.capture,)
    if isinstance(recipe.model, torch.jit.ScriptModule):
        return ("script",)
    return ("dynamo", "trace", "script")


def _capture(recipe: Recipe, strategy: str, reason: str, target: Target | None) -> CaptureAttempt:
    bound = bind_inputs(recipe.model, recipe.args, recipe.kwargs, recipe.input_names)
    dims = dynamic_dims(recipe, bound)
    _require_other_names(bound.names, recipe.output_names or ())
    example = without_ones(recipe.model, bound, dims)
    was_training = bool(getattr(recipe.model, "training", False))
    with evaluating(recipe.model), exporting(), declared_operators():
        captured, opset = _at_lowest_opset(
            recipe,
            lambda number: Request(
                recipe.model,
                example,
                dims,
                number,
                recipe.output_names,
                recipe.custom_translation_table,
                recipe.export_params,
                target,
            ),
            strategy,
        )
        # What torch.export assumed is known of its program.
        shadow = ShadowRun() if strategy == "dynamo" else shadow_run(recipe.model, bound, dims)
    if recipe.export_params:
        _require_own_inputs(captured, bound.names, strategy)
    _LOG.debug(
        "strategy %s: captured %d nodes at opset %d", strategy, len(captured.ir.graph), opset
    )
    note_marks(captured.ir)
    findings = adopt(Model(captured.ir)) + add_bodies(captured.ir)
    named = name_dims(captured.ir, dims, example, findings)
    captured.ir.graph.name = recipe.title
    model = Model(captured.ir, named.ranges, findings)
    reference = open_module(recipe, model.signature, bound, dims)
    facts = CaptureFacts(
        source=recipe.title,
        strategy=strategy,
        reason=reason,
        opset=opset,
        rewrites=[record.to_json() for record in captured.rewrites],
        usual_sizes=reference.usual_sizes(),
        seen_values=reference.seen_values(),
        versions=_versions(),
    )
    findings += captured.findings
    findings += number_findings(bound)
    findings += hygiene_findings(captured.ir, reference, recipe.model, was_training)
    original = Original(reference.signature, example_sizes(reference.signature, reference.examples))
    suspicions = find_suspicions(captured, shadow, original, named.symbols, bound.names)
    return CaptureAttempt(recipe, _with_facts(model, facts), reference, tuple(suspicions), shadow)


def _with_facts(model: Model, facts: CaptureFacts) -> Model:
    return dataclasses.replace(model, facts=facts, provenance=facts.to_provenance())


def _require_other_names(inputs: Sequence[str], outputs: Sequence[str]) -> None:
    shared = [name for name in outputs if name in inputs]
    if shared:
        raise UsageError(
            f"{', '.join(map(repr, shared))} is the name of an input and of an output",
            fix="give the output another name",
        )


def _require_own_inputs(captured: Capture, names: Sequence[str], strategy: str) -> None:
    own = {value.name for value in captured.ir.graph.inputs}
    foreign = sorted(str(name) for name in own - set(names))
    if foreign:
        raise ExportError(
            f"capturing by {strategy} gave a graph with inputs that the model does not have",
            where=", ".join(foreign),
            why="the exporter took numbers that a loop in Python counts for inputs",
            fix=KEEP_LOOP,
        )


def _at_lowest_opset(
    recipe: Recipe, request: Callable[[int], Request], strategy: str
) -> tuple[Capture, int]:
    """Captures at the opset asked for, or at the lowest at which torch has all operators.

    Where one has no translation that does, torch's tables say which opset is the next to ask for.
    """
    if recipe.opset is not None:
        return _by_strategy(strategy, request(recipe.opset)), recipe.opset
    opset = LOWEST_OPSET
    first: LaterOpsetError | None = None
    while opset <= HIGHEST_OPSETS[strategy]:
        try:
            return _by_strategy(strategy, request(opset)), opset
        except LaterOpsetError as error:
            _LOG.debug("strategy %s: opset %d: refused, %s", strategy, opset, error.fix)
            first, opset = first or error, error.opset
    assert first is not None
    raise first


def _by_strategy(strategy: str, request: Request) -> Capture:
    with unchanged(request.model):
        return STRATEGIES[strategy](request)


def _versions() -> dict[str, str]:
    import onnx
    import onnx_ir
    import torch

    import modelport

    return {
        "modelport": modelport.__version__,
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        "onnx-ir": onnx_ir.__version__,
    }
