"""`make conformance PART=nodes`: the table of ONNX's node cases, and docs/engine-faults.md."""

from __future__ import annotations

import argparse

from tests.conformance.nodes.page import write_page
from tests.conformance.nodes.table import read_table, run_all, write_table


def main() -> None:
    """Runs the cases without a row for these sources; then writes the table and the page."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--only", default="", help="cases whose names contain this")
    parser.add_argument("--seconds", type=float, default=3000.0, help="when to stop; run it again")
    arguments = parser.parse_args()
    rows, left = run_all(arguments.only, arguments.seconds)
    worse = write_table(rows)
    write_page(read_table())
    if left:
        print(f"{left} cases are left: run the command again")
    for line in worse:
        print(f"worse: {line}")


main()
