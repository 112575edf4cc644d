"""``python -m zoo``: runs the zoo, or a shard of it, and writes its page."""

from __future__ import annotations

import argparse
import fnmatch
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from zoo.entry import Entry
from zoo.page import write_page
from zoo.rows import Rows, is_good

WORK = Path("build/zoo")


def main() -> int:
    """Runs what was asked for.

    Returns:
        0; a model that fails is a row, not an error of the zoo.
    """
    arguments = _parser().parse_args()
    rows = Rows(WORK)
    from zoo.models import all_entries
    from zoo.row import versions

    known = all_entries()
    names = {entry.name for entry in known}
    entries = [] if arguments.page else _chosen(known, arguments, rows)
    if arguments.list:
        print("\n".join(entry.name for entry in entries))
        return 0
    if entries:
        _run(entries, rows, arguments)
    newest = {name: row for name, row in rows.newest().items() if name in names}
    print(write_page(newest, versions(), len(known)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m zoo", description=__doc__)
    parser.add_argument("--shard", default="1/1", help="N/M: every M-th model, from the N-th on")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="such as 'timm/*'")
    parser.add_argument("--again", choices=("none", "failed", "all"), default="none", help="redo")
    parser.add_argument("--seconds", type=float, default=120.0, help="of processor time a step")
    parser.add_argument("--gib", type=float, default=6.0, help="limit of a step's memory")
    parser.add_argument("--list", action="store_true", help="only say what would be run")
    parser.add_argument("--page", action="store_true", help="only write the page")
    return parser


def _chosen(entries: Sequence[Entry], arguments: argparse.Namespace, rows: Rows) -> list[Entry]:
    """The models that are to be run: of this shard, and without a row that will do."""
    shard, _, shards = arguments.shard.partition("/")
    mine = entries[int(shard) - 1 :: int(shards)]
    done = rows.newest()

    def is_selected(entry: Entry) -> bool:
        row = done.get(entry.name)
        if row is None or arguments.again == "all":
            return True
        return arguments.again == "failed" and not is_good(row)

    patterns = arguments.only.split(",")
    return [
        entry
        for entry in mine
        if any(fnmatch.fnmatch(entry.name, pattern) for pattern in patterns) and is_selected(entry)
    ]


def _run(entries: Sequence[Entry], rows: Rows, arguments: argparse.Namespace) -> None:
    from zoo.row import make_row
    from zoo.warm import warm_up

    warnings.simplefilter("ignore")
    warm_up()
    for index, entry in enumerate(entries, 1):
        log = rows.log_of(entry.name)
        row = make_row(entry, seconds=arguments.seconds, gib=arguments.gib, log=log)
        rows.append(row)
        marks = " ".join(
            name if target["ok"] else f"{name}:{target['error']['class']}"
            for name, target in row["targets"].items()
        )
        bare = "bare" if row["bare"]["ok"] else f"bare:{row['bare']['error']['class']}"
        note = f" EMPTY({row['empty']})" if row["empty"] else ""
        print(
            f"[{index}/{len(entries)}] {entry.name}: {marks} {bare}{note} {row['seconds']:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
