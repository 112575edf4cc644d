"""One capture after the other, by the strategies that a recipe allows."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.capture.custom_operators import add_bodies, declared_operators
from modelport.capture.diagnosis import (
    KEEP_LOOP,
    Suspicion,
    draw_probes,
    example_findings,
    find_suspicions,
    fragile_probes,
    hygiene_findings,
    judge,
    run_probes,
    sizes_of,
)
from modelport.capture.dynamic import dynamic_dims
from modelport.capture.enlarging import without_ones
from modelport.capture.inputs import bind_inputs, number_findings
from modelport.capture.marks import note_marks
from modelport.capture.names import name_dims
from modelport.capture.original import Original, open_graph, open_module, read_graph
from modelport.capture.reference import agree, evaluating
from modelport.capture.state import unchanged
from modelport.capture.status import exporting
from modelport.capture.strategies import STRATEGIES, Capture, Request
from modelport.errors import ExportError, UsageError
from modelport.findings import Finding, Severity
from modelport.ir.domains import STANDARD_DOMAINS
from modelport.model import Model
from modelport.passes import adopt
from modelport.proof import CaseResult, ReferenceCase
from modelport.recipe import Recipe
from modelport.signature import Signature
from modelport.target import Target

LOWEST_OPSET = 18
HIGHEST_OPSETS = {"dynamo": 23, "trace": 20, "script": 20}
_UNMAPPED = re.compile(r"No ONNX function found|UnsupportedOperator|is not supported", re.I)


@dataclass
class Captured:
    """A graph that a strategy gave, not yet proven.

    Attributes:
        model: The graph, with findings that need no proof.
        original: What it was captured from.
        suspicions: What may have gone wrong.
    """

    model: Model
    original: Original
    suspicions: list[Suspicion]

    @property
    def foreign_operators(self) -> list[str]:
        """Operators outside of the standard's domains that have no body in the model."""
        bodies = {(key[0], key[1]) for key in self.model.ir.functions}
        return sorted(
            f"{domain}::{name}"
            for domain, name in self.model.operators() - bodies
            if domain not in STANDARD_DOMAINS | {"com.microsoft"}
        )

    def run_original(self, recipe: Recipe, seed: int = 0) -> tuple[list[ReferenceCase], list[str]]:
        """Runs the original on its own cases, and on probes that are chosen to break suspicions.

        What its outputs say on their own goes to the model's findings.

        Args:
            recipe: Says how values are drawn.
            seed: Seed of the probes.

        Returns:
            The cases with their outputs, the given ones first, and the probes that it refuses; for
            an ONNX file there are none.
        """
        original = self.original
        if not original.given:
            return [], []
        traced = self.model.provenance["capture"]["strategy"] == "trace"
        thorough = traced or any(not suspicion.is_specific for suspicion in self.suspicions)
        probes = draw_probes(original, self.suspicions, recipe.values, seed, thorough=thorough)
        references, refused = run_probes(original, probes)
        if original.run_plainly is not None and not self._is_random:
            told = references[0].outputs
            plain = original.run_plainly()
            if not agree(plain.outputs, told):
                self.model.findings += original.random_findings()
            if not self._is_random:
                self.model.findings += example_findings(self.model.ir, plain, told)
        return references, refused

    def fragile(
        self, references: Sequence[ReferenceCase], results: Sequence[CaseResult]
    ) -> dict[str, str]:
        """Failed probes that prove nothing, by name, with the reason; see `fragile_probes`."""
        return fragile_probes(self.original, self.model.ir, self.suspicions, references, results)

    def settle(self, results: Sequence[CaseResult]) -> list[Finding]:
        """Turns suspicions into the model's findings.

        Args:
            results: What the graph made of the probes and other cases.

        Returns:
            The errors among the findings.
        """
        signature = self.original.signature
        if not self._is_random and not all(result.ok for result in results):
            self.model.findings += self.original.random_findings()
        if self._is_random:
            # Two runs of the original differ as well.
            results = []
        self.model.findings = [
            *judge(self.suspicions, results, signature),
            *self.model.findings,
            *_never_moved(signature, results),
        ]
        return [item for item in self.model.findings if item.severity is Severity.ERROR]

    @property
    def _is_random(self) -> bool:
        return any(finding.rule == "random-op" for finding in self.model.findings)


def _never_moved(signature: Signature, results: Sequence[CaseResult]) -> Iterator[Finding]:
    """A note for each dimension that is declared dynamic, but had one size in all cases."""
    sizes: dict[str, set[int]] = defaultdict(set)
    for result in results:
        for dim, size in sizes_of(result, signature).items():
            sizes[dim].add(size)
    for dim, tried in sizes.items():
        if len(tried) == 1:
            yield Finding(
                "dynamic-dim-unproven",
                Severity.NOTE,
                f"the dimension {dim!r} was declared dynamic, but the original took no other size "
                f"than {tried.pop()} of those that were tried",
                where=dim,
                fix="do not declare it dynamic, or say which sizes it can have: "
                "modelport.Dim(name, min=..., max=...), Recipe(cases=...)",
            )


def captures(recipe: Recipe, target: Target | None = None) -> Iterator[Captured]:
    """Captures by one strategy after the other, until the caller is content.

    Args:
        recipe: The recipe, as `open_program` leaves it.
        target: What the graph is for, which decides on rewrites; None for any.

    Yields:
        What each strategy that the recipe allows gave; for a model file, the file.

    Raises:
        ExportError: No strategy can capture the model.
    """
    if isinstance(recipe.model, str | Path):
        model = _take_onnx(recipe)
        original = open_graph(Path(recipe.model), model, model.signature)
        yield Captured(model, original, [])
        return
    strategies = _strategies(recipe)
    reasons: list[str] = []
    errors: list[ExportError] = []
    for strategy in strategies:
        reason = "; ".join(reasons) or (
            "asked for" if len(strategies) == 1 else f"the first choice of {recipe.capture}"
        )
        # The next strategy must not capture what these runs made the model remember.
        with unchanged(recipe.model):
            try:
                captured = _capture(recipe, strategy, reason, target)
            except ExportError as error:
                errors.append(error)
                reasons.append(error.what)
                continue
            yield captured
        reasons.append(f"what {strategy} gave computes something else")
    if len(errors) < len(strategies):
        return
    if len(errors) == 1:
        raise errors[0]
    raise ExportError(
        f"the model can be captured by none of {', '.join(strategies)}",
        where=errors[0].where,
        why="; ".join(error.what for error in errors),
        fix="`modelport ops support` lists operators without a mapping; torch.cond and "
        "torch.while_loop stand for branches and loops on data, and "
        "`torch._higher_order_ops.scan` for a loop over a dynamic length (docs/capture.md)",
    ) from errors[0]


def _take_onnx(recipe: Recipe) -> Model:
    """An ONNX file is taken as it is."""
    fields = ("args", "kwargs", "input_names", "output_names", "opset", "cases")
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
    model.provenance = _provenance(recipe.title, "none", reason, model.opset)
    return model


def _strategies(recipe: Recipe) -> tuple[str, ...]:
    import torch

    if isinstance(recipe.model, torch.export.ExportedProgram):
        return ("dynamo",)
    if recipe.capture != "auto":
        return (recipe.capture,)
    if isinstance(recipe.model, torch.jit.ScriptModule):
        return ("script",)
    return ("dynamo", "trace", "script")


def _capture(recipe: Recipe, strategy: str, reason: str, target: Target | None) -> Captured:
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
    if recipe.export_params:
        _require_own_inputs(captured, bound.names, strategy)
    note_marks(captured.ir)
    findings = adopt(Model(captured.ir)) + add_bodies(captured.ir)
    named = name_dims(captured.ir, dims, example, findings)
    captured.ir.graph.name = recipe.title
    provenance = _provenance(recipe.title, strategy, reason, opset)
    provenance["rewrites"] = [record.to_json() for record in captured.rewrites]
    model = Model(captured.ir, named.ranges, findings, provenance)
    original = open_module(recipe, model.signature, bound, dims)
    provenance["usual_sizes"] = original.usual_sizes()
    provenance["seen_values"] = original.seen_values()
    findings += captured.findings
    findings += number_findings(bound)
    findings += hygiene_findings(captured.ir, original, recipe.model, was_training)
    suspicions = find_suspicions(captured, original.signature, named.symbols, bound.names)
    return Captured(model, original, suspicions)


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
    """Captures at the opset asked for, or at the lowest that maps all operators."""
    if recipe.opset is not None:
        return _by_strategy(strategy, request(recipe.opset)), recipe.opset
    last = HIGHEST_OPSETS[strategy]
    try:
        return _by_strategy(strategy, request(LOWEST_OPSET)), LOWEST_OPSET
    except ExportError as error:
        if not _lacks_operator(error):
            raise
    # What the last one lacks, none between has: a large model is not captured for each of them.
    latest = _by_strategy(strategy, request(last))
    for opset in range(LOWEST_OPSET + 1, last):
        try:
            return _by_strategy(strategy, request(opset)), opset
        except ExportError as error:
            if not _lacks_operator(error):
                raise
    return latest, last


def _lacks_operator(error: ExportError) -> bool:
    return _UNMAPPED.search(str(error.__cause__)) is not None


def _by_strategy(strategy: str, request: Request) -> Capture:
    with unchanged(request.model):
        return STRATEGIES[strategy](request)


def _provenance(source: str, strategy: str, reason: str, opset: int) -> dict[str, Any]:
    import onnx
    import onnx_ir
    import torch

    import modelport

    return {
        "source": source,
        "capture": {"strategy": strategy, "reason": reason},
        "opset": opset,
        "versions": {
            "modelport": modelport.__version__,
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "onnx-ir": onnx_ir.__version__,
        },
    }
