"""Layered layout of boxes and groups.

Layers by longest path, order within a layer by the mean place of what comes before (the first two
steps of K. Sugiyama, S. Tagawa and M. Toda, "Methods for Visual Understanding of Hierarchical
System Structures", 1981), within each group by itself, so that a group is one box to its
surroundings. The work grows with the number of boxes and lines only.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from modelport.graph.drawing.scene import Path, Scene

GAP_X, GAP_Y, PAD, HEAD = 26.0, 34.0, 14.0, 22.0
LINE, LETTER = 15.0, 6.7
MAX_LETTERS = 44


@dataclass
class Placed:
    """A box or a group with its place.

    Attributes:
        label: The title.
        lines: Text below the title.
        box: The box's place in the scene; None for a group.
        path: The group's path.
        x: Left edge, in pixels.
        y: Upper edge.
        width: Width.
        height: Height.
        inside: What a group shows; empty for one that is folded.
        count: How many nodes a folded group holds.
    """

    label: str
    lines: tuple[str, ...]
    box: int | None
    path: Path
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    inside: list[Placed] = field(default_factory=list)
    count: int = 0


@dataclass
class Layout:
    """A picture's geometry.

    Attributes:
        root: The whole.
        lines: From, to, and what flows there.
    """

    root: Placed
    lines: list[tuple[Placed, Placed, list[str]]]


def lay_out(scene: Scene, level: int, detailed: bool) -> Layout:
    """Places everything.

    Args:
        scene: What to show.
        level: Groups deeper than this are folded to one box.
        detailed: Whether boxes show attributes and weights.
    """
    root = Placed("", (), None, ())
    groups: dict[Path, Placed] = {(): root}
    leaves: list[Placed] = []
    for index, box in enumerate(scene.boxes):
        for depth in range(1, min(len(box.path), level + 1) + 1):
            path = box.path[:depth]
            if path not in groups:
                groups[path] = Placed(path[-1], (), None, path)
                groups[path[:-1]].inside.append(groups[path])
        if len(box.path) > level:
            folded = groups[box.path[: level + 1]]
            folded.count += 1
            leaves.append(folded)
            continue
        lines = box.lines if detailed or box.kind != "node" else ()
        leaf = Placed(box.title, tuple(map(_cut, lines)), index, box.path)
        groups[box.path].inside.append(leaf)
        leaves.append(leaf)
    drawn: dict[tuple[int, int], tuple[Placed, Placed, list[str]]] = {}
    siblings: dict[Path, dict[tuple[int, int], None]] = defaultdict(dict)
    for begin, end, text in scene.lines:
        a, b = leaves[begin], leaves[end]
        if a is b:
            continue
        drawn.setdefault((id(a), id(b)), (a, b, []))[2].append(text)
        common, first, second = _parting(a, b, groups)
        siblings[common][id(first), id(second)] = None
    _position(root, siblings)
    _move(root, 0.0, 0.0)
    return Layout(root, list(drawn.values()))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_LETTERS else text[: MAX_LETTERS - 1] + "…"


def _parting(a: Placed, b: Placed, groups: dict[Path, Placed]) -> tuple[Path, Placed, Placed]:
    """The innermost group around both, and what of it each is in."""
    depth = 0
    mine, other = _chain(a), _chain(b)
    while depth < min(len(mine), len(other)) and mine[depth] == other[depth]:
        depth += 1
    first = groups[mine[depth]] if depth < len(mine) else a
    second = groups[other[depth]] if depth < len(other) else b
    return (mine[depth - 1] if depth else ()), first, second


def _chain(item: Placed) -> list[Path]:
    """The groups around an item, without the whole and without itself."""
    path = item.path if item.box is not None else item.path[:-1]
    return [path[:depth] for depth in range(1, len(path) + 1)]


def _position(group: Placed, siblings: dict[Path, dict[tuple[int, int], None]]) -> None:
    """Positions the content of a group relative to it, and sets its size."""
    if group.box is not None or not group.inside:
        lines = (f"{group.count} nodes",) if group.box is None and group.count else group.lines
        group.lines = lines
        letters = max(len(text) for text in (group.label, *lines))
        group.width = max(64.0, letters * LETTER + 2 * PAD)
        group.height = 2 * 7.0 + LINE * (1 + len(lines))
        return
    for item in group.inside:
        _position(item, siblings)
    rows = _layers(group.inside, siblings.get(group.path, {}))
    top = HEAD if group.path else PAD
    width = max(sum(item.width + GAP_X for item in row) - GAP_X for row in rows)
    width = max(width, len(group.label) * LETTER)
    for row in rows:
        left = PAD + (width - sum(item.width + GAP_X for item in row) + GAP_X) / 2
        for item in row:
            item.x, item.y = left, top
            left += item.width + GAP_X
        top += max(item.height for item in row) + GAP_Y
    group.width, group.height = width + 2 * PAD, top - GAP_Y + PAD


def _layers(items: list[Placed], lines: dict[tuple[int, int], None]) -> list[list[Placed]]:
    order = {id(item): index for index, item in enumerate(items)}
    before: dict[int, list[int]] = defaultdict(list)
    for begin, end in lines:
        # A module that is used twice leads back: such lines do not count.
        if order[begin] < order[end]:
            before[order[end]].append(order[begin])
    layer: list[int] = []
    for index in range(len(items)):
        layer.append(max((layer[other] + 1 for other in before[index]), default=0))
    rows: list[list[int]] = [[] for _ in range(max(layer) + 1)]
    for index, number in enumerate(layer):
        rows[number].append(index)
    middle: dict[int, float] = {}
    for row in rows:
        position = {
            index: sum(middle[other] for other in before[index]) / len(before[index])
            if before[index]
            else float(rank) / max(len(row), 1)
            for rank, index in enumerate(row)
        }
        row.sort(key=lambda index: position[index])
        for rank, index in enumerate(row):
            middle[index] = (rank + 0.5) / len(row)
    return [[items[index] for index in row] for row in rows]


def _move(item: Placed, x: float, y: float) -> None:
    """Makes relative places absolute."""
    item.x, item.y = item.x + x, item.y + y
    for inner in item.inside:
        _move(inner, item.x, item.y)
