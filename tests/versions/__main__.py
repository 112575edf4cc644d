"""Makes an environment of each column under ``.venv-versions``, and runs the tests there."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".venv-versions"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
EXTRAS = "[export,examples,images,openvino,sign,test]"
STORED = "tests/bundle/test_stored_bundles.py"
TESTS = (
    "tests/deployment",
    STORED,
    *("tests/backends/onnxruntime", "tests/capture", "tests/graph", "tests/promises"),
)


@dataclass(frozen=True)
class Column:
    """An environment.

    Attributes:
        name: Its name.
        pins: The versions, in a file of this folder.
        python: The Python.
        runs: The arguments of pytest, run by run.
        install: What is installed besides pytest.
    """

    name: str
    pins: str
    python: str
    runs: tuple[tuple[str, ...], ...]
    install: str

    def run(self) -> bool:
        """Installs what is not installed yet and runs the tests; whether they passed."""
        folder = ENVIRONMENTS / self.name
        pins = Path(__file__).with_name(self.pins)
        stamp, asked = folder / "installed", [pins, ROOT / "pyproject.toml"]
        wanted = "\n".join(path.read_text(encoding="utf-8") for path in asked)
        if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            _call(self.python, "-m", "venv", folder)
            pip = (folder / "bin" / "python", "-m", "pip", "install", "--quiet")
            # As a variable it takes the place of constraints in the user's settings, too.
            _call(*pip, "--editable", self.install, "pytest", "pytest-xdist", PIP_CONSTRAINT=pins)
            stamp.write_text(wanted, encoding="utf-8")
        outcomes = [_passes(folder / "bin" / "python", arguments) for arguments in self.runs]
        return all(outcomes)


def columns() -> Iterator[Column]:
    """The columns that can be run here; says which Python is missing."""
    found = {version: path for version in PYTHONS if (path := _python(version))}
    for version in PYTHONS:
        if version not in found:
            print(f"there is no python{version} on PATH: its column is left out", flush=True)
    if not found:
        raise SystemExit(f"none of {', '.join(PYTHONS)} is on PATH: install one")
    # The corpus is run as a whole.
    full = (("-m", "not slow", *TESTS), ("tests/export",))
    first = next(iter(found.values()))
    yield Column("runtime", "runtime.txt", first, (_WITHOUT_TORCH,), f"{ROOT}")
    yield Column("oldest", "oldest.txt", first, full, f"{ROOT}{EXTRAS}")
    for version, python in found.items():
        yield Column(f"newest-{version}", "newest.txt", python, full, f"{ROOT}{EXTRAS}")


_WITHOUT_TORCH = ("--noconftest", STORED, "-k", "computes or adapters")


def _python(version: str) -> str:
    """The interpreter of a version; empty where there is none that runs."""
    path = shutil.which(f"python{version}")
    if path is None:
        return ""
    done = subprocess.run([path, "--version"], capture_output=True, check=False)
    return path if done.returncode == 0 else ""


def _passes(python: Path, arguments: Sequence[str]) -> bool:
    spread = ("-n", "auto", "--maxprocesses", "8", "--dist", "worksteal")
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *spread, *arguments]
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(list(map(str, command)), cwd=ROOT, env=environment, check=False)
    return done.returncode == 0


def _call(*command: object, **variables: object) -> None:
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    subprocess.run(list(map(str, command)), env=environment, check=True)


def main() -> int:
    """Exits with 1 where a test fails in a column."""
    parser = argparse.ArgumentParser(prog="python -m tests.versions", description=__doc__)
    parser.add_argument("columns", nargs="*", help="names of columns; all of them by default")
    chosen = parser.parse_args().columns
    every = {column.name: column for column in columns()}
    if unknown := set(chosen) - every.keys():
        parser.error(f"no such column: {', '.join(unknown)}; there are: {', '.join(every)}")
    results = {}
    for name in chosen or every:
        print(f"== {name}", flush=True)
        results[name] = every[name].run()
    for name, passed in results.items():
        print(f"{name}: {'passed' if passed else 'FAILED'}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
