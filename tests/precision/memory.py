"""Run as a child: calibrates or runs a model once, and prints the peak of its memory in MB.

``python -m tests.precision.memory MODEL run|calibrate COUNT``
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import modelport
from modelport.backends import get_backend
from modelport.backends.base import Artifact


def cases(count: int) -> Iterator[dict[str, np.ndarray]]:
    """Images of 224 by 224, one after the other."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield {"image": rng.standard_normal((1, 3, 224, 224), np.float32)}


def main(model: str, what: str, count: int) -> None:
    """Does what is asked for."""
    if what == "run":
        path, target = Path(model), modelport.Target("onnxruntime")
        engine = get_backend(target).load(path.parent, Artifact(path.name), target)
        for case in cases(count):
            engine.run(case)
    else:
        modelport.calibrate(modelport.Model.load(model), lambda: cases(count))
    # Not ru_maxrss: that of a child begins with its parent's.
    status = Path("/proc/self/status").read_text()
    print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
