"""``docs/zoo.md`` and ``zoo/results.json``: what the rows say, and nothing else."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.reasons import OTHER, REASONS, reason_for
from zoo.rows import RESULTS, Row

PAGE = Path(__file__).parent.parent / "docs" / "zoo.md"
TITLES = {
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "tensorrt-rtx": "TensorRT for RTX",
}
TELLING = 160
"""Characters of a message that the page shows."""
_BUNDLES = r"/[^\s\"']*/\.model\.port\.\w+/"
"""The folder in which a bundle is written."""
_TEMPORARY = r"/[^\s\"']*/tmp\w{8}/"
"""A temporary folder of Python's."""

INTRODUCTION = """\
# The zoo

Public architectures, taken through `modelport deploy` one by one: random weights of a fixed seed,
small sizes, a dynamic batch, and dynamic height, width or length where the architecture takes it.
Each is captured once, deployed to ONNX Runtime and OpenVINO in fp32, and built as a TensorRT for
RTX engine for compute capability 8.9, whose graph is run on ONNX Runtime in its place. All are
compared with PyTorch on at least five drawn cases at shapes other than the export's. The last
column is the same model through bare `torch.onnx.export` (default options, the same dynamic
dimensions) and bare ONNX Runtime, compared on the same cases within the same tolerances.

`make zoo` runs it, `make zoo SHARD=1/8` a part of it; it has an environment of its own and is no
part of `make test`, where [its small models](../tests/promises/test_zoo.py) are. Each model
runs in a process of its own, with a limit of time and memory; what was run is not run again. This
page and [`results.json`](../zoo/results.json) are written from the rows.
"""


def write_page(rows: Mapping[str, Row], versions: Mapping[str, str], of: int) -> str:
    """Writes the page and the results.

    Args:
        rows: The newest row of every model that was run.
        versions: Versions of what they were run with.
        of: How many models the zoo has.

    Returns:
        One line on what there is.
    """
    ordered = [_anywhere(rows[name]) for name in sorted(rows, key=str.lower)]
    results = {"models": of, "totals": totals(ordered), "versions": versions, "rows": ordered}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page_text(ordered, versions, of), encoding="utf-8")
    return f"{len(ordered)} of {of} models have rows: see {PAGE.name}"


def _anywhere(row: Row) -> Row:
    """A row whose messages name files as they lie on any machine."""
    text = json.dumps(row)
    for before in (
        r"/[^\s\"']*/site-packages/",
        re.escape(f"{PAGE.parents[1]}/"),
        _BUNDLES,
        _TEMPORARY,
    ):
        text = re.sub(before, "", text)
    found: Row = json.loads(text)
    return found


def totals(rows: Sequence[Row]) -> dict[str, int]:
    """Numbers of rows that reached each target, and ``bare``; ``rows`` is the number of all.

    A row whose comparison would prove nothing reaches none. ``apart`` are those of which TensorRT
    for RTX lacks an operator.
    """
    found = {
        name: sum(1 for row in rows if not row["empty"] and row["targets"][name]["ok"])
        for name in TITLES
    }
    found["bare"] = sum(1 for row in rows if not row["empty"] and row["bare"]["ok"])
    return {"rows": len(rows), **found, "apart": len(_apart(rows))}


def _apart(rows: Sequence[Row]) -> list[str]:
    """Names of the models that have operators which TensorRT for RTX cannot have."""
    rtx = [(row["name"], row["targets"]["tensorrt-rtx"]) for row in rows]
    return [name for name, target in rtx if not target["ok"] and reason_for(target["error"]).apart]


def page_text(rows: Sequence[Row], versions: Mapping[str, str], of: int) -> str:
    """The page.

    Args:
        rows: The rows, in order.
        versions: As for `write_page`.
        of: As for `write_page`.
    """
    parts = [INTRODUCTION, _summary(rows, of), _made_with(rows, versions)]
    parts += [_reasons(rows), _families(rows), _table(rows)]
    return "\n".join(part for part in parts if part)


def _summary(rows: Sequence[Row], of: int) -> str:
    found = totals(rows)
    lines = [
        f"## {len(rows)} of {of} models run",
        "",
        "| | models | of those run |",
        "|---|---|---|",
    ]
    for name, title in {**TITLES, "bare": "bare torch.onnx.export, ONNX Runtime"}.items():
        share = 100 * found[name] / len(rows) if rows else 0.0
        lines.append(f"| {title} | {found[name]} | {share:.1f} % |")
    apart = _apart(rows)
    if apart:
        share = 100 * found["tensorrt-rtx"] / (len(rows) - len(apart))
        lines += [
            "",
            f"TensorRT for RTX takes {share:.1f} % of those that have no operator which it lacks; "
            f"{len(apart)} have one: {', '.join(apart)}.",
        ]
    return "\n".join([*lines, ""])


def _made_with(rows: Sequence[Row], versions: Mapping[str, str]) -> str:
    dates = sorted({row["date"] for row in rows})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}" if dates else "never"
    what = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"Run {when}, with {what}.\n"


def _failures(rows: Sequence[Row]) -> list[tuple[str, str, dict[str, str]]]:
    found = []
    for row in rows:
        for name, title in TITLES.items():
            if not row["targets"][name]["ok"]:
                found.append((row["name"], title, row["targets"][name]["error"]))
        if row["empty"]:
            error = {"class": "empty", "message": row["empty"]}
            found += [(row["name"], title, error) for title in TITLES.values()]
    return found


def _reasons(rows: Sequence[Row]) -> str:
    """Failures: counted by reason, and with their messages."""
    failures = _failures(rows)
    if not failures:
        return ""
    heads = ["reason", "what helps", *TITLES.values()]
    lines = [
        "## What does not go through",
        "",
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
    ]
    counts = Counter((reason_for(error), title) for _, title, error in failures)
    for reason in (*REASONS, OTHER):
        numbers = [counts[reason, title] for title in TITLES.values()]
        if any(numbers):
            lines.append(f"| {reason.title} | {reason.way_out} | {' | '.join(map(str, numbers))} |")
    lines += ["", "| model | target | message |", "|---|---|---|"]
    for name, title, error in failures:
        lines.append(f"| {name} | {title} | {error['class']}: {_cell(error['message'])} |")
    bare = Counter(row["bare"]["error"]["class"] for row in rows if not row["bare"]["ok"])
    lines += ["", "Bare `torch.onnx.export` fails by:", "", "| class | models |", "|---|---|"]
    lines += [f"| {kind} | {count} |" for kind, count in bare.most_common()]
    return "\n".join([*lines, ""])


def _families(rows: Sequence[Row]) -> str:
    by_family: dict[str, list[Row]] = {}
    for row in rows:
        by_family.setdefault(row["name"].partition("/")[0], []).append(row)
    lines = ["## By library", "", f"| library | models | {' | '.join(TITLES.values())} | bare |"]
    lines.append("|---|---|---|---|---|---|")
    for family, members in by_family.items():
        found = totals(members)
        reached = " | ".join(str(found[name]) for name in (*TITLES, "bare"))
        lines.append(f"| {family} | {len(members)} | {reached} |")
    return "\n".join([*lines, ""])


def _table(rows: Sequence[Row]) -> str:
    """One line for each model; seconds are processor time of the deployment to all targets."""
    lines = ["## Every model", "", f"| {' | '.join(_COLUMNS)} |", "|" + "---|" * len(_COLUMNS)]
    lines += [f"| {' | '.join(_cells(row))} |" for row in rows]
    return "\n".join(
        [*lines, "", "Error: the largest of an element, relative to `|x| + rms(x)`.", ""]
    )


_COLUMNS = (
    *("model", "captured by", "opset", "nodes", "findings", *TITLES.values(), "bare"),
    *("error", "CPU s", "MiB", "bundle kB"),
)


def _cells(row: Row) -> list[str]:
    capture = row.get("capture", {}).get("strategy", "-")
    findings = sum(row.get("findings", {}).values())
    marks = [_mark(row["targets"][name]) for name in TITLES]
    worst = [target.get("max_rel") for target in row["targets"].values()]
    known = [error for error in worst if error is not None]
    return [
        *(row["name"], capture, str(row.get("opset", "-")), str(row.get("nodes", "-"))),
        *(str(findings), *marks, _mark(row["bare"])),
        *(f"{max(known):.1e}" if known else "-", _whole(row["seconds"])),
        *(f"{row['peak_mib']:.0f}", f"{row['bytes'] / 1000:.0f}" if "bytes" in row else "-"),
    ]


def _whole(number: float | None) -> str:
    return "-" if number is None else f"{number:.0f}"


def _mark(target: Mapping[str, Any]) -> str:
    if not target["ok"]:
        return str(target["error"]["class"])
    return f"{target['cases']} cases" if "cases" in target else "agrees"


def _cell(message: str) -> str:
    text = " ".join(message.split()).replace("|", "\\|")
    return text if len(text) <= TELLING else text[: TELLING - 1] + "…"
