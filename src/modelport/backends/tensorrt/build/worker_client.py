"""The parent's side of a build; see `modelport.backends.tensorrt.build.worker`."""

from __future__ import annotations

import time

from modelport.child_process import Message, MessageProcess
from modelport.errors import BuildError
from modelport.progress import Progress, Silent

_SHOWN = 600
"""Characters of what the process printed before it ended that an error shows."""
_SECONDS = 6 * 3600.0
"""Time for a build; the largest that are known take an hour."""


def run_build(job: Message, progress: Progress | None = None) -> Message:
    """Builds an engine in a process of its own.

    Args:
        job: What to build, as the worker reads it.
        progress: Receives TensorRT's phases.

    Returns:
        The worker's last message: ``built`` or ``refused``.

    Raises:
        BuildError: TensorRT ended the process, or the process reached a limit.
    """
    with MessageProcess("modelport.backends.tensorrt.build.worker") as process:
        process.send(job)
        last, phase = _follow(process, progress or Silent())
        if "built" in last or "refused" in last:
            return last
        end = process.death()
    raise BuildError(
        f"TensorRT ended its process while it was building ({phase or 'before the first phase'})",
        why=f"{end.how}: {' '.join(end.output.split())[-_SHOWN:]}",
        fix="`modelport graph lint MODEL --target tensorrt` names what it does not take",
    )


def _follow(process: MessageProcess, progress: Progress) -> tuple[Message, str]:
    """Passes phases on; returns the last message and the phase that was not finished."""
    begun: dict[str, float] = {}
    end = time.monotonic() + _SECONDS
    last: Message = {}
    while "built" not in last and "refused" not in last:
        message = process.receive(end - time.monotonic())
        if message is None:
            break
        last = message
        if "start" in message:
            begun[message["start"]] = time.perf_counter()
            progress.start(message["start"])
        elif "finish" in message:
            phase = message["finish"]
            progress.finish(phase, time.perf_counter() - begun.pop(phase, time.perf_counter()))
    for phase in reversed(begun):
        progress.fail(phase)
    return last, next(reversed(begun), "")
