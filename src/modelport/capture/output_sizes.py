"""Sizes of outputs that the exporter recorded as constants, and that vary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx_ir

from modelport.arrays import Arrays
from modelport.capture.diagnosis.probe_memory import bounded_memory
from modelport.capture.reference_model import ReferenceModel
from modelport.errors import RunError
from modelport.ir.shape_inference import infer_shapes_anew
from modelport.model import Model
from modelport.numerics.cases import ValueRule, draw_values, example_sizes
from modelport.signature import Dim

Sizes = Mapping[str, int]


def correct_output_sizes(
    model: Model, reference: ReferenceModel, values: Mapping[str, ValueRule]
) -> bool:
    """Replaces sizes of outputs that are constant in the graph and vary in the reference.

    Exporters record shapes that PyTorch computes, and some of its functions, such as recurrent
    layers, compute sizes of the example. The reference is run at other sizes and compared.

    Args:
        model: The graph; shapes of its outputs are changed in place.
        reference: The model that says what is right.
        values: The recipe's rules for values.

    Returns:
        True if a size was replaced.
    """
    base = example_sizes(reference.signature, reference.examples)
    fixed = [
        (value, axis)
        for value in model.ir.graph.outputs
        for axis, size in enumerate(value.shape or ())
        if isinstance(size, int)
    ]
    found = _run_elsewhere(reference, base, values) if fixed and base else None
    if found is None:
        return False
    sizes, outputs = found
    changed = {}
    for value, axis in fixed:
        assert value.shape is not None
        declared, array = value.shape[axis], outputs[str(value.name)]
        if array.ndim == len(value.shape) and array.shape[axis] != declared:
            changed[value, axis] = _name(value, axis, array.shape[axis], base, sizes)
    if not changed:
        return False
    shapes = {value: list(value.shape or ()) for value in model.ir.graph.outputs}
    for (value, axis), name in changed.items():
        shapes[value][axis] = onnx_ir.SymbolicDim(name)
    # What was recorded on the way to these outputs is wrong as well.
    infer_shapes_anew(model.ir)
    for value in {value for value, _ in changed}:
        value.shape = onnx_ir.Shape(shapes[value])
    return True


def _name(value: onnx_ir.Value, axis: int, size: int, base: Sizes, sizes: Sizes) -> str:
    """The dimension that has the size in both runs, or a name of its own."""
    assert value.shape is not None
    before = value.shape[axis]
    same = [name for name in sizes if (base[name], sizes[name]) == (before, size)]
    return same[0] if len(same) == 1 else f"{value.name}_{axis}"


def _run_elsewhere(
    reference: ReferenceModel, base: Sizes, values: Mapping[str, ValueRule]
) -> tuple[Sizes, Arrays] | None:
    """Outputs at the first of some other sizes that the reference accepts."""
    rng = np.random.default_rng(0)
    for sizes in _elsewhere(reference, base):
        inputs = {
            spec.name: draw_values(
                spec, sizes, reference.examples, values.get(spec.name), "resampled", rng
            )
            for spec in reference.signature.inputs
        }
        try:
            with bounded_memory():
                return sizes, reference.run(inputs)
        except RunError:
            continue
    return None


def _elsewhere(reference: ReferenceModel, base: Sizes) -> Iterator[Sizes]:
    dims = {name: reference.signature.dims.get(name, Dim(name)) for name in base}
    for factor, step in ((1, 1), (2, 0), (1, -1)):
        sizes = {
            name: dims[name].nearest(factor * size + step * dims[name].multiple)
            for name, size in base.items()
        }
        if all(sizes[name] != size for name, size in base.items()):
            yield sizes
