"""A layout as SVG."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

from modelport.graph.drawing.layout import LINE, PAD, Layout, Placed

STYLE = """
text { font: 11px ui-monospace, monospace; fill: #1d2530; }
.t { font: 600 12px system-ui, sans-serif; }
.n rect { fill: #fff; stroke: #4e7ad2; rx: 5px; }
.input rect, .output rect { fill: #eef7f1; stroke: #12805c; }
.f rect { fill: #f2f4f7; stroke: #667085; rx: 5px; }
.g > rect { fill: #667085; fill-opacity: .05; stroke: #c3c9d4; rx: 7px; }
.g > text { fill: #667085; font: 11px system-ui, sans-serif; }
.e { fill: none; stroke: #98a2b3; } .e:hover { stroke: #c4320a; stroke-width: 2; }
.l { fill: #98a2b3; font-size: 9px; }
[data-i] { cursor: pointer; } .picked rect { stroke: #c4320a; stroke-width: 2.5; }
"""


def svg_of(layout: Layout, kinds: list[str], *, alone: bool, labelled: bool) -> str:
    """Renders a picture.

    Args:
        layout: Where everything lies.
        kinds: The kind of each box of the scene.
        alone: Whether it is a file of its own, which needs the style.
        labelled: Whether lines say what flows.

    Returns:
        An ``<svg>`` element without references to anything outside.
    """
    root = layout.root
    size = f'viewBox="0 0 {root.width:.0f} {root.height:.0f}"'
    if alone:
        size += f' width="{root.width:.0f}" height="{root.height:.0f}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>']
    if alone:
        parts.append(f"<style>{STYLE}</style>")
    parts += _groups(root)
    parts += _lines(layout, labelled)
    parts += _boxes(root, kinds)
    return "\n".join([*parts, "</svg>"])


def _rect(item: Placed) -> str:
    geometry = f'x="{item.x:.1f}" y="{item.y:.1f}"'
    return f'<rect {geometry} width="{item.width:.1f}" height="{item.height:.1f}"/>'


def _groups(item: Placed) -> Iterator[str]:
    for inner in item.inside:
        if inner.inside:
            text = f'<text x="{inner.x + 8:.1f}" y="{inner.y + 14:.1f}">{_text(inner.label)}</text>'
            yield f'<g class="g">{_rect(inner)}{text}</g>'
            yield from _groups(inner)


def _lines(layout: Layout, labelled: bool) -> Iterator[str]:
    for begin, end, texts in layout.lines:
        x0, y0 = begin.x + begin.width / 2, begin.y + begin.height
        x1, y1 = end.x + end.width / 2, end.y
        bend = max(18.0, abs(y1 - y0) / 2)
        curve = f"M{x0:.1f} {y0:.1f}C{x0:.1f} {y0 + bend:.1f} "
        curve += f"{x1:.1f} {y1 - bend:.1f} {x1:.1f} {y1:.1f}"
        title = _text("\n".join(dict.fromkeys(texts)))
        yield f'<path class="e" d="{curve}"><title>{title}</title></path>'
        if labelled:
            flow = texts[0].rpartition(": ")[2]
            middle = f'x="{(x0 + x1) / 2 + 4:.1f}" y="{(y0 + y1) / 2 + 3:.1f}"'
            yield f'<text class="l" {middle}>{_text(flow)}</text>'


def _boxes(item: Placed, kinds: list[str]) -> Iterator[str]:
    for inner in item.inside:
        if inner.inside:
            yield from _boxes(inner, kinds)
            continue
        kind = "f" if inner.box is None else {"node": "n"}.get(kinds[inner.box], kinds[inner.box])
        key = ".".join(inner.path) if inner.box is None else str(inner.box)
        texts = [
            f'<text class="{"" if number else "t"}" '
            f'x="{inner.x + PAD:.1f}" y="{inner.y + 18 + LINE * number:.1f}">{_text(text)}</text>'
            for number, text in enumerate((inner.label, *inner.lines))
        ]
        about = f'class="{kind}" data-i={quoteattr(_clean(key))}'
        yield f"<g {about}>{_rect(inner)}{''.join(texts)}</g>"


def _clean(text: str) -> str:
    """Without what XML has no way to write."""
    return "".join(
        c if c in "\n\t" or (c.isprintable() and c not in "\ufffe\uffff") else "\ufffd"
        for c in text
    )


def _text(text: str) -> str:
    return escape(_clean(text))
