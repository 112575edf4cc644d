"""`export`: a PyTorch model becomes a `Model`."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport.backends import REFERENCE_RUNTIME, open_engine
from modelport.backends.interface import Artifact
from modelport.backends.onnxruntime.session import NO_KERNEL
from modelport.capture.captures import Captured, captures
from modelport.capture.programs import open_program
from modelport.errors import BuildError, ExportError, UsageError
from modelport.findings import Finding, Severity
from modelport.model import Model
from modelport.ops.libraries import collect_libraries
from modelport.precision import is_quantized
from modelport.proof import CaseResult, verify_cases
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
    """Captures a PyTorch model as an ONNX graph, and probes whether it is the same model.

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
            break what may have been baked in. Without it suspicions stay notes.

    Returns:
        The graph with its declared ranges, findings and provenance.

    Raises:
        UsageError: The arguments contradict each other or do not fit the model.
        ExportError: The model cannot be captured, or a probe proves that the graph computes
            something else; the error's ``findings`` say what.
    """
    if opset is not None and opset_version is not None:
        raise UsageError("opset and opset_version are given together", fix="keep one")
    given: dict[str, Any] = {
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
        recipe = model_or_recipe.with_options(**given)
    else:
        recipe = Recipe(model_or_recipe, args=() if args is None else args).with_options(**given)
    return _export_proven(
        open_program(recipe), probes, None if target is None else Target.parse(target)
    )


def diagnose(source: Any, *, opset: int | None = None, capture: str | None = None) -> list[Finding]:
    """What is to be said about a model, proven by probes where it can be.

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
        findings = _export_proven(recipe, probes=True).findings
    except ExportError as error:
        findings = error.findings or [
            Finding("not-captured", Severity.ERROR, error.what, error.where or "", error.fix or "")
        ]
    order = list(Severity)
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def _export_proven(recipe: Recipe, probes: bool, target: Target | None = None) -> Model:
    """The first capture that no probe proves wrong."""
    wrong: list[Captured] = []
    for captured in captures(recipe, target):
        try:
            # Without its weights a graph cannot run.
            results = _run_probes(recipe, captured) if probes and recipe.export_params else []
        except BuildError as error:
            foreign = captured.foreign_operators
            captured.model.findings.append(
                _not_run(foreign, error) if foreign else _invalid_graph(error)
            )
            results = []
        if not captured.settle(results):
            return captured.model
        wrong.append(captured)
    raise not_the_same(wrong[0].model)


def _run_probes(recipe: Recipe, captured: Captured) -> list[CaseResult]:
    references, refused = captured.run_original(recipe)
    with tempfile.TemporaryDirectory() as folder:
        path = captured.model.save(Path(folder) / "model.onnx")
        # A few runs between others' work: threads that wait busily would take its cores.
        libraries = collect_libraries(captured.model.operators(), Path(folder))
        options = {"libraries": libraries, "spinning": False}
        if is_quantized(captured.model):
            # A graph that was trained to be quantized computes in float32 between its roundings;
            # what a runtime makes integers of is off by more than a capture may be.
            options["graph_optimization"] = "none"
        artifact = Artifact(path.name, options=options)
        engine = open_engine(
            Path(folder), artifact, REFERENCE_RUNTIME, captured.model.signature
        )
        results = verify_cases(references, engine.run_shared).cases
    fragile = captured.fragile(references, results)
    captured.model.provenance["probes"] = {
        "run": len(references) - len(fragile),
        "refused": len(refused),
        "fragile": len(fragile),
    }
    return [result for result in results if result.case not in fragile]


def _not_run(operators: Sequence[str], error: BuildError) -> Finding:
    return Finding(
        "not-probed",
        Severity.WARNING,
        f"nothing is known about what the graph computes: ONNX Runtime has no kernel for "
        f"{', '.join(operators)} ({error.why})",
        fix="declare the operator and its kernel, or map the node to one that exists",
    )


def _invalid_graph(error: BuildError) -> Finding:
    message = f"{error.what}: {error.why}"
    if NO_KERNEL in message:
        return Finding("no-kernel", Severity.ERROR, message, fix=error.fix or "")
    return Finding(
        "invalid-graph", Severity.ERROR, message, fix="capture by another strategy or opset"
    )


def not_the_same(model: Model) -> ExportError:
    """The error for a graph that probes proved wrong."""
    errors = [finding for finding in model.findings if finding.severity is Severity.ERROR]
    strategy = model.provenance["capture"]["strategy"]
    return ExportError(
        f"what {strategy} captured is not the same model",
        where=errors[0].where,
        why="\n    ".join(f"[{finding.rule}] {finding.message}" for finding in errors),
        fix=errors[0].fix,
        findings=model.findings,
    )
