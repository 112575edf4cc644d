"""What it costs to begin: fresh processes, in turn"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import modelport
from benchmarks.bench_deploy import RECIPE
from benchmarks.interleave import Row, interleave

ROUNDS = 9


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "srcnn.port"
        modelport.deploy(str(RECIPE), bundle)
        programs = {
            "python": "pass",
            "import modelport": "import modelport",
            "import onnxruntime": "import onnxruntime",
            "bare InferenceSession": "import onnxruntime; onnxruntime.InferenceSession("
            f"{str(bundle / 'graphs' / 'model.onnx')!r}, providers=['CPUExecutionProvider'])",
            "modelport.load": f"import modelport; modelport.load({str(bundle)!r})",
        }
        timings = interleave(
            {name: _process(program) for name, program in programs.items()}, rounds=ROUNDS
        )
    start = timings["python"].median
    rows = [
        Row(f"{name}, median", f"{timing.median * 1e3:.0f} ms") for name, timing in timings.items()
    ]
    cost = timings["import modelport"].median - start
    rows.append(Row("import modelport", f"{cost * 1e3:.0f} ms", "< 300 ms", cost < 0.3))
    more = timings["modelport.load"].median - timings["bare InferenceSession"].median
    rows.append(Row("modelport.load over a bare session", f"{more * 1e3:+.0f} ms"))
    return rows


def _process(program: str) -> object:
    return lambda: subprocess.run([sys.executable, "-c", program], check=True)
