"""`report.html`: one self-contained page about a deployment."""

from __future__ import annotations

import base64
import functools
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelport.arrays import Array
from modelport.files import images
from modelport.model import Model
from modelport.numerics import CaseResult, ReferenceCase, Verification
from modelport.target import Target

if TYPE_CHECKING:
    import jinja2

_MAX_PICTURE_BYTES = 2_000_000


@dataclass(frozen=True)
class ReportData:
    """Data of a report.

    Attributes:
        model: The graph that was deployed.
        runner: The runner of the reference model.
        verifications: The comparison, by target.
        example: The example with the outputs of the reference model.
        engine_outputs: Outputs of the first target's engine for the example.
    """

    model: Model
    runner: str
    verifications: Mapping[Target, Verification]
    example: ReferenceCase
    engine_outputs: Mapping[str, Array]


def render_report(data: ReportData) -> str:
    """Renders the page.

    Args:
        data: What to tell.

    Returns:
        HTML without references to other files.
    """
    operators = Counter(
        f"{node.domain}::{node.op_type}" if node.domain else node.op_type
        for node in data.model.ir.graph.all_nodes()
    )
    return (
        environment()
        .get_template("report.html")
        .render(
            data=data,
            model=data.model,
            signature=data.model.signature,
            provenance=data.model.provenance,
            operators=operators.most_common(),
            nodes=sum(operators.values()),
            plots={target: _plot(item.cases) for target, item in data.verifications.items()},
            pictures=_pictures(data),
        )
    )


@functools.cache
def environment() -> jinja2.Environment:
    """Jinja environment of this package: strict, and escaping."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("modelport.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True)
class Bar:
    """One case in the plot of errors: a bar on a logarithmic axis.

    Attributes:
        label: The case.
        width: Length of the bar, 0..100.
        limit: Where the tolerance lies, 0..100.
        text: The error in figures.
        ok: Whether it is within the tolerance.
    """

    label: str
    width: float
    limit: float
    text: str
    ok: bool


def _plot(cases: Sequence[CaseResult]) -> list[Bar]:
    return [
        Bar(
            label=case.case if len(case.outputs) == 1 else f"{case.case}: {output.output}",
            width=_on_axis(output.max_rel),
            limit=_on_axis(output.max_rel_allowed),
            text=f"{output.max_rel:.2e}",
            ok=output.ok,
        )
        for case in cases
        for output in case.outputs
    ]


def _on_axis(error: float) -> float:
    """Position of a relative error between 1e-9 and 1 on a logarithmic axis of 0..100."""
    if error <= 0.0:
        return 0.0
    return min(100.0, max(0.0, (math.log10(error) + 9.0) / 9.0 * 100.0))


@dataclass(frozen=True)
class Picture:
    """A picture in the page.

    Attributes:
        title: What it is.
        source: A data URI.
        width: Pixels.
        height: Pixels.
    """

    title: str
    source: str
    width: int
    height: int


def _pictures(data: ReportData) -> list[Picture]:
    """The example before and after, where inputs and outputs look like pictures."""
    case = data.example.case
    target = next(iter(data.verifications))
    before = [(name, array) for name, array in case.inputs.items() if _is_picture(array)]
    after = [
        (f"{name}, {runner}", array)
        for runner, outputs in (("original", data.example.outputs), (target, data.engine_outputs))
        for name, array in outputs.items()
        if _is_picture(array)
    ]
    if not (before and after):
        return []
    encoded = [_encode(title, array) for title, array in (*before, *after)]
    return [picture for picture in encoded if len(picture.source) <= _MAX_PICTURE_BYTES]


def _is_picture(array: Array) -> bool:
    return (
        array.dtype.kind == "f"
        and images.looks_like_pictures(array.shape)
        and min(array.shape[2:]) >= 16
    )


def _encode(title: str, array: Array) -> Picture:
    from PIL import Image

    # Many models take 0..1; the eye needs 0..255.
    scaled = array if float(array.max()) > 2.0 else array * 255.0
    picture = images.from_nchw(scaled)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return Picture(title, source, picture.shape[1], picture.shape[0])
