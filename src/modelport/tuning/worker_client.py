"""Client of a worker process that runs one engine."""

from __future__ import annotations

from typing import Any

from modelport.child_process import Ended, Message, MessageProcess
from modelport.errors import ModelportError, RunError

_TURN = 0.1
"""Minimum duration of a turn, in seconds: short calls are repeated."""
_MOST_CALLS = 1000
_LONG = 0.3
"""Seconds per call from which a turn needs no warm-up."""
_TIMEOUT = 600.0


class WorkerProcess:
    """A process that opens one engine, and runs it on demand.

    It is stopped between its turns, so that its threads take nothing from the others.

    Attributes:
        name: What it is, for messages.
        calls: Calls a turn.
        memory: Bytes that its process held at most, to open and to run.
    """

    def __init__(self, name: str, *, at_once: int = 1) -> None:
        """Starts the process.

        Args:
            name: What it is.
            at_once: Calls at a time.
        """
        self.name = name
        self.calls = 1
        self.memory = 0
        self._at_once = at_once
        self._warm_up = 1
        self._process = MessageProcess("modelport.tuning.worker")

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process."""
        self._process.close()

    def open(self, do: str, timeout: float = _TIMEOUT, **what: Any) -> Message:
        """Opens an engine, runs it twice, and chooses the number of calls per turn.

        Args:
            do: ``compile`` or ``load``; see `modelport.tuning.worker.Worker`.
            timeout: Seconds that it may take.
            **what: What to open.

        Returns:
            Seconds to open (``opened``) and of a call (``call``).

        Raises:
            RunError: It cannot be opened or run, takes too long, or the process died.
        """
        reply = self.ask(do, timeout, **what)
        self.memory = reply["memory"]
        self.calls = max(1, min(_MOST_CALLS, round(_TURN / max(reply["call"], 1e-7))))
        self._warm_up = 0 if reply["call"] > _LONG else 1
        return reply

    def turn(self, timeout: float = _TIMEOUT) -> list[float]:
        """Seconds of each call of one turn.

        Raises:
            RunError: As for `open`.
        """
        reply = self.ask(
            "measure", timeout, calls=self.calls, at_once=self._at_once, warm_up=self._warm_up
        )
        return list(reply["seconds"])

    def ask(self, do: str, timeout: float = _TIMEOUT, **what: Any) -> Message:
        """Sends a request and waits for the answer.

        Raises:
            RunError: It says that it failed, takes too long, or the process died.
        """
        self._process.resume()
        self._process.send({"do": do, **what})
        answer = self._process.receive(timeout)
        if answer is None:
            raise RunError(f"{self.name} did not answer", why=_reason(self._process.death()))
        self._process.stop()
        if "failed" in answer:
            raise RunError(f"{self.name} failed", why=answer["failed"])
        return answer


def _reason(end: Ended) -> str:
    if end.exceeded:
        return end.exceeded
    lines = end.output.splitlines()
    last = f": {lines[-1].strip()}" if lines else ""
    return f"the process ended with {end.how}{last}"


def why_failed(error: ModelportError) -> str:
    """The message of a worker's error, on one line."""
    return " ".join((error.why or error.what).split())
