"""Runs the benchmarks and prints a table each; exits with 1 where a target is missed."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
RESULTS = HERE.parent / "build" / "benchmarks.json"


def main(names: list[str]) -> int:
    """Runs the benchmarks named, or all of them."""
    names = names or sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    results = {}
    for name in names:
        module = importlib.import_module(f"benchmarks.bench_{name}")
        rows = module.run()
        results[name] = [asdict(row) for row in rows]
        table = Table("what", "measured", "target", "", title=(module.__doc__ or name).strip())
        for row in rows:
            table.add_row(row.what, row.figure, row.target, "ok" if row.ok else "MISSED")
        Console(width=120).print(table)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    return 0 if all(row["ok"] for rows in results.values() for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
