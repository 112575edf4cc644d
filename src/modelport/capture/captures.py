"""One capture after the other, by the strategies that a recipe allows."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.capture.diagnosis import (
    Suspicion,
    draw_probes,
    find_suspicions,
    hygiene_findings,
    judge,
)
from modelport.capture.dynamic import dynamic_dims
from modelport.capture.inputs import bind_inputs, number_findings
from modelport.capture.marks import note_marks
from modelport.capture.names import name_dims
from modelport.capture.original import Original, open_original
from modelport.capture.reference import evaluating
from modelport.capture.status import exporting
from modelport.capture.strategies import STRATEGIES, Capture, Request
from modelport.errors import ExportError, UsageError
from modelport.findings import Finding, Severity
from modelport.model import Model
from modelport.proof import Case, CaseResult
from modelport.recipe import Recipe
from modelport.signature import Signature
from modelport.target import Target

LOWEST_OPSET = 18
STANDARD_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
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
        ir = self.model.ir
        bodies = {(key[0], key[1]) for key in ir.functions}
        return sorted(
            {
                f"{node.domain}::{node.op_type}"
                for node in ir.graph.all_nodes()
                if node.domain not in STANDARD_DOMAINS and (node.domain, node.op_type) not in bodies
            }
        )

    def probes(self, recipe: Recipe, seed: int = 0) -> list[Case]:
        """Cases that are chosen to break the suspicions; none for an ONNX file."""
        if not self.original.examples:
            return []
        return draw_probes(self.original, self.suspicions, recipe.values, seed)

    def settle(self, results: Sequence[CaseResult]) -> list[Finding]:
        """Turns suspicions into the model's findings.

        Args:
            results: What the graph made of the probes and other cases.

        Returns:
            The errors among the findings.
        """
        if any(finding.rule == "random-op" for finding in self.model.findings):
            # Two runs of the original differ as well.
            results = []
        self.model.findings = [
            *judge(self.suspicions, results),
            *self.model.findings,
            *_never_moved(self.original.signature, results),
        ]
        return [item for item in self.model.findings if item.severity is Severity.ERROR]


def _never_moved(signature: Signature, results: Sequence[CaseResult]) -> Iterator[Finding]:
    """A note for each dimension that is declared dynamic, but had one size in all cases."""
    sizes: dict[str, set[int]] = defaultdict(set)
    for result, spec in itertools.product(results, signature.inputs):
        for dim, size in zip(spec.shape or (), result.shapes.get(spec.name, ()), strict=False):
            if isinstance(dim, str):
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
        yield Captured(model, open_original(recipe, model.signature), [])
        return
    strategies = _strategies(recipe)
    reasons: list[str] = []
    errors: list[ExportError] = []
    for strategy in strategies:
        reason = "; ".join(reasons) or (
            "asked for" if len(strategies) == 1 else f"the first choice of {recipe.capture}"
        )
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
        "torch.while_loop stand for branches and loops on data",
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
    model = Model.load(recipe.model)
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
    was_training = bool(getattr(recipe.model, "training", False))
    with evaluating(recipe.model), exporting():
        captured, opset = _at_lowest_opset(
            recipe,
            lambda number: Request(
                recipe.model,
                bound,
                dims,
                number,
                recipe.output_names,
                recipe.custom_translation_table,
                recipe.export_params,
                target,
            ),
            strategy,
        )
    note_marks(captured.ir)
    findings: list[Finding] = []
    named = name_dims(captured.ir, dims, findings)
    captured.ir.graph.name = recipe.title
    provenance = _provenance(recipe.title, strategy, reason, opset)
    provenance["rewrites"] = [record.to_json() for record in captured.rewrites]
    model = Model(captured.ir, named.ranges, findings, provenance)
    original = open_original(recipe, model.signature)
    findings += captured.findings
    findings += number_findings(bound)
    findings += original.export_only_findings()
    findings += hygiene_findings(captured.ir, original.signature, recipe.model, was_training)
    suspicions = find_suspicions(captured, original.signature, named.symbols, bound.names)
    return Captured(model, original, suspicions)


def _at_lowest_opset(
    recipe: Recipe, request: Callable[[int], Request], strategy: str
) -> tuple[Capture, int]:
    """Captures at the opset asked for, or at the lowest that maps all operators."""
    if recipe.opset is not None:
        return STRATEGIES[strategy](request(recipe.opset)), recipe.opset
    last = HIGHEST_OPSETS[strategy]
    for opset in range(LOWEST_OPSET, last + 1):
        try:
            return STRATEGIES[strategy](request(opset)), opset
        except ExportError as error:
            if opset == last or not _UNMAPPED.search(str(error.__cause__)):
                raise
    raise AssertionError("unreachable: the last opset returns or raises")


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
