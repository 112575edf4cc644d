"""Records all that others may rely on (`make public`), or judges the Python part of it alone."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.surface import python, record


def main() -> int:
    """Exits with 1 where something that was recorded is gone."""
    parser = argparse.ArgumentParser(prog="python -m tests.surface", description=__doc__)
    parser.add_argument("--python", action="store_true", help="read the sources, write nothing")
    parser.add_argument("--breaking", action="store_true", help="record even what takes away")
    arguments = parser.parse_args()
    old = record.stored()
    if arguments.python:
        lost = python.breakages(python.load_package(), record.stubs(old))
    else:
        with tempfile.TemporaryDirectory() as folder:
            new = record.declared() | record.printed(Path(folder))
        lost = record.losses(old, new)
    for line in lost:
        print(line, file=sys.stderr)
    if lost and not arguments.breaking:
        print(
            "Code, scripts or bundles that others wrote break by this: keep the old spelling "
            "beside the new one. `make public PUBLIC=--breaking` records it all the same.",
            file=sys.stderr,
        )
        return 1
    if not arguments.python:
        record.write(new)
        print(record.difference(old, new) or "nothing changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
