"""docs/engine-faults.md, out of the table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.conformance.nodes.cases import BACKENDS, WAYS

PAGE = Path(__file__).parents[3] / "docs" / "engine-faults.md"

HEAD = """# Faults of engines

ONNX ships test cases of single operators with their results; {count} have a row here.
`make conformance PART=nodes` runs them in ONNX Runtime and OpenVINO and writes this page. `load`
runs the file as it is; `deploy` runs the graph as modelport prepares it, and refuses
nodes that the engine computes otherwise than ONNX says. `modelport graph lint --target` names these
nodes, too.

Cases that still differ through `deploy` are of two kinds. Resize with `align_corners` and scales:
the engines and PyTorch round the size first, ONNX's reference does not; lint warns. Masked
attention whose rows are all -infinity: OpenVINO's ReduceMax of them is the lowest finite number;
lint has a note.

Versions: {versions}.

"""


def write_page(table: Mapping[str, object]) -> None:
    """Writes the page.

    Args:
        table: The table, as `read_table` gives it.
    """
    PAGE.write_text(page(table))


def page(table: Mapping[str, object]) -> str:
    """The text of the page."""
    rows, versions = table["rows"], table["versions"]
    assert isinstance(rows, dict)
    assert isinstance(versions, dict)
    named = ", ".join(f"{name} {number}" for name, number in versions.items())
    lines = [
        HEAD.format(count=len(rows), versions=named),
        "| backend | way | outcomes |\n|---|---|---|\n",
    ]
    for column in (f"{backend} {way}" for backend in BACKENDS for way in WAYS):
        counts = Counter(row[column].partition(":")[0] for row in rows.values())
        found = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
        lines.append(f"| {column.replace(' ', ' | ')} | {found} |\n")
    for backend in BACKENDS:
        lines.append(f"\n## {backend}: cases that differ through `load`\n\n")
        lines.append("| case | through `load` | through `deploy` |\n|---|---|---|\n")
        for name, row in sorted(rows.items()):
            if row[f"{backend} load"].partition(":")[0] not in ("differs", "dies"):
                continue
            loaded, deployed = (_cell(row[f"{backend} {way}"]) for way in WAYS)
            lines.append(f"| {name.removeprefix('test_')} | {loaded} | {deployed} |\n")
    return "".join(lines)


def _cell(outcome: str) -> str:
    return outcome.replace("|", "/")
