"""`export`: a PyTorch model becomes a `Model`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.capture.dynamic import dynamic_dims
from modelport.capture.inputs import bind_inputs
from modelport.capture.names import name_dims
from modelport.capture.reference import evaluating
from modelport.capture.strategies import STRATEGIES, Capture, Request
from modelport.capture.warned import findings_of_warnings
from modelport.errors import ExportError, UsageError
from modelport.findings import Finding, Severity
from modelport.model import Model
from modelport.recipe import Recipe

if TYPE_CHECKING:
    import onnx_ir

LOWEST_OPSET = 18
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
    capture: str | None = None,
) -> Model:
    """Captures a PyTorch model as an ONNX graph.

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
        capture: ``dynamo``, ``trace``, ``script``, or ``auto`` (dynamo, and trace where it
            fails; the model's provenance says which and why).

    Returns:
        The graph with its declared ranges, findings and provenance.

    Raises:
        UsageError: The arguments contradict each other or do not fit the model.
        ExportError: The model cannot be captured.
    """
    given: dict[str, Any] = {
        "kwargs": kwargs,
        "input_names": input_names,
        "output_names": output_names,
        "dynamic": dynamic,
        "dynamic_axes": dynamic_axes,
        "dynamic_shapes": dynamic_shapes,
        "opset": opset,
        "capture": capture,
    }
    given = {name: value for name, value in given.items() if value is not None}
    if isinstance(model_or_recipe, Recipe):
        if args is not None:
            raise UsageError("args are given beside a recipe, which has its own")
        recipe = dataclasses.replace(model_or_recipe, **given)
    else:
        recipe = Recipe(model_or_recipe, args=() if args is None else args, **given)
    return export_recipe(open_program(recipe))


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


def export_recipe(recipe: Recipe) -> Model:
    """`export`, of a recipe as `open_program` leaves it."""
    if isinstance(recipe.model, str | Path):
        return Model.load(recipe.model)
    bound = bind_inputs(recipe.model, recipe.args, recipe.kwargs, recipe.input_names)
    dims = dynamic_dims(recipe, bound)
    with evaluating(recipe.model):
        captured, opset, reason = _capture(
            recipe,
            lambda number: Request(recipe.model, bound, dims, number, recipe.output_names),
        )
    findings = findings_of_warnings(captured.warnings)
    findings += _find_vanished(captured.ir, bound.names)
    ranges = name_dims(captured.ir, dims, findings)
    captured.ir.graph.name = recipe.title
    return Model(
        captured.ir, ranges, findings, _provenance(recipe.title, captured.strategy, reason, opset)
    )


def _capture(recipe: Recipe, request: Callable[[int], Request]) -> tuple[Capture, int, str]:
    """Captures by the strategy that the recipe wants; returns also the opset and the reason."""
    if recipe.capture != "auto":
        captured, opset = _at_lowest_opset(recipe, request, recipe.capture)
        return captured, opset, "asked for"
    try:
        captured, opset = _at_lowest_opset(recipe, request, "dynamo")
        return captured, opset, "the first choice of auto"
    except ExportError as dynamo_error:
        try:
            captured, opset = _at_lowest_opset(recipe, request, "trace")
        except ExportError as trace_error:
            raise ExportError(
                "the model can be captured neither by dynamo nor by trace",
                where=dynamo_error.where,
                why=f"{dynamo_error.what}; {trace_error.what}",
                fix="capture='script' keeps loops and branches on data",
            ) from dynamo_error
        return captured, opset, f"dynamo failed: {dynamo_error.what}"


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


def _find_vanished(ir: onnx_ir.Model, names: Sequence[str]) -> list[Finding]:
    present = {value.name for value in ir.graph.inputs}
    return [
        Finding(
            "input-vanished",
            Severity.WARNING,
            f"the graph has no input {name!r}: the model does not use it, or capturing baked the "
            "example's value in as a constant",
            where=name,
            fix="keep the value a tensor all the way to the operator that uses it",
        )
        for name in names
        if name not in present
    ]


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
