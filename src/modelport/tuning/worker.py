"""Worker process of measurements: a crash in it is a result, and does not end the search.

See `modelport.child_process.MessageProcess`, and `modelport.tuning.worker_client`, its client.
"""

from __future__ import annotations

import functools
import gc
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport.arrays import Array
from modelport.backends import Engine, get_backend
from modelport.bundle import load
from modelport.child_process import Answers, Message, requests
from modelport.deployment.build import Build
from modelport.deployment.plan import Plan
from modelport.errors import ModelportError, UsageError
from modelport.model import Model
from modelport.numerics import ReferenceCase, Verification, far_cases, tolerance_for, verify_cases
from modelport.precision import form_for
from modelport.target import Target
from modelport.tuning.int8_candidates import is_held_out, quantize_workspace
from modelport.tuning.workspace import TuningWorkspace, read_inputs

Reply = Message


class Worker:
    """One engine, opened, compared and timed on demand."""

    _open: Callable[[], Engine]
    _engine: Engine | None = None
    _inputs: Mapping[str, Array]
    _target: Target

    def compile(
        self,
        folder: str,
        target: str,
        options: Mapping[str, Any],
        rewrites: list[str],
        case: str,
    ) -> Reply:
        """Compiles the model of a workspace for a target, and opens it."""
        workspace = TuningWorkspace.reopen(Path(folder))
        self._target = Target.parse(target)
        begin = time.perf_counter()
        form = workspace.quantized(form_for(self._target))
        in_8_bits = self._target.precision == "int8" and form.exists()
        quantized = Model.load(form) if in_8_bits else None
        plan = Plan(self._target, options, tuple(rewrites), model=quantized)
        self._workspace = workspace
        self._open = functools.partial(self._open_built, workspace.build(plan))
        return self._opened(Path(case), begin)

    def _open_built(self, build: Build) -> Engine:
        if why_not := get_backend(build.target).why_not_run(build.target):
            raise UsageError(f"{build.target} cannot run here", why=why_not)
        return self._workspace.open(build, substitute=False)

    def quantize(self, folder: str, form: str, tolerance: float) -> Reply:
        """Writes the model of a workspace in int8."""
        return {"choice": quantize_workspace(TuningWorkspace.reopen(Path(folder)), form, tolerance)}

    def load(
        self,
        path: str,
        target: str | None,
        options: Mapping[str, Any],
        case: str,
        trust: bool = False,
        key: str | None = None,
    ) -> Reply:
        """Opens a bundle or an ONNX file."""
        begin = time.perf_counter()
        self._open = functools.partial(load, path, target, trust=trust, key=key, **options)
        return self._opened(Path(case), begin)

    def _opened(self, case: Path, begin: float) -> Reply:
        engine = self._reopen()
        opened = time.perf_counter() - begin
        self._inputs = read_inputs(case, engine.signature)
        self._run()
        first = time.perf_counter()
        self._run()
        return {"opened": opened, "call": time.perf_counter() - first, "memory": _peak_memory()}

    def _reopen(self) -> Engine:
        self._engine = None
        gc.collect()
        _forget_peak_memory()
        self._engine = self._open()
        return self._engine

    def _run(self) -> dict[str, Any]:
        assert self._engine is not None
        return self._engine.run_shared(self._inputs)

    def verify(self, tolerance: float | None, only_first: bool) -> Reply:
        """Compares with the reference on the workspace's cases.

        An engine is opened anew afterwards: other sizes may have changed how it runs.
        """
        assert self._engine is not None
        precision = self._target.precision
        references = self._workspace.references(self._engine.signature)
        far = far_cases([item.case for item in references if not is_held_out(item)], precision)
        judged = [item for item in references if item.case.name not in far]
        others: list[ReferenceCase] = []
        if precision == "int8" and self._workspace.data.exists():
            # What was drawn is less like the data: there, the usual bound of 8 bits is enough.
            others = [item for item in judged if not is_held_out(item)]
            judged = [item for item in judged if is_held_out(item)]
        if only_first:
            judged, others = judged[:1], []
        result = self._compare(judged, tolerance)
        beside = self._compare(others, None)
        if not only_first:
            self._reopen()
            self._run()
        failed = [case for case in (*result.cases, *beside.cases) if not case.ok]
        outputs = [output for case in result.cases for output in case.outputs]
        return {
            "ok": not failed,
            "cases": len(result.cases) + len(beside.cases),
            "error": max((output.rms_rel for output in outputs), default=0.0),
            "failure": str(failed[0]) if failed else "",
        }

    def _compare(
        self, references: Sequence[ReferenceCase], tolerance: float | None
    ) -> Verification:
        assert self._engine is not None
        bounds = functools.partial(
            tolerance_for, precision=self._target.precision, at_most=tolerance
        )
        return verify_cases(references, self._engine.run_shared, tolerance=bounds)

    def measure(self, calls: int, at_once: int, warm_up: int) -> Reply:
        """Seconds of calls one after the other, or of one call among several at a time."""
        for _ in range(warm_up):
            self._run()
        if at_once > 1:
            return {"seconds": [self._together(calls, at_once)]}
        seconds = []
        for _ in range(calls):
            begin = time.perf_counter()
            self._run()
            seconds.append(time.perf_counter() - begin)
        return {"seconds": seconds}

    def _together(self, calls: int, at_once: int) -> float:
        """Seconds a call where several threads call at a time: the inverse of the throughput."""
        errors: list[ModelportError] = []

        def work() -> None:
            try:
                for _ in range(calls):
                    self._run()
            except ModelportError as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(at_once)]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return (time.perf_counter() - begin) / (calls * at_once)


def _forget_peak_memory() -> None:
    # Linux: 5 resets the peak of the resident set.
    Path("/proc/self/clear_refs").write_text("5")


def _peak_memory() -> int:
    """Peak memory of the process in bytes since `reset_peak`."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) << 10


def main(arguments: list[str]) -> int:
    """Answers requests until there are no more."""
    worker = Worker()
    answers = Answers(arguments[0])
    for request in requests():
        try:
            reply = getattr(worker, request.pop("do"))(**request)
        except ModelportError as error:
            reply = {"failed": " ".join(str(error).split())}
        answers.send(reply)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
