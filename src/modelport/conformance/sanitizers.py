"""Kernels under AddressSanitizer and UBSan, in a process of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from modelport.child_process import Answers, Limits, MessageProcess, run
from modelport.conformance.prover import prove_kernels
from modelport.conformance.results import Check, Conformance
from modelport.errors import OperatorError
from modelport.ops.build import toolchain
from modelport.ops.library_store import SANITIZE
from modelport.ops.scaffold import load_folder

_LIBRARIES = ("libasan.so", "libubsan.so")
_SECONDS = 3600.0


def prove_kernels_sanitized(
    folder: str | os.PathLike[str], *, cases: int = 20, seed: int = 0
) -> list[Conformance]:
    """Runs the CPU kernels of a folder's operators on drawn cases, checked for wrong memory use.

    Args:
        folder: The folder, as `load_folder` takes it.
        cases: How many cases to draw for each operator.
        seed: Of the draws.

    Returns:
        What was found; a crash is a failed check with the sanitizer's report.

    Raises:
        OperatorError: The compiler has no sanitizers.
    """
    environment = {
        **os.environ,
        SANITIZE: "1",
        "LD_PRELOAD": ":".join(map(_runtime, _LIBRARIES)),
        # Python and PyTorch keep what they allocate until the process ends.
        "ASAN_OPTIONS": "detect_leaks=0",
    }
    words = (os.fspath(folder), cases, seed)
    with MessageProcess(__name__, *words, env=environment) as process:
        answer = process.receive(_SECONDS)
        if answer is not None:
            return [
                Conformance(item["operator"], tuple(Check(**check) for check in item["checks"]))
                for item in answer["found"]
            ]
        end = process.death()
    report = _report(f"{end.output}\n{end.exceeded}")
    return [Conformance(str(folder), (Check("sanitizer", "", False, report),))]


def _runtime(library: str) -> str:
    command = [toolchain.cxx(), f"-print-file-name={library}"]
    found = run(command, Limits(_SECONDS)).output.strip()
    if not Path(found).is_absolute():
        raise OperatorError(
            f"{toolchain.cxx()} has no {library}",
            fix="install g++ with its sanitizers (Debian and Ubuntu: libasan and libubsan)",
        )
    return found


def _report(text: str) -> str:
    """The report of a sanitizer, or of Python, from its first line on."""
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if "runtime error:" in line or "AddressSanitizer" in line:
            return "\n".join(lines[index : index + 25])
    return "\n".join(lines[-15:])


def _main(descriptor: str, folder: str, cases: str, seed: str) -> None:
    found = [
        prove_kernels(operator, cases=int(cases), seed=int(seed)).to_json()
        for operator in load_folder(folder)
        if "cpu" in operator.kernels
    ]
    Answers(descriptor).send({"found": found})


if __name__ == "__main__":
    _main(*sys.argv[1:])
