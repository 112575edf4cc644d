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


@dataclass(frozen=True)
class Outcome:
    """How a function in its own process ended.

    Attributes:
        value: What it returned, where it did.
        failure: ``timeout``, ``memory``, ``crash`` or ``traceback``; empty where it returned.
        message: What there is to say about the failure.
        seconds: How long it took.
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
        seconds: How long it may take.
        gib: How much memory it may hold, GiB.
        log: Where its standard output and error go.
    """
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(there, log, function, args))
    begin = time.perf_counter()
    process.start()
    there.close()
    failure, peak = _watch(process, here, begin + seconds, gib)
    value, message, child_peak = None, "", 0.0
    if not failure:
        try:
            kind, content, child_peak = here.recv()
        except EOFError:
            process.join()
            failure, message = "crash", _how_it_ended(process.exitcode)
        else:
            value, message = (content, "") if kind == "value" else (None, content)
            failure = "" if kind == "value" else kind
    elif failure == "timeout":
        message = f"not done after {seconds:.0f} s"
    else:
        message = f"held more than {gib:g} GiB"
    process.join(timeout=5)
    if process.is_alive():
        process.kill()
        process.join()
    return Outcome(value, failure, message, time.perf_counter() - begin, max(peak, child_peak))


def _watch(process: Any, here: Connection, deadline: float, gib: float) -> tuple[str, float]:
    """Waits for an answer or the end; kills what goes beyond a limit."""
    peak = 0.0
    watched = psutil.Process(process.pid)
    while not here.poll(_POLL):
        with contextlib.suppress(psutil.Error):
            peak = max(peak, watched.memory_info().rss / 2**20)
        if time.perf_counter() > deadline or peak > gib * 1024:
            process.kill()
            return ("memory" if peak > gib * 1024 else "timeout"), peak
    return "", peak


def _call(there: Connection, log: Path, function: Callable[..., Any], args: Any) -> None:
    with log.open("a") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        answer = ("value", function(*args))
    except BaseException as error:  # whatever it is, it is what the row says
        traceback.print_exc()
        answer = ("traceback", f"{type(error).__name__}: {error}")
    there.send((*answer, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
    there.close()
    # Threads of the backends may hang at exit; all is said.
    os._exit(0)


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"the process was ended by {signal.Signals(-code).name}"
    return f"the process ended with exit code {code}"
