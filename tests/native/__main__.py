"""Judges the C and C++ of the repository: its format, and what compilers warn of."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.native import warnings

ROOT = Path(__file__).parents[2]
SUFFIXES = {".c", ".cpp", ".cu", ".h", ".hpp"}
FOLDERS = ("benchmarks", "examples", "src", "tests")
STORED = ROOT / "tests" / "data" / "bundles"


def sources() -> list[Path]:
    """All files of C, C++ and CUDA but those of stored bundles, which nobody changes."""
    found = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    return sorted(
        path for path in found if path.suffix in SUFFIXES and not path.is_relative_to(STORED)
    )


def unformatted() -> int:
    """The exit code of clang-format, which says what is to be changed."""
    beside = Path(sys.executable).with_name("clang-format")
    program = str(beside) if beside.is_file() else shutil.which("clang-format")
    if program is None:
        print("there is no clang-format: pip install clang-format", file=sys.stderr)
        return 2
    command = [program, "--dry-run", "--Werror", *map(str, sources())]
    return subprocess.run(command, check=False, cwd=ROOT).returncode


def main() -> int:
    """Exits with 1 where a file is formatted otherwise, or a compiler warns."""
    code = unformatted()
    if shutil.which(warnings.COMPILER) is None:
        print(f"warnings of C++ are left out: there is no {warnings.COMPILER}")
        return code
    with tempfile.TemporaryDirectory() as folder:
        units, left_out = warnings.units(Path(folder))
        for line in left_out:
            print(f"warnings of {line}")
        said = warnings.warned(units)
    print(f"{len(units)} files of C++ compiled, {len(said)} with warnings")
    for text in said:
        print(text, file=sys.stderr)
    return 1 if said else code


if __name__ == "__main__":
    sys.exit(main())
