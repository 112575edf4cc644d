"""Peak throughput of this machine, on all of its cores."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from modelport.tuning.candidates import cores

SOURCE = Path(__file__).parent / "native" / "peak.c"
_ROUNDS, _TRIES = 4_000_000, 9


def measure_peaks() -> dict[str, float]:
    """Operations a second (a product and a sum are two), by precision; the best of some tries."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peak.so"
        command = ["cc", "-O2", "-march=native", "-shared", "-fPIC", str(SOURCE), "-o", str(path)]
        subprocess.run(command, check=True)
        library = ctypes.CDLL(str(path))
        return {name: _peak(library, name) for name in ("fp32", "int8")}


def _peak(library: ctypes.CDLL, name: str) -> float:
    function = getattr(library, f"peak_{name}")
    function.restype = ctypes.c_double
    count = cores()

    def work(_: int) -> float:
        out = ctypes.c_float()
        return 2 * float(function(ctypes.c_long(_ROUNDS), ctypes.byref(out)))

    best = 0.0
    with ThreadPoolExecutor(count) as pool:
        for _ in range(_TRIES):
            begin = time.perf_counter()
            done = sum(pool.map(work, range(count)))
            best = max(best, done / (time.perf_counter() - begin))
    return best
