"""The table of node cases: runs that add up, in processes that may die."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import version
from pathlib import Path

import modelport
from tests.conformance.nodes.cases import BACKENDS, WAYS, digest, node_cases, outcome

ROOT = Path(__file__).parents[3]
TABLE = ROOT / "tests" / "data" / "conformance" / "nodes.json"
PACKAGES = ("onnx", "onnxruntime", "openvino")

Row = dict[str, str]
"""Outcomes by ``BACKEND WAY``."""
Rows = dict[str, Row]

_GOOD = ("same", "random", "no arrays")


def is_worse(before: str, now: str) -> bool:
    """Whether an outcome fell: same, then refused, then differs, then the death of the process."""
    return _rank(now) > _rank(before)


def _rank(outcome: str) -> int:
    if outcome in _GOOD:
        return 0
    return {"refused": 1, "differs": 2}.get(outcome.partition(":")[0], 3)


def versions() -> dict[str, str]:
    """Versions of what the table depends on."""
    return {name: version(name) for name in PACKAGES}


def read_table() -> dict[str, object]:
    """The committed table."""
    return dict(json.loads(TABLE.read_text())) if TABLE.exists() else {"versions": {}, "rows": {}}


def write_table(rows: Rows) -> list[str]:
    """Writes rows into the table; those of other cases stay, where the versions are the same.

    Returns:
        What is worse than before.
    """
    before = read_table()["rows"]
    assert isinstance(before, dict)
    worse = [
        f"{name}, {column}: {before[name][column]} -> {found}"
        for name, row in rows.items()
        for column, found in row.items()
        if column in before.get(name, {}) and is_worse(before[name][column], found)
    ]
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    if read_table()["versions"] == versions():
        rows = {**before, **rows}
    data = {"versions": versions(), "rows": dict(sorted(rows.items()))}
    TABLE.write_text(json.dumps(data, indent=1) + "\n")
    return worse


def run_case(name: str) -> Row:
    """All outcomes of a case."""
    case = node_cases()[name]
    return {f"{backend} {way}": outcome(case, backend, way) for backend in BACKENDS for way in WAYS}


def run_all(only: str = "", seconds: float = 3000.0) -> tuple[Rows, int]:
    """Runs the cases that have no row for this state of the sources.

    Args:
        only: Part of the names of the cases to run.
        seconds: When to stop.

    Returns:
        The rows, and how many cases are left.
    """
    keys = {name: digest(case) for name, case in node_cases().items() if only in name}
    cache = ROOT / "build" / "conformance" / f"nodes-{_sources()}.jsonl"
    cache.parent.mkdir(parents=True, exist_ok=True)
    lines = cache.read_text().splitlines() if cache.exists() else []
    known = dict(map(json.loads, lines))
    end = time.monotonic() + seconds
    with cache.open("a") as file:
        waiting = [name for name, key in keys.items() if key not in known]
        while waiting and time.monotonic() < end:
            for name, row in _in_process(waiting, end):
                known[keys[name]] = row
                file.write(json.dumps([keys[name], row]) + "\n")
                file.flush()
                print(name, *(f"{column}: {found}" for column, found in row.items()), sep="\n    ")
            waiting = [name for name in waiting if keys[name] not in known]
    return {name: known[key] for name, key in keys.items() if key in known}, len(waiting)


def _in_process(names: list[str], end: float) -> Iterator[tuple[str, Row]]:
    """Rows of cases, until the process that computes them dies or the time is over."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        for name in names:
            if time.monotonic() > end:
                return
            try:
                yield name, pool.submit(run_case, name).result()
            except BrokenProcessPool:
                yield name, {f"{backend} {way}": "dies" for backend in BACKENDS for way in WAYS}
                return


def _sources() -> str:
    """A hash of the sources and versions that outcomes depend on."""
    data = hashlib.sha256(repr(versions()).encode())
    for path in sorted(Path(modelport.__file__).parent.rglob("*.py")):
        data.update(path.read_bytes())
    return data.hexdigest()[:16]
