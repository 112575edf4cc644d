"""Steps for a model, each in a process of its own."""

from __future__ import annotations

import tempfile
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelport import deploy
from modelport.arrays import to_numpy
from modelport.capture.dynamic import dynamic_dims, to_torch_shapes
from modelport.capture.inputs import BoundInputs, bind_inputs
from modelport.capture.reference_function import flat_outputs
from modelport.errors import ModelportError
from modelport.numerics import compare_outputs, draw_cases, tolerance_for
from modelport.passes import lint_for
from modelport.recipe import Recipe
from modelport.signature import Signature, TensorSpec
from zoo.entry import Entry

TARGETS = {
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "tensorrt-rtx": "tensorrt-rtx:sm89",
}
"""Targets of a model, by the name in its row."""

CASES = 5
"""Drawn cases that every row is verified on, at least."""
_ATTEMPTS = 40
_LONGEST = 1500

Arrays = dict[str, np.ndarray[Any, Any]]


def deploy_for(entry: Entry, targets: Sequence[str]) -> dict[str, Any]:
    """Deploys a model, and reports the result.

    Args:
        entry: The model.
        targets: Keys of `TARGETS`; all get the same export.

    Returns:
        ``error`` (the class and the message that a user would see), or what is known of the
        deployment.
    """
    warnings.simplefilter("ignore")
    recipe = entry.recipe()
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "model.port"
        try:
            done = deploy(recipe, bundle, targets=[TARGETS[name] for name in targets])
        except ModelportError as error:
            text = str(error)[:_LONGEST]
            return {"error": {"class": type(error).__name__, "message": text}}
        size = sum(file.stat().st_size for file in bundle.rglob("*") if file.is_file())
        findings = Counter(finding.rule for finding in done.model.findings)
        example = done.model.signature.inputs
        return {
            "capture": done.model.provenance["capture"],
            "opset": done.model.provenance["opset"],
            "nodes": sum(1 for _ in done.model.ir.graph.all_nodes()),
            "parameters": sum(item.numel() for item in recipe.model.parameters()),
            "inputs": [str(spec) for spec in example],
            "findings": dict(findings),
            "lint": dict(Counter(item.rule for item in lint_for(done.model, "tensorrt"))),
            "bytes": size,
            "verified": {
                name: _verified(verification, recipe)
                for name, verification in zip(targets, done.verifications.values(), strict=True)
            },
        }


def _verified(verification: Any, recipe: Recipe) -> dict[str, Any]:
    bound = bind_inputs(recipe.model, recipe.args, recipe.kwargs, recipe.input_names)
    shapes = {name: array.shape for name, array in bound.arrays.items()}
    worst = verification.worst
    return {
        "cases": len(verification.cases),
        "other_shapes": sum(1 for case in verification.cases if dict(case.shapes) != shapes),
        "max_rel": None if worst is None else float(worst.max_rel),
        "max_abs": max((o.max_abs for c in verification.cases for o in c.outputs), default=None),
    }


def export_bare(entry: Entry) -> dict[str, Any]:
    """The same model through ``torch.onnx.export`` and ONNX Runtime alone.

    Args:
        entry: The model.

    Returns:
        ``error``, where it did not export, load, run or agree; ``cases``, the cases compared;
        ``empty``, why a verification of this model proves nothing, where that is so.
    """
    import torch

    warnings.simplefilter("ignore")
    recipe = entry.recipe()
    model = recipe.model.eval()
    bound = bind_inputs(model, recipe.args, recipe.kwargs, recipe.input_names)
    expected = _expected(recipe, bound)
    result: dict[str, Any] = {"cases": len(expected), "empty": _emptiness(expected)}
    dims = dynamic_dims(recipe, bound)
    try:
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            path = Path(folder) / "model.onnx"
            torch.onnx.export(
                model,
                recipe.args,
                str(path),
                kwargs=dict(recipe.kwargs),
                input_names=list(bound.names),
                dynamic_shapes=to_torch_shapes(dims, bound),
            )
            outputs = _run_bare(path, expected)
    except Exception as error:  # noqa: BLE001 - torch and ONNX Runtime raise anything
        lines = [line for line in str(error).splitlines() if line.strip()]
        message = (lines[0] if lines else "")[:400]
        return result | {"error": {"class": type(error).__name__, "message": message}}
    differing = [
        str(comparison)
        for (_, reference), actual in zip(expected, outputs, strict=True)
        for comparison in _compare(reference, actual)
    ]
    if differing:
        return result | {"error": {"class": "wrong", "message": differing[0][:400]}}
    return result


def _expected(recipe: Recipe, bound: BoundInputs) -> list[tuple[Arrays, list[Any]]]:
    """The recipe's own and drawn cases, with the outputs of eager PyTorch."""
    import torch

    dims = dynamic_dims(recipe, bound)
    specs = []
    for name, array in bound.arrays.items():
        shape: list[int | str] = list(array.shape)
        for axis, dim in dims.get(name, {}).items():
            shape[axis] = dim.name
        specs.append(TensorSpec(name, array.dtype.name, tuple(shape)))
    declared = {dim.name: dim for axes in dims.values() for dim in axes.values()}
    signature = Signature(tuple(specs), (), declared)
    inputs = [bound.arrays]
    for args in recipe.cases:
        further = bind_inputs(recipe.model, args, recipe.kwargs, recipe.input_names)
        inputs.append(further.arrays)
    found: list[tuple[Arrays, list[Any]]] = []

    def run(arrays: Arrays) -> None:
        with torch.no_grad():
            tensors = flat_outputs(bound.call(recipe.model, arrays))
        found.append((arrays, [to_numpy(tensor) for tensor in tensors]))

    for arrays in inputs:
        run(arrays)
    refused = 0
    for case in draw_cases(signature, bound.arrays, recipe.values, seed=0):
        try:
            run(case.inputs)
        except Exception:  # noqa: BLE001 - sizes that the model does not take
            refused += 1
        if len(found) >= len(inputs) + CASES or refused >= _ATTEMPTS:
            return found
    return found


def _emptiness(expected: Sequence[tuple[Arrays, Sequence[Any]]]) -> str:
    """The reason why a comparison with these outputs would prove nothing."""
    arrays = [array for _, outputs in expected for array in outputs]
    if not any(array.size for array in arrays):
        return "every output is empty"
    floats = [array for array in arrays if array.dtype.kind == "f" and array.size]
    if floats and not any(np.isfinite(array).any() for array in floats):
        return "no output is finite"
    if not any(array.size > 1 and np.ptp(array.astype(np.float64)) > 1e-6 for array in arrays):
        return "every output is one number throughout"
    first = expected[0][1]
    for _, outputs in expected[1:]:
        for one, other in zip(first, outputs, strict=False):
            same = one.shape == other.shape or one.shape[1:] == other.shape[1:]
            if not same or not one.size or not other.size:
                return ""
            if not np.allclose(one[:1], other[:1], rtol=1e-4, atol=1e-7, equal_nan=True):
                return ""
    return "the outputs are the same whatever the inputs are"


def _run_bare(path: Path, expected: Sequence[tuple[Arrays, Any]]) -> list[list[Any]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    input_names = [item.name for item in session.get_inputs()]
    return [
        session.run(None, {name: arrays[name] for name in input_names if name in arrays})
        for arrays, _ in expected
    ]


def _compare(reference: Sequence[Any], actual: Sequence[Any]) -> list[Any]:
    if len(reference) != len(actual):
        return [f"{len(actual)} outputs, and PyTorch returns {len(reference)}"]

    def named(arrays: Sequence[Any]) -> Mapping[str, Any]:
        return {str(index): array for index, array in enumerate(arrays)}

    compared = compare_outputs(named(reference), named(actual), tolerance_for)
    return [comparison for comparison in compared if not comparison.ok]
