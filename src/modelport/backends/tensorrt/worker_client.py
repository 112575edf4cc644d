"""The parent's side of a build; see `modelport.backends.tensorrt.worker`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import IO, Any

from modelport.errors import BuildError
from modelport.progress import Progress, Silent

_SHOWN = 600
"""Characters of what the process printed before it ended that an error shows."""


def run_build(job: Mapping[str, Any], progress: Progress | None = None) -> dict[str, Any]:
    """Builds an engine in a process of its own.

    Args:
        job: What to build, as the worker reads it.
        progress: Told of TensorRT's phases.

    Returns:
        The worker's last message: ``built`` or ``refused``.

    Raises:
        BuildError: TensorRT ended the process.
    """
    command = [sys.executable, "-P", "-m", "modelport.backends.tensorrt.worker"]
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=printed, text=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with process.stdin as stdin:
                json.dump(job, stdin)
            last, phase = _follow(process.stdout, progress or Silent())
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        if "built" in last or "refused" in last:
            return last
        printed.seek(0)
        text = " ".join(printed.read().decode(errors="replace").split())
    raise BuildError(
        f"TensorRT ended its process while it was building ({phase or 'before the first phase'})",
        why=f"exit code {code}: {text[-_SHOWN:]}",
        fix="`modelport graph lint MODEL --target tensorrt` names what it does not take",
    )


def _follow(messages: IO[str], progress: Progress) -> tuple[dict[str, Any], str]:
    """Passes phases on; gives the last message and the phase that was not finished."""
    begun: dict[str, float] = {}
    message: dict[str, Any] = {}
    for line in messages:
        message = json.loads(line)
        if "start" in message:
            begun[message["start"]] = time.perf_counter()
            progress.start(message["start"])
        elif "finish" in message:
            phase = message["finish"]
            progress.finish(phase, time.perf_counter() - begun.pop(phase, time.perf_counter()))
    for phase in reversed(begun):
        progress.fail(phase)
    return message, next(reversed(begun), "")
