"""`export`: a PyTorch model becomes a `Model` with an ONNX graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from modelport.backends import REFERENCE_RUNTIME, get_backend
from modelport.capture.attempts import CaptureAttempt, capture_attempts
from modelport.capture.programs import open_program
from modelport.deployment.verification import References, Verdict, settled, verify
from modelport.deployment.workspace import Workspaces
from modelport.errors import BuildError, ExportError, UsageError
from modelport.findings import Finding, Severity
from modelport.model import Model
from modelport.numerics import Case, Verification
from modelport.precision import is_quantized
from modelport.recipe import Recipe, load_recipe
from modelport.target import Target


def export(
    model_or_recipe: Any,
    args: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic: Mapping[str, Any] | None = None,
    dynamic_axes: Mapping[str, Any] | None = None,
    dynamic_shapes: Any = None,
    opset: int | None = None,
    opset_version: int | None = None,
    export_params: bool | None = None,
    custom_translation_table: Mapping[Any, Any] | None = None,
    capture: str | None = None,
    target: Target | str | None = None,
    probes: bool = True,
) -> Model:
    """Captures a PyTorch model as an ONNX graph, and probes that it computes the same.

    Args:
        model_or_recipe: A module, an exported program, a `Recipe`, or the path of a ``.pt2`` or
            ``.onnx`` file.
        args: Example inputs (a tuple, or a single tensor), as the model takes them. Not with a
            recipe, which has its own.
        kwargs: Example inputs by keyword.
        input_names: Names of the graph's inputs.
        output_names: Names of the graph's outputs.
        dynamic: ``{input: {axis: name or Dim}}`` or ``{input: [axis, ...]}``.
        dynamic_axes: The same, as ``torch.onnx.export`` takes it.
        dynamic_shapes: A pytree of ``torch.export.Dim``, as ``torch.export.export`` takes it.
        opset: Opset of the default domain; by default the lowest from 18 up that suffices.
        opset_version: The same, as ``torch.onnx.export`` calls it.
        export_params: Whether weights go into the graph; else they are inputs without a value,
            and the graph cannot be probed.
        custom_translation_table: Translations of operators, as ``torch.onnx.export`` takes them;
            they hold for dynamo.
        capture: ``dynamo``, ``trace``, ``script``, or ``auto`` (the first of these that can and
            that computes the same; the model's provenance says which and why).
        target: What the graph is for, which decides on rewrites; by default any target.
        probes: Run the graph in ONNX Runtime beside the original, on inputs that are chosen to
            reveal frozen values and shapes. Without it suspicions stay notes.

    Returns:
        The graph with its declared ranges, findings and provenance.

    Raises:
        UsageError: The arguments contradict each other or do not fit the model.
        ExportError: The model cannot be captured, or a probe proves that the graph computes
            something else; the error's ``findings`` say what.
    """
    if opset is not None and opset_version is not None:
        raise UsageError("opset and opset_version are given together", fix="keep one")
    options: dict[str, Any] = {
        "kwargs": kwargs,
        "input_names": input_names,
        "output_names": output_names,
        "dynamic": dynamic,
        "dynamic_axes": dynamic_axes,
        "dynamic_shapes": dynamic_shapes,
        "opset": opset if opset_version is None else opset_version,
        "export_params": export_params,
        "custom_translation_table": custom_translation_table,
        "capture": capture,
    }
    if isinstance(model_or_recipe, Recipe):
        if args is not None:
            raise UsageError("args are given beside a recipe, which has its own")
        recipe = model_or_recipe.with_options(**options)
    else:
        recipe = Recipe(model_or_recipe, args=() if args is None else args).with_options(**options)
    parsed = None if target is None else Target.parse(target)
    return export_recipe(open_program(recipe), parsed, probes=probes)


def diagnose(source: Any, *, opset: int | None = None, capture: str | None = None) -> list[Finding]:
    """Findings about a model, proven by probes where possible.

    Args:
        source: A `Recipe`, or a source as the command line takes it.
        opset: Opset, in place of the recipe's.
        capture: Capture strategy, in place of the recipe's.

    Returns:
        The findings, errors first; for a model that cannot be captured, that.

    Raises:
        UsageError: The source cannot be read.
    """
    recipe = source if isinstance(source, Recipe) else load_recipe(source)
    recipe = open_program(recipe.with_options(opset=opset, capture=capture))
    try:
        findings = export_recipe(recipe).findings
    except ExportError as error:
        findings = error.findings or [
            Finding("not-captured", Severity.ERROR, error.what, error.where or "", error.fix or "")
        ]
    order = list(Severity)
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def export_recipe(recipe: Recipe, target: Target | None = None, *, probes: bool = True) -> Model:
    """The graph of the first attempt that no probe proves wrong.

    Args:
        recipe: The recipe, as `open_program` leaves it.
        target: What the graph is for, which decides on rewrites.
        probes: As for `export`.

    Raises:
        ExportError: As for `export`.
    """
    verdict = proven_attempt(recipe, target, probes=probes)
    model, references = verdict.attempt.model, verdict.references
    probed = bool(verdict.verifications)
    counts = {
        "run": len(references.cases),
        "refused": len(references.refused),
        "fragile": len(references.fragile),
    }
    provenance = {**model.provenance, **({"probes": counts} if probed else {})}
    return dataclasses.replace(model, findings=list(verdict.findings), provenance=provenance)


def proven_attempt(recipe: Recipe, target: Target | None = None, *, probes: bool = True) -> Verdict:
    """The first attempt at capturing that no probe proves wrong, with its verdict.

    Args:
        recipe: The recipe, as `open_program` leaves it.
        target: What the graph is for, which decides on rewrites.
        probes: As for `export`.

    Raises:
        ExportError: As for `export`.
    """
    wrong: list[Verdict] = []
    for attempt in capture_attempts(recipe, target):
        # Without its weights a graph cannot run.
        runs = probes and recipe.export_params
        learned = [item for other in wrong for item in other.counterexamples]
        verdict = _probe(attempt, learned) if runs else _unproven(attempt)
        if not verdict.errors:
            return verdict
        wrong.append(verdict)
    raise wrong[0].wrong_capture()


def _probe(attempt: CaptureAttempt, learned: Sequence[Case]) -> Verdict:
    with Workspaces() as workspaces:
        try:
            # A graph that was trained to be quantized computes in float32 between its roundings;
            # what a runtime makes integers of is off by more than a capture may be.
            optimized = not is_quantized(attempt.model)
            engine = workspaces.new(attempt).open_reference(optimized=optimized)
            return verify(attempt, {REFERENCE_RUNTIME: engine}, drawn=0, learned=learned)
        except BuildError as error:
            foreign = attempt.foreign_operators
            return _unproven(attempt, _not_run(foreign, error) if foreign else _invalid(error))


def _unproven(attempt: CaptureAttempt, *findings: Finding) -> Verdict:
    references = References((), findings=findings)
    return Verdict(attempt, references, {}, tuple(settled(attempt, references, Verification(()))))


def _not_run(operators: Sequence[str], error: BuildError) -> Finding:
    return Finding(
        "not-probed",
        Severity.WARNING,
        f"nothing is known about what the graph computes: ONNX Runtime has no kernel for "
        f"{', '.join(operators)} ({error.why})",
        fix="declare the operator and its kernel, or map the node to one that exists",
    )


def _invalid(error: BuildError) -> Finding:
    message = f"{error.what}: {error.why}"
    if get_backend(REFERENCE_RUNTIME).lacks_kernel(error):
        return Finding("no-kernel", Severity.ERROR, message, fix=error.fix or "")
    return Finding(
        "invalid-graph", Severity.ERROR, message, fix="capture by another strategy or opset"
    )
