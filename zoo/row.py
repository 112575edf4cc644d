"""A row of the table: everything that is done with one model."""

from __future__ import annotations

import datetime
import importlib.metadata
from pathlib import Path
from typing import Any

from zoo.apart import Outcome, run_apart
from zoo.entry import Entry
from zoo.steps import TARGETS, deploy_for, export_bare

PACKAGES = (
    *("torch", "onnxruntime", "openvino", "tensorrt-rtx-cu13", "onnx", "onnx-ir", "onnxscript"),
    *("torchvision", "torchaudio", "timm", "transformers", "diffusers", "spandrel"),
    *("segmentation-models-pytorch", "torch-geometric", "modelport"),
)


def make_row(entry: Entry, *, seconds: float, gib: float, log: Path) -> dict[str, Any]:
    """Runs a model through everything.

    Args:
        entry: The model.
        seconds: How long each step may take.
        gib: How much memory each may hold, GiB.
        log: Where the steps' own output goes.

    Returns:
        The row: plain dicts and lists.
    """

    def run(function: Any, *args: Any) -> Outcome:
        return run_apart(function, entry, *args, seconds=seconds, gib=gib, log=log)

    row: dict[str, Any] = {
        "name": entry.name,
        "date": datetime.date.today().isoformat(),
        "targets": {},
    }
    # One export for all; where one target fails, each is asked for alone.
    together = run(deploy_for, list(TARGETS))
    outcomes = {tuple(TARGETS): together}
    if _error(together):
        alone = run(deploy_for, ["onnxruntime"])
        outcomes = {("onnxruntime",): alone}
        for name in ("openvino", "tensorrt-rtx"):
            same = _error(alone) and _error(alone) == _error(together)
            outcomes[(name,)] = alone if same else run(deploy_for, [name])
    for names, outcome in outcomes.items():
        for name in names:
            row["targets"][name] = _target(name, outcome)
        if not _error(outcome) and "capture" not in row:
            facts = {key: value for key, value in outcome.value.items() if key != "verified"}
            row |= facts | {"seconds": outcome.seconds, "peak_mib": outcome.peak}
    row.setdefault("seconds", together.seconds)
    row.setdefault("peak_mib", together.peak)
    bare = run(export_bare)
    row["bare"] = {"ok": not _error(bare), "seconds": bare.seconds}
    if _error(bare):
        row["bare"]["error"] = _error(bare)
    row["empty"] = (bare.value or {}).get("empty", "")
    return row


def _error(outcome: Outcome) -> dict[str, str]:
    """The failure's class and message; empty where there is none."""
    if outcome.failure:
        return {"class": outcome.failure, "message": outcome.message}
    error: dict[str, str] = outcome.value.get("error", {})
    return error


def _target(name: str, outcome: Outcome) -> dict[str, Any]:
    error = _error(outcome)
    if error:
        return {"ok": False, "error": error}
    return {"ok": True, **outcome.value["verified"].get(name, {})}


def versions() -> dict[str, str]:
    """Versions of what the rows were made with."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}
