"""Passes of other packages: entry points of the group ``modelport.passes``.

An entry point has the name of a pass and names its class, a `modelport.passes.Rewrite`:

    [project.entry-points."modelport.passes"]
    drop-debug = "my_package.passes:DropDebug"

`Rewrite.stages` says where it runs:

- ``simplify``: in every round of `modelport.simplify`, after modelport's own passes;
- ``tune``: `modelport.tune` tries the model with it and without;
- the name of a backend, or ``*`` for all: when a graph is prepared for it, before modelport's own
  rewrites, so that these see what it writes.
"""

from __future__ import annotations

import functools
import inspect

from modelport.entry_points import installed, load_entry, package_of
from modelport.errors import UsageError
from modelport.findings import Finding, Severity
from modelport.model import Model
from modelport.passes.base import Rewrite, apply_passes

ENTRY_POINTS = "modelport.passes"

SIMPLIFY = "simplify"
TUNE = "tune"
EVERY_BACKEND = "*"


def passes_of(*stages: str) -> dict[str, type[Rewrite]]:
    """The passes that run at one of some stages, by name, in the order of their names.

    Raises:
        UsageError: A package that brings a pass is broken.
    """
    return {
        name: kind
        for name, kind in sorted(_passes().items())
        if not set(stages).isdisjoint(kind.stages)
    }


def prepared_by_others(model: Model, backend: str) -> list[Finding]:
    """Runs the passes that prepare a graph for a backend.

    Args:
        model: The model; changed in place.
        backend: The name of the backend.

    Returns:
        A note for each pass that changed the model.

    Raises:
        PassError: A pass failed, or broke its contract.
    """
    findings = []
    for name, kind in passes_of(backend, EVERY_BACKEND).items():
        item = kind.of(model)
        if apply_passes([item], model.ir):
            note = Finding("registered-pass", Severity.NOTE, f"{name} rewrote it for {backend}")
            findings += item.findings(backend) or [note]
    return findings


@functools.cache
def _passes() -> dict[str, type[Rewrite]]:
    found = {}
    for name, entry in installed(ENTRY_POINTS).items():
        kind = load_entry(entry, "pass")
        if not (inspect.isclass(kind) and issubclass(kind, Rewrite)):
            raise UsageError(
                f"the pass {name!r} of {package_of(entry)} is no pass",
                where=entry.value,
                why=f"it is {kind!r}",
                fix="name a class that derives from modelport.passes.Rewrite",
            )
        if not isinstance(kind.stages, tuple) or not kind.stages:
            raise UsageError(
                f"the pass {name!r} of {package_of(entry)} says nowhere that it runs",
                where=entry.value,
                fix=f'stages = ("{SIMPLIFY}",), "{TUNE}", or the name of a backend',
            )
        found[name] = kind
    return found
