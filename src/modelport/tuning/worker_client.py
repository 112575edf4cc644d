"""Client of a worker process that runs one engine."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from types import TracebackType
from typing import IO, Any

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
        reading, writing = os.pipe()
        self._answers = reading
        self._heard = b""
        # What runtimes print goes here; its end says why they died.
        self._printed: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "modelport.tuning.worker", str(writing)],
            stdin=subprocess.PIPE,
            stdout=self._printed,
            stderr=self._printed,
            pass_fds=(writing,),
        )
        os.close(writing)
        self._selector = selectors.DefaultSelector()
        self._selector.register(reading, selectors.EVENT_READ)

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if self._answers >= 0:
            self._selector.close()
            os.close(self._answers)
            self._answers = -1
            self._printed.close()

    def open(self, do: str, timeout: float = _TIMEOUT, **what: Any) -> dict[str, Any]:
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

    def ask(self, do: str, timeout: float = _TIMEOUT, **what: Any) -> dict[str, Any]:
        """Sends a request and waits for the answer.

        Raises:
            RunError: It says that it failed, takes too long, or the process died.
        """
        self._signal(signal.SIGCONT)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **what}, default=str).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._answer(time.monotonic() + timeout)
        except BrokenPipeError:
            answer = None
        if answer is None:
            raise RunError(f"{self.name} died", why=self._death())
        self._signal(signal.SIGSTOP)
        if "failed" in answer:
            raise RunError(f"{self.name} failed", why=answer["failed"])
        return answer

    def _answer(self, deadline: float) -> dict[str, Any] | None:
        while b"\n" not in self._heard:
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                self._process.kill()
                raise RunError(f"{self.name} did not answer", why="it took too long")
            received = os.read(self._answers, 1 << 16)
            if not received:
                return None
            self._heard += received
        line, self._heard = self._heard.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _signal(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)

    def _death(self) -> str:
        code = self._process.wait()
        self._printed.seek(0)
        lines = self._printed.read().decode(errors="replace").strip().splitlines()
        last = f": {lines[-1].strip()}" if lines else ""
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"the process ended with {how}{last}"


def why_failed(error: ModelportError) -> str:
    """The message of a worker's error, on one line."""
    return " ".join((error.why or error.what).split())
