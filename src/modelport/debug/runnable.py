"""Subjects of a comparison, each opened as a function from arrays to arrays."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modelport.arrays import Array, Arrays
from modelport.backends import REFERENCE_OPTIONS, REFERENCE_RUNTIME, Engine, get_backend
from modelport.bundle import Bundle, load
from modelport.deployment.plan import Plan
from modelport.deployment.workspace import Workspace
from modelport.errors import UsageError
from modelport.ir.integer_ranges import accepted_integers
from modelport.model import Model
from modelport.numerics import Case, Runner, by_name_or_place
from modelport.recipe import Recipe, ValueRule, load_recipe
from modelport.signature import Signature, TensorSpec
from modelport.target import Target

Source = str | os.PathLike[str] | Recipe | Model


@dataclass(frozen=True)
class Subject:
    """A subject of a comparison: a model that runs.

    Attributes:
        name: What it is and what runs it, for people.
        run: From arrays by input name to arrays by output name.
        signature: Its inputs and outputs.
        precision: The precision of its arithmetic, as targets name it.
        examples: Example arrays by input name, where it has some.
        given: Cases of its own.
        values: Rules that draw values, by input name.
    """

    name: str
    run: Runner
    signature: Signature
    precision: str = "fp32"
    examples: Mapping[str, Array] = field(default_factory=dict)
    given: tuple[Case, ...] = ()
    values: Mapping[str, ValueRule] = field(default_factory=dict)


def open_subject(
    source: Source, target: Target | None, folder: Path, *, as_reference: bool, trust: bool = False
) -> Subject:
    """Opens a source of the user.

    Args:
        source: A recipe or a source of one, an ONNX file or model, or a bundle.
        target: What to run it on. By default a recipe's PyTorch model runs in eager mode where it
            is the reference, and everything else on ONNX Runtime.
        folder: An empty folder to work in, that outlives the subject.
        as_reference: Whether it says what is right: ONNX Runtime leaves an ONNX file's graph as it
            is then, unless a target is given.
        trust: Whether a bundle may bring code that is not known here.

    Returns:
        The subject.

    Raises:
        UsageError: There is nothing of that name, or it cannot be read.
        ExportError: A PyTorch model for a target cannot be captured.
        BuildError: The backend refuses the model.
    """
    source = read_source(source)
    if isinstance(source, Path):
        engine = load(source, target, trust=trust)
        return Subject(
            f"{source} on {engine.target}",
            engine.run_shared,
            engine.signature,
            engine.target.precision,
        )
    if isinstance(source, Recipe):
        if target is None and as_reference:
            return open_eager(source)
        from modelport.deployment import export

        return _open_model(
            export(source, target=target, probes=False),
            target,
            folder,
            {},
            f"{source.title}, exported,",
        )
    options = REFERENCE_OPTIONS if target is None and as_reference else {}
    return _open_model(source, target, folder, options, source_name(source))


def read_source(source: Source) -> Path | Recipe | Model:
    """The source: a bundle (as its path), a recipe of a PyTorch model, or an ONNX model.

    Raises:
        UsageError: There is nothing of that name, or it cannot be read.
    """
    if isinstance(source, Model):
        return source
    if not isinstance(source, Recipe):
        path = Path(source)
        if path.suffix == ".port" or path.is_dir():
            return path
        source = load_recipe(os.fspath(source))
    if isinstance(source.model, str | Path) and Path(source.model).suffix == ".onnx":
        return Model.load(source.model)
    from modelport.capture.programs import open_program

    return open_program(source)


def model_of(bundle: Path) -> Model:
    """The graph of a bundle's first target.

    Raises:
        UsageError: There is no bundle at the path, or it is a pipeline of several models.
        BundleError: The bundle is altered.
    """
    with Bundle.open(bundle) as opened:
        if opened.manifest.stages:
            raise UsageError(
                f"{bundle} is a pipeline of several models",
                fix="give the bundle of one stage; they lie in its folder stages",
            )
        artifact = next(iter(opened.manifest.artifacts.values()))
        import onnx_ir

        model = Model.load(opened.folder / artifact.graph)
        onnx_ir.external_data.load_to_model(model.ir)
        model.facts = dataclasses.replace(model.facts, source=str(bundle))
        return model


def source_name(model: Model) -> str:
    """A model's name, for people."""
    return model.facts.source or model.ir.graph.name or "the model"


def build_engine(
    model: Model, target: Target, folder: Path, options: Mapping[str, Any] | None = None
) -> Engine:
    """Writes a model, with the libraries of declared operators, and builds its engine.

    Where the engine cannot run here, it is ONNX Runtime on the graph that it was built from.

    Args:
        model: The model.
        target: What to run it on.
        folder: Where to write.
        options: Options of the backend.

    Raises:
        BuildError: The backend refuses the model.
    """
    workspace = Workspace.create(folder, model, [target])
    return workspace.open(workspace.build(Plan(target, options or {})))


def _open_model(
    model: Model, target: Target | None, folder: Path, options: Mapping[str, Any], name: str
) -> Subject:
    runtime = target or REFERENCE_RUNTIME
    engine = build_engine(model, runtime, folder, options)
    manner = " without graph optimizations" if options else ""
    if engine.substituted:
        manner = f" (not run: {engine.substituted}; its graph on ONNX Runtime)"
    return Subject(
        f"{name} on {runtime}{manner}",
        engine.run_shared,
        engine.signature,
        runtime.precision,
        values=accepted_integers(model.ir),
    )


def open_eager(recipe: Recipe) -> Subject:
    """A PyTorch model in eager mode; nothing is captured.

    Args:
        recipe: The model and its example. Outputs without a name are called ``output_INDEX``.

    Raises:
        RunError: The model fails on its example.
    """
    from modelport.capture.inputs import bind_inputs
    from modelport.capture.reference_function import count_outputs
    from modelport.capture.reference_model import open_reference

    bound = bind_inputs(recipe.model, recipe.args, recipe.kwargs, recipe.input_names)
    names = list(recipe.output_names or ())
    count = count_outputs(recipe.model, bound)
    names = [*names[:count], *(f"output_{index}" for index in range(len(names), count))]
    outputs = tuple(TensorSpec(name, "unknown", None) for name in names)
    original = open_reference(recipe, Signature((), outputs))
    return Subject(
        f"{recipe.title} in {original.runner}",
        original.run,
        original.signature,
        examples=original.examples,
        given=original.given,
        values=recipe.values,
    )


def taking(reference: Signature, candidate: Subject) -> Runner:
    """Runs a candidate on a reference's inputs: by name, else by index, floats converted.

    Args:
        reference: What the cases have.
        candidate: What is run on them.

    Returns:
        The runner.

    Raises:
        UsageError: The two take different inputs.
    """
    specs = {spec.name: spec for spec in candidate.signature.inputs}
    named = {spec.name: spec.name for spec in reference.inputs}
    reference_names = by_name_or_place(specs, named)
    missing = [str(spec) for name, spec in specs.items() if name not in reference_names]
    if missing:
        raise UsageError(
            f"{candidate.name} takes inputs that the reference does not have: {', '.join(missing)}",
            fix=f"the reference takes {', '.join(map(str, reference.inputs))}",
        )

    def run(inputs: Mapping[str, Array]) -> Arrays:
        arguments = {
            name: as_dtype(inputs[reference_names[name]], spec.dtype)
            for name, spec in specs.items()
            if reference_names[name] in inputs
        }
        return candidate.run(arguments)

    return run


def as_dtype(array: Array, dtype: str) -> Array:
    """A float array in another float dtype; anything else as it is."""
    floats = ("float16", "float32", "float64")
    if array.dtype.name in floats and dtype in floats and array.dtype.name != dtype:
        # What is too large for the dtype is infinite in it, which is for the comparison to tell.
        with np.errstate(over="ignore"):
            return array.astype(dtype)
    return array


def parse_targets(targets: str | Sequence[Target | str] | None) -> list[Target]:
    """Targets from ``a,b`` or a list, at most two.

    Raises:
        UsageError: One is unknown, or there are more.
    """
    items = targets.split(",") if isinstance(targets, str) else list(targets or ())
    parsed = [Target.parse(item) for item in items]
    for target in parsed:
        get_backend(target)
    if len(parsed) > 2:
        raise UsageError(
            f"{len(parsed)} targets are given",
            fix="give one for the candidate, or two: the reference's and the candidate's",
        )
    return parsed
