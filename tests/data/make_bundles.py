"""Writes one small bundle of every kind that this version of modelport writes: `make bundles`.

They go into ``bundles/VERSION/``, each with an ``.npz`` file of the same name: inputs, and what
PyTorch computes for them in eager mode. A bundle that is there is left as it is, since every later
version must read it; of what is new in the format a bundle is added. Libraries of operators are
linked without symbols, and for the platform that this runs on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import torch

import modelport
from modelport.bundle import writer
from tests.data.kinds import KINDS
from tests.data.stored import FOLDER, write_runs

FEW_CASES = 1_500
"""Bytes of reference cases in a bundle."""
NEUTRAL = Path("/tmp/modelport")


def without_symbols(folder: Path) -> None:
    """Sets a compiler that links libraries without symbols, which are a quarter of them."""
    compiler = folder / "g++"
    compiler.write_text(f'#!/bin/sh\nexec {shutil.which("g++")} -s "$@"\n')
    compiler.chmod(0o755)
    os.environ["CXX"] = str(compiler)


def write() -> None:
    """Writes the bundles that are not there."""
    folder = FOLDER / modelport.__version__
    folder.mkdir(parents=True, exist_ok=True)
    with mock.patch.object(writer, "CASES_BUDGET", FEW_CASES):
        for kind, write_kind in KINDS.items():
            path = folder / f"{kind}.port"
            if path.exists():
                continue
            write_runs(path.with_suffix(".npz"), write_kind(path))
            print(f"written: {path.name}")


def main() -> None:
    """Writes the bundles from folders that say nothing of this machine.

    A graph names the files that its nodes come from.
    """
    with tempfile.TemporaryDirectory() as name:
        without_symbols(Path(name))
        shutil.rmtree(NEUTRAL, ignore_errors=True)
        NEUTRAL.mkdir()
        root, packages = Path(__file__).parents[2], Path(torch.__file__).parents[1]
        for own, place in {"src": root, "tests": root, "site-packages": packages.parent}.items():
            (NEUTRAL / own).symlink_to(place / own)
        path = ":".join(str(NEUTRAL / own) for own in ("site-packages", "src", ""))
        code = f"from {__spec__.name} import write; write()"
        try:
            environment = {**os.environ, "PYTHONPATH": path}
            subprocess.run([sys.executable, "-P", "-c", code], env=environment, check=True)
        finally:
            shutil.rmtree(NEUTRAL)


if __name__ == "__main__":
    main()
