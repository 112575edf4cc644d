"""The reference model: what it takes, how to run it, and the cases its user gave."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modelport.arrays import Array, Arrays, to_numpy
from modelport.backends import REFERENCE_RUNTIME, open_engine
from modelport.backends.base import Artifact
from modelport.capture.custom_operators import add_bodies
from modelport.capture.dynamic import DynamicDims, dynamic_dims
from modelport.capture.inputs import BoundInputs, bind_inputs
from modelport.capture.module_snapshot import unchanged
from modelport.capture.reference_function import (
    PlainRun,
    TorchReference,
    draws_by_chance,
    float64_reference,
)
from modelport.errors import ExportError
from modelport.findings import Finding, Severity
from modelport.ir.integer_ranges import accepted_integers
from modelport.model import Model
from modelport.numerics import EXAMPLE, Case
from modelport.ops import registry
from modelport.ops.library_store import collect_libraries
from modelport.passes.foreign_ops import UNKNOWN_PLUGIN, adopt
from modelport.recipe import Recipe, ValueRule
from modelport.signature import Signature, TensorSpec

_FEW = 16
"""Numbers that an input may have whose values say how large an output is."""


@dataclass(frozen=True)
class ReferenceModel:
    """The model that says what is right: a module in PyTorch, or an ONNX file.

    Attributes:
        signature: Its inputs with declared dimensions, and its outputs.
        run: From arrays by input name to arrays by output name.
        examples: The example's arrays by input name; empty for an ONNX file.
        given: The example and the recipe's further cases.
        runner: What runs it, for the report.
        run_plainly: Runs its example without telling it that it is being exported.
        change_lines: Lines of the source where it changes its state; see `TorchReference`.
        run_in_float64: As `run`, with less rounding; gives None where that cannot be had.
        module: The module whose state runs may change; None where there is none.
        values: Rules that draw values where the recipe has none: the integers that an ONNX file
            accepts.
    """

    signature: Signature
    run: Callable[[Mapping[str, Array]], Arrays]
    examples: Arrays
    given: tuple[Case, ...]
    runner: str
    run_plainly: Callable[[], PlainRun] | None = None
    change_lines: Callable[[Sequence[str]], Mapping[str, str]] | None = None
    run_in_float64: Callable[[Mapping[str, Array]], Arrays | None] | None = None
    module: Any = None
    values: Mapping[str, ValueRule] = field(default_factory=dict)

    def unchanged(self) -> AbstractContextManager[None]:
        """Puts back what runs make the module remember, when they are over."""
        return unchanged(self.module)

    def usual_sizes(self) -> dict[str, int]:
        """The most frequent size of each dynamic dimension in the example and the given cases."""
        sizes: dict[str, Counter[int]] = defaultdict(Counter)
        for case in self.given:
            for spec in self.signature.inputs:
                for dim, size in zip(spec.shape or (), case.inputs[spec.name].shape, strict=True):
                    if isinstance(dim, str):
                        sizes[dim][size] += 1
        return {dim: counts.most_common(1)[0][0] for dim, counts in sizes.items()}

    def seen_values(self) -> dict[str, list[list[Any]]]:
        """The least, the example's and the largest values of inputs that may say how large outputs
        are: those of few numbers that differ from case to case.
        """
        found = {}
        for spec in self.signature.inputs:
            arrays = [case.inputs[spec.name] for case in self.given]
            if not arrays or spec.shape is None or len(spec.shape) > 1 or arrays[0].size > _FEW:
                continue
            if arrays[0].dtype.kind not in "iuf" or any(a.shape != arrays[0].shape for a in arrays):
                continue
            least, most = np.min(arrays, axis=0), np.max(arrays, axis=0)
            if np.any(least < most):
                found[spec.name] = [item.tolist() for item in (least, arrays[0], most)]
        return found

    def random_findings(self) -> list[Finding]:
        """A warning where the model differs from itself, by chance alone."""
        if self.run_plainly is None or not draws_by_chance(self.run, self.given[0].inputs):
            return []
        lines = {} if self.change_lines is None else self.change_lines(())
        return [
            Finding(
                "random-op",
                Severity.WARNING,
                "the model draws random numbers: it gives another result in every run, with which "
                "no graph can be compared",
                where=lines.get("random numbers", ""),
                fix="make the random tensor an input of the model; dropout is off in evaluation "
                "only as a module, or with functional.dropout(x, p, training=self.training)",
            )
        ]


def open_reference(recipe: Recipe, captured: Signature) -> ReferenceModel:
    """Makes the model of a recipe runnable on arrays.

    Args:
        recipe: The recipe, as `open_program` leaves it.
        captured: The signature captured from it: gives the names of outputs and of equal
            dimensions.

    Returns:
        The reference. For an ONNX file it is the file itself, run by ONNX Runtime with its graph
        optimizations off.
    """
    if isinstance(recipe.model, str | Path):
        path = Path(recipe.model)
        return open_graph(path, read_graph(path), captured)
    bound = bind_inputs(recipe.model, recipe.args, recipe.kwargs, recipe.input_names)
    return open_module(recipe, captured, bound, dynamic_dims(recipe, bound))


def read_graph(path: Path) -> Model:
    """Reads an ONNX file; nodes of other toolboxes are adopted, and declared ones get bodies.

    Raises:
        UsageError: The file is not a sound ONNX model.
        ExportError: It has a plugin that the library of operators lacks.
    """
    model = Model.load(path)
    model.findings += adopt(model, from_elsewhere=True)
    for finding in model.findings:
        if finding.rule == UNKNOWN_PLUGIN:
            raise ExportError(finding.message, where=str(path), fix=finding.fix)
    model.findings += add_bodies(model.ir)
    return model


def open_graph(path: Path, model: Model, signature: Signature) -> ReferenceModel:
    """Makes an ONNX file runnable.

    One whose nodes have kernels of ours runs by their bodies: kernels are what is proven.

    Args:
        path: The file.
        model: What `read_graph` made of it.
        signature: Its inputs and outputs.
    """
    if not any(registry.find(f"{domain}::{name}") for domain, name in model.operators()):
        run = _runner(path, signature)
        return ReferenceModel(signature, run, {}, (), _RUNNER, values=accepted_integers(model.ir))
    with tempfile.TemporaryDirectory() as folder:
        bodied = model.save(Path(folder) / path.name)
        bodies = {name[:2] for name in model.ir.functions}
        libraries = collect_libraries(model.operators() - bodies, Path(folder))
        run = _runner(bodied, signature, libraries)
    runner = f"{_RUNNER}, by the bodies of its operators"
    return ReferenceModel(signature, run, {}, (), runner, values=accepted_integers(model.ir))


_RUNNER = "ONNX Runtime without graph optimizations"


def _runner(
    path: Path, signature: Signature, libraries: Sequence[str] = ()
) -> Callable[[Mapping[str, Array]], Arrays]:
    options = {"graph_optimization": "none", "libraries": libraries}
    artifact = Artifact(path.name, options=options)
    return open_engine(path.parent, artifact, REFERENCE_RUNTIME, signature).run


def open_module(
    recipe: Recipe, captured: Signature, bound: BoundInputs, dims: DynamicDims
) -> ReferenceModel:
    """Makes a module or an exported program runnable on arrays.

    Args:
        recipe: The recipe, as `open_program` leaves it.
        captured: As for `open_reference`.
        bound: The recipe's example inputs.
        dims: Its dynamic dimensions.
    """
    import torch

    examples = bound.arrays
    known = {spec.name: spec for spec in captured.inputs}
    inputs = []
    for name, array in examples.items():
        # What vanished from the graph, or came out fixed, is still the original's to vary.
        shape = list(array.shape) if name not in known else list(known[name].shape or ())
        for axis, dim in dims.get(name, {}).items():
            if isinstance(shape[axis], int):
                shape[axis] = dim.name
        inputs.append(TensorSpec(name, array.dtype.name, tuple(shape)))
    declared = {dim.name: dim for axes in dims.values() for dim in axes.values()}
    signature = Signature(tuple(inputs), captured.outputs, {**declared, **captured.dims})
    given = [Case(EXAMPLE, examples, "the recipe's example")]
    for index, args in enumerate(recipe.cases):
        further = bind_inputs(recipe.model, args, recipe.kwargs, recipe.input_names)
        arrays = {name: to_numpy(tensor) for name, tensor in further.tensors.items()}
        given.append(Case(f"given-{index}", arrays, "given by the recipe"))
    names = [spec.name for spec in captured.outputs]
    reference = TorchReference(recipe.model, bound, names)
    return ReferenceModel(
        signature,
        reference,
        examples,
        tuple(given),
        f"PyTorch {torch.__version__}, eager",
        reference.run_plainly,
        reference.change_lines,
        float64_reference(recipe.model, bound, names),
        recipe.model,
    )
