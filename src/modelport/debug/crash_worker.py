"""A process for one run that may crash.

``python -m modelport.debug.crash_worker MODEL.onnx CASE.npz TARGET`` builds an engine and runs it
once: exit code 0 good, 1 the backend refused the model, 2 it failed while running. With
``--record FOLDER BUDGET`` in place of the target, it keeps every tensor of the model.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from modelport.backends import REFERENCE_OPTIONS, REFERENCE_RUNTIME
from modelport.debug.partial_execution import PartialExecutor, Store, walk
from modelport.debug.runnable import build_engine
from modelport.errors import ModelportError
from modelport.model import Model
from modelport.numerics import read_case
from modelport.target import Target


def run_once(model: Path, case: Path, target: str) -> None:
    """Builds an engine and runs it."""
    inputs = read_case(case)[0].inputs
    with tempfile.TemporaryDirectory() as folder:
        build_engine(Model.load(model), Target.parse(target), Path(folder)).run_shared(inputs)


def record(model: Path, case: Path, folder: Path, budget: int) -> None:
    """Records every tensor of a model, piece by piece."""
    store = Store(folder)
    executor = PartialExecutor(Model.load(model).ir, REFERENCE_RUNTIME, REFERENCE_OPTIONS)
    for made, _ in walk(executor, read_case(case)[0].inputs, budget << 20):
        for name, array in made.items():
            store.put(name, array)


def main(arguments: list[str]) -> int:
    """Runs the task of the arguments; see the module."""
    model, case = map(Path, arguments[:2])
    try:
        if arguments[2] == "--record":
            record(model, case, Path(arguments[3]), int(arguments[4]))
        else:
            run_once(model, case, arguments[2])
    except ModelportError as error:
        print(error.why or error.what, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
