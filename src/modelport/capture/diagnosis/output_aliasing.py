"""What a run of the original on its example shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from modelport.arrays import Array
from modelport.capture.reference_function import PlainRun
from modelport.findings import Finding, Severity
from modelport.graph.location import source_place
from modelport.numerics import compare_outputs, tolerance_for

if TYPE_CHECKING:
    import onnx_ir


def example_findings(
    ir: onnx_ir.Model, plain: PlainRun, told: Mapping[str, Array]
) -> Iterator[Finding]:
    """Notes on what the original returns for its example.

    Args:
        ir: The graph, which says where in the user's source an output is made.
        plain: What the original returned.
        told: Its outputs when it was told that it is being exported.

    Yields:
        A note where the two differ, and for every output that is a view.
    """
    compared = compare_outputs(plain.outputs, told, tolerance_for)
    changed = [comparison for comparison in compared if not comparison.ok]
    if changed:
        yield Finding(
            "export-only-behaviour",
            Severity.NOTE,
            "the model computes something else while it is exported, and that is what "
            f"the graph is compared with: {changed[0]}",
        )
    for name, source in plain.aliases.items():
        yield Finding(
            "output-aliases-input",
            Severity.NOTE,
            f"the output {name!r} shares its memory with the input {source!r} in PyTorch: what is "
            "written to one is seen in the other. A runtime returns a copy",
            where=_place(ir, name),
            fix="return a clone() where anybody writes to either",
        )
    for name, strides in plain.strides.items():
        yield Finding(
            "output-not-contiguous",
            Severity.NOTE,
            f"the output {name!r}, {list(plain.outputs[name].shape)}, has the strides "
            f"{list(strides)} in PyTorch. A runtime returns it contiguous",
            where=_place(ir, name),
            fix="return it contiguous() where anybody reads its memory or calls view() on it",
        )


def _place(ir: onnx_ir.Model, output: str) -> str:
    value = next((value for value in ir.graph.outputs if value.name == output), None)
    producer = None if value is None else value.producer()
    return output if producer is None else source_place(producer)
