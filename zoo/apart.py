"""A function in a process of its own, with a limit of time and of memory."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

_POLL = 0.1
_CLOCK = 6
"""Largest ratio of a function's wall-clock time to its processor time."""


@dataclass(frozen=True)
class Outcome:
    """End of a function in its own process.

    Attributes:
        value: What it returned, where it did.
        failure: ``timeout``, ``memory``, ``crash`` or ``traceback``; empty where it returned.
        message: What there is to say about the failure.
        seconds: Processor time that it took, its children's included.
        peak: The most memory that it held, MiB.
    """

    value: Any
    failure: str
    message: str
    seconds: float
    peak: float


def run_apart(
    function: Callable[..., Any], *args: Any, seconds: float, gib: float, log: Path
) -> Outcome:
    """Runs a function in a forked process; its end is an outcome, whatever it is.

    Args:
        function: The function; what it returns must be picklable.
        *args: Its arguments.
        seconds: Processor time that it may take, its children's included: on a machine that is
            shared, the clock says little.
        gib: How much memory it may hold, GiB.
        log: Where its standard output and error go.
    """
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(there, log, function, args))
    process.start()
    there.close()
    failure, peak = _watch(process, here, seconds, gib)
    value, message, child_peak, spent = None, "", 0.0, seconds
    if not failure:
        try:
            kind, content, child_peak, spent = here.recv()
        except EOFError:
            process.join()
            failure, message = "crash", _how_it_ended(process.exitcode)
        else:
            value, message = (content, "") if kind == "value" else (None, content)
            failure = "" if kind == "value" else kind
    elif failure == "timeout":
        message = f"not done after {seconds:.0f} s of processor time"
    else:
        message = f"held more than {gib:g} GiB"
    process.join(timeout=5)
    if process.is_alive():
        process.kill()
        process.join()
    return Outcome(value, failure, message, spent, max(peak, child_peak))


def _watch(process: Any, here: Connection, seconds: float, gib: float) -> tuple[str, float]:
    """Waits for an answer or the end; kills what goes beyond a limit."""
    peak = spent = 0.0
    watched = psutil.Process(process.pid)
    deadline = time.perf_counter() + _CLOCK * seconds
    while not here.poll(_POLL):
        with contextlib.suppress(psutil.Error):
            family = [watched, *watched.children(recursive=True)]
            peak = max(peak, sum(member.memory_info().rss for member in family) / 2**20)
            spent = sum(sum(member.cpu_times()) for member in family)
        if spent > seconds or time.perf_counter() > deadline or peak > gib * 1024:
            for member in [*watched.children(recursive=True), watched]:
                with contextlib.suppress(psutil.Error):
                    member.kill()
            return ("memory" if peak > gib * 1024 else "timeout"), peak
    return "", peak


def _call(there: Connection, log: Path, function: Callable[..., Any], args: Any) -> None:
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        answer = ("value", function(*args))
    except BaseException as error:  # noqa: BLE001 - whatever it is, the row says it
        traceback.print_exc()
        answer = ("traceback", f"{type(error).__name__}: {error}")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    spent = sum(item.ru_utime + item.ru_stime for item in used)
    there.send((*answer, used[0].ru_maxrss / 1024, spent))
    there.close()
    # Threads of the backends may hang at exit; all is said.
    os._exit(0)


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"the process was ended by {signal.Signals(-code).name}"
    return f"the process ended with exit code {code}"
