"""`export`: a PyTorch model becomes a `Model`."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelport.backends import get_backend
from modelport.backends.interface import Artifact
from modelport.capture.diagnosis import (
    Suspicion,
    draw_probes,
    find_suspicions,
    hygiene_findings,
    judge,
)
from modelport.capture.dynamic import dynamic_dims
from modelport.capture.inputs import bind_inputs, number_findings
from modelport.capture.names import name_dims
from modelport.capture.original import Original, open_original
from modelport.capture.reference import evaluating
from modelport.capture.status import exporting
from modelport.capture.strategies import STRATEGIES, Capture, Request
from modelport.errors import BuildError, ExportError, UsageError
from modelport.findings import Finding, Severity
from modelport.model import Model
from modelport.proof import Case, CaseResult, ReferenceCase, run_reference, verify_cases
from modelport.recipe import Recipe, load_recipe
from modelport.target import Target

LOWEST_OPSET = 18
STANDARD_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
HIGHEST_OPSETS = {"dynamo": 23, "trace": 20, "script": 20}
_UNMAPPED = re.compile(r"No ONNX function found|UnsupportedOperator|is not supported", re.I)


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
            results = _run_probes(recipe, captured) if probes else []
        except BuildError as error:
            if not captured.foreign_operators:
                captured.model.findings.append(_invalid_graph(error))
            results = []
        if not captured.settle(results):
            return captured.model
        wrong.append(captured)
    raise not_the_same(wrong[0].model)


def _run_probes(recipe: Recipe, captured: Captured) -> list[CaseResult]:
    references, refused = run_probes(captured.original, captured.probes(recipe))
    target = Target("onnxruntime")
    with tempfile.TemporaryDirectory() as folder:
        path = captured.model.save(Path(folder) / "model.onnx")
        engine = get_backend(target).load(
            Path(folder), Artifact(path.name), target, captured.model.signature
        )
        captured.model.provenance["probes"] = {"run": len(references), "refused": len(refused)}
        return list(verify_cases(references, engine.run_shared).cases)


def _invalid_graph(error: BuildError) -> Finding:
    return Finding(
        "invalid-graph",
        Severity.ERROR,
        f"{error.what}: {error.why}",
        fix="capture by another strategy or opset",
    )


def run_probes(original: Original, probes: Sequence[Case]) -> tuple[list[ReferenceCase], list[str]]:
    """Runs the original on its given cases and on probes, some of which it may refuse."""
    return run_reference(original.run, iter(probes), original.given, count=len(probes), least=0)


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


def open_program(recipe: Recipe) -> Recipe:
    """Reads a ``.pt2`` file, and takes an exported program's own example inputs.

    Raises:
        UsageError: The file is not an exported program, or there are no example inputs.
    """
    import torch

    model = recipe.model
    if isinstance(model, str | Path):
        path = Path(model)
        if path.suffix == ".onnx":
            return recipe
        if not path.is_file():
            raise UsageError(f"no such file: {path}")
        try:
            model = torch.export.load(path)
        except Exception as error:  # a zip of pickles fails in many ways
            raise UsageError(
                f"{path} is not a readable torch.export program",
                why=f"{type(error).__name__}: {error}",
                fix="write it with torch.export.save",
            ) from error
    if not isinstance(model, torch.export.ExportedProgram):
        return dataclasses.replace(recipe, model=model)
    if recipe.args or recipe.kwargs:
        return dataclasses.replace(recipe, model=model)
    if model.example_inputs is None:
        raise UsageError("the exported program carries no example inputs", fix="give args")
    args, kwargs = model.example_inputs
    return dataclasses.replace(recipe, model=model, args=args, kwargs=kwargs, name=recipe.title)


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
        self.model.findings = [*judge(self.suspicions, results), *self.model.findings]
        return [item for item in self.model.findings if item.severity is Severity.ERROR]


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
