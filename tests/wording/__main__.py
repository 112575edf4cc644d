"""Lists names and sentences that break the rules; fails if there are more than recorded."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from tests.wording import record, rules, texts

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "examples", "zoo", "benchmarks", "tests")
NOT_READ = ("tests/data/", "tests/wording/")
"""Stored bundles, which nobody changes, and the rules themselves."""


def files(root: Path = ROOT) -> list[str]:
    """Sources that are read, relative to the repository."""
    suffixes = {".py", *texts.C_SUFFIXES}
    found = (
        path.relative_to(root).as_posix()
        for folder in FOLDERS
        for path in (root / folder).rglob("*")
        if path.suffix in suffixes
    )
    return [
        *sorted(path for path in found if not path.startswith(NOT_READ)),
        "Makefile",
    ]


def breaches(root: Path = ROOT, *, all_of_them: bool = False) -> list[rules.Breach]:
    """Breaches of all files; those that have a reason only with ``all_of_them``."""
    found: list[rules.Breach] = []
    for path in files(root):
        found += rules.of_name(path, record.published((root / path).with_name("__init__.py")))
        for text in texts.read(root / path):
            found += rules.of_text(path, text)
    allowed = [] if all_of_them else record.exceptions()
    return [breach for breach in found if not any(item.covers(breach) for item in allowed)]


def main() -> int:
    """Exits with 1 where a folder breaks a rule more often than recorded."""
    parser = argparse.ArgumentParser(prog="python -m tests.wording", description=__doc__)
    parser.add_argument("folder", nargs="*", help="list the breaches in these folders")
    parser.add_argument("--rule", help="list those of one rule")
    parser.add_argument("--record", action="store_true", help="record the counts, risen ones too")
    arguments = parser.parse_args()
    found = breaches()
    if arguments.folder or arguments.rule:
        for breach in sorted(found):
            if breach.path.startswith(tuple(arguments.folder) or "") and (
                arguments.rule in (None, breach.rule)
            ):
                print(f"{breach.path}:{breach.line}: {breach.rule}: {breach.words}")
        return 0
    counts = record.counted(found)
    risen = record.risen(record.stored(), counts)
    for line in risen:
        print(line, file=sys.stderr)
    if risen and not arguments.record:
        print(
            "List them with `python -m tests.wording FOLDER` and say it in plain words; an "
            "exception needs a reason in tests/wording/exceptions.txt.",
            file=sys.stderr,
        )
        return 1
    if arguments.record:
        record.write(counts)
    totals: Counter[str] = Counter()
    for rule, folders in counts.items():
        totals[rule] = sum(folders.values())
    for rule, count in sorted(totals.items()):
        print(f"{count:6d}  {rule}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
