"""Cost of starting: whole processes, interleaved with bare ones; CPU seconds"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.interleave import Row

ROUNDS = 5
MODEL = "torch.nn.Linear(4, 3)"
RECIPE = f"""
import torch
import modelport

def recipe():
    return modelport.Recipe(model={MODEL}, args=(torch.zeros(2, 4),))
"""
BARE = f"""
import torch
torch.onnx.export({MODEL}.eval(), (torch.zeros(2, 4),), "bare.onnx", dynamo=True, verbose=False)
"""
SESSION = """
import onnxruntime
onnxruntime.InferenceSession("linear.port/graphs/model.onnx", providers=["CPUExecutionProvider"])
"""
LOAD = "import modelport; modelport.load('linear.port')"
SECOND = """
import time
import torch
import modelport
from modelport.recipe import load_recipe

recipe = load_recipe("recipe.py")
for path in ("first.port", "second.port"):
    begin = time.process_time()
    modelport.deploy(recipe, path)
print(time.process_time() - begin)
"""
SECOND_BARE = f"""
import time
import torch

for path in ("first.onnx", "second.onnx"):
    begin = time.process_time()
    torch.onnx.export({MODEL}.eval(), (torch.zeros(2, 4),), path, dynamo=True, verbose=False)
print(time.process_time() - begin)
"""


@dataclass(frozen=True)
class Spent:
    """Time and memory of a process.

    Attributes:
        cpu: Seconds of processors.
        wall: Seconds that passed.
        printed: The last line of its output.
    """

    cpu: float
    wall: float
    printed: str


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        work_folder = Path(folder)
        (work_folder / "recipe.py").write_text(RECIPE)
        (work_folder / "zeros.py").write_text(
            "import numpy; numpy.save('x.npy', numpy.zeros((2, 4), 'f'))"
        )
        command = [sys.executable, "-m", "modelport"]
        deploy = [*command, "deploy", "recipe.py", "-o", "linear.port", "--target", "onnxruntime"]
        for setup in ([sys.executable, "zeros.py"], deploy):
            _spent(setup, work_folder)
        taken = _interleaved(
            {
                "python": [sys.executable, "-c", "pass"],
                "import modelport": [sys.executable, "-c", "import modelport"],
                "import onnxruntime": [sys.executable, "-c", "import onnxruntime"],
                "bare InferenceSession": [sys.executable, "-c", SESSION],
                "modelport.load": [sys.executable, "-c", LOAD],
                "--help": [*command, "--help"],
                "run": [*command, "run", "linear.port", "--input", "input=@x.npy"],
                "bare export": [sys.executable, "-c", BARE],
                "deploy": deploy,
                "second bare export": [sys.executable, "-c", SECOND_BARE],
                "second deploy": [sys.executable, "-c", SECOND],
            },
            work_folder,
        )
    return _rows(taken)


def _rows(taken: Mapping[str, Sequence[Spent]]) -> list[Row]:
    processes = {name: spent for name, spent in taken.items() if not name.startswith("second")}
    rows = [
        Row(
            f"{name}, median",
            f"{statistics.median(item.cpu for item in spent):.2f} s of CPU, "
            f"{statistics.median(item.wall for item in spent):.2f} s",
        )
        for name, spent in processes.items()
    ]
    for name, base, bound in (
        ("deploy", "bare export", 3.0),
        ("run", "import onnxruntime", 0.1),
        ("modelport.load", "bare InferenceSession", 0.1),
        ("--help", "python", 0.1),
        ("import modelport", "python", 0.05),
    ):
        more = _difference(taken[name], taken[base])
        what = f"{name} over {base}"
        rows.append(Row(what, f"{more:+.3f} s of CPU", f"< {bound} s", more < bound))
    second = [float(item.printed) for item in taken["second deploy"]]
    bare = [float(item.printed) for item in taken["second bare export"]]
    ratio = statistics.median(one / other for one, other in zip(second, bare, strict=True))
    figure = f"{statistics.median(second):.2f} s of CPU, {ratio:.2f}x"
    rows.append(Row("a second deploy over a second bare export", figure, "< 1x", ratio < 1))
    return rows


def _difference(spent: Sequence[Spent], base: Sequence[Spent]) -> float:
    """The median of the differences of runs that followed each other."""
    return statistics.median(one.cpu - other.cpu for one, other in zip(spent, base, strict=True))


def _interleaved(commands: Mapping[str, Sequence[str]], folder: Path) -> dict[str, list[Spent]]:
    taken: dict[str, list[Spent]] = {name: [] for name in commands}
    # The first round reads the files into memory.
    for counts in (False, *[True] * ROUNDS):
        for name, command in commands.items():
            spent = _spent(command, folder)
            if counts:
                taken[name].append(spent)
    return taken


def _spent(command: Sequence[str], folder: Path) -> Spent:
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    # As an installed package, with its compiled modules.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    wall = time.perf_counter() - begin
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(cpu, wall, (done.stdout.splitlines() or [""])[-1])
