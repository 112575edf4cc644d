"""Child processes: one way to start, limit and end each of them.

A child has a process group of its own, and one end of a pipe that nobody writes to. When the
parent ends, for whatever reason, the kernel closes the other end and kills the group: this needs
no code in the child, which may be a compiler, or hang inside of a runtime.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from modelport.process_memory import free_memory, uses_more_than

_SET_SIGNAL = 10
"""``F_SETSIG`` of Linux's fcntl.h: the signal of a descriptor in place of SIGIO."""
_POLL = 0.2
"""Seconds between two looks at the memory of a child."""
_CHUNK = 1 << 16
_MOST_PRINTED = 1 << 20
"""Bytes of the end of what a worker printed that are read."""


Message = dict[str, Any]
"""A JSON object."""


def python_command(module: str, *words: object) -> list[str]:
    """The command that runs a module of modelport in another interpreter.

    ``-P`` keeps the working directory off its path: a file there could replace any module.

    Args:
        module: The dotted name.
        *words: Its arguments.
    """
    return [sys.executable, "-P", "-m", module, *map(str, words)]


@dataclass(frozen=True)
class Limits:
    """Limits of a child.

    Attributes:
        seconds: Time until it is killed.
        memory: Bytes of proportional set size (PSS) of it and its own children until it is killed;
            by default all memory that is free when it starts.
    """

    seconds: float
    memory: int | None = None


@dataclass(frozen=True)
class Ended:
    """The end of a child.

    Attributes:
        code: Its exit code; negative for a signal.
        output: Its standard output.
        errors: Its standard error.
        exceeded: The limit for which it was killed, in words; empty if it ended itself.
    """

    code: int
    output: str
    errors: str
    exceeded: str = ""

    @property
    def how(self) -> str:
        """The end in words: the limit, the signal or the exit code."""
        return self.exceeded or exit_reason(self.code)


def exit_reason(code: int) -> str:
    """An exit code in words: the name of the signal, where there was one."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def run(command: Sequence[str], limits: Limits, env: Mapping[str, str] | None = None) -> Ended:
    """Runs a command to its end, or to a limit.

    Args:
        command: The program and its arguments.
        limits: Limits of time and memory.
        env: Its environment; by default that of this process.

    Raises:
        OSError: The program cannot be started.
    """
    with _Child(
        command, limits.memory, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        deadline = time.monotonic() + limits.seconds
        output = errors = None
        while output is None:
            try:
                output, errors = child.process.communicate(timeout=child.pause_until(deadline))
            except subprocess.TimeoutExpired as waiting:
                if child.kill_beyond(deadline):
                    # A process that left the group may hold the pipes open.
                    child.process.wait()
                    output, errors = waiting.output or b"", waiting.stderr or b""
        return Ended(
            child.process.returncode,
            output.decode(errors="replace"),
            (errors or b"").decode(errors="replace"),
            child.exceeded,
        )


class MessageProcess:
    """A module of modelport in a process that exchanges messages, one JSON object a line.

    The module's first argument is a descriptor for `Answers`; it reads requests from its standard
    input. It may print what it likes.
    """

    def __init__(
        self,
        module: str,
        *words: object,
        memory: int | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Starts the process.

        Args:
            module: The dotted name.
            *words: Its arguments after the descriptor.
            memory: As in `Limits`.
            env: Its environment; by default that of this process.
        """
        self._answers, writing = os.pipe()
        self._heard = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._answers, selectors.EVENT_READ)
        # Runtimes print before they end a process.
        self._printed: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._child = _Child(
                python_command(module, writing, *words),
                memory,
                env=env,
                stdin=subprocess.PIPE,
                stdout=self._printed,
                stderr=self._printed,
                pass_fds=(writing,),
            )
        finally:
            os.close(writing)

    def __enter__(self) -> MessageProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, message: Message) -> None:
        """Sends a request; a process that has ended is seen by `receive`."""
        stdin = self._child.process.stdin
        assert stdin is not None
        with contextlib.suppress(BrokenPipeError):
            stdin.write(json.dumps(message, default=str).encode() + b"\n")
            stdin.flush()

    def receive(self, seconds: float) -> Message | None:
        """Waits for the next answer.

        Args:
            seconds: Time until the process is killed.

        Returns:
            The answer; None if the process has ended, see `death`.
        """
        deadline = time.monotonic() + seconds
        while b"\n" not in self._heard:
            if self._selector.select(self._child.pause_until(deadline)):
                received = os.read(self._answers, _CHUNK)
                if not received:
                    return None
                self._heard += received
            elif self._child.kill_beyond(deadline):
                return None
        line, self._heard = self._heard.split(b"\n", 1)
        answer: Message = json.loads(line)
        return answer

    def stop(self) -> None:
        """Stops the process, so that its threads compute nothing until `resume`."""
        self._child.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets the process compute again."""
        self._child.signal(signal.SIGCONT)

    def death(self) -> Ended:
        """The end of the process; its output is all that it printed, or the end of that."""
        code = self._child.process.wait()
        size = self._printed.seek(0, os.SEEK_END)
        self._printed.seek(max(0, size - _MOST_PRINTED))
        text = self._printed.read().decode(errors="replace").strip()
        return Ended(code, text, "", self._child.exceeded)

    def close(self) -> None:
        """Ends the process."""
        if self._answers >= 0:
            self._child.close()
            self._selector.close()
            os.close(self._answers)
            self._answers = -1
            self._printed.close()


class Answers:
    """The child's side of a `MessageProcess`."""

    def __init__(self, descriptor: str) -> None:
        """Opens the channel.

        Args:
            descriptor: The first argument of the module.
        """
        self._file = os.fdopen(int(descriptor), "w", encoding="utf-8")

    def send(self, message: Message) -> None:
        """Sends an answer."""
        self._file.write(json.dumps(message) + "\n")
        self._file.flush()


def requests() -> Iterator[Message]:
    """Requests that `MessageProcess.send` sends, in the child."""
    return map(json.loads, sys.stdin)


class _Child:
    """A process with its group, its pipe and its limit of memory."""

    def __init__(self, command: Sequence[str], memory: int | None, **options: Any) -> None:
        self.exceeded = ""
        self._memory = free_memory() if memory is None else memory
        reading, self._life = os.pipe()
        options = {"stdin": subprocess.DEVNULL, **options}
        options["pass_fds"] = (*options.get("pass_fds", ()), reading)
        try:
            self.process = subprocess.Popen(command, process_group=0, **options)
            _kill_at_eof(reading, self.process.pid)
        except BaseException:
            os.close(self._life)
            raise
        finally:
            os.close(reading)

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pause_until(self, deadline: float) -> float:
        """Seconds until the next look at the child."""
        return max(0.0, min(_POLL, deadline - time.monotonic()))

    def kill_beyond(self, deadline: float) -> bool:
        """Kills the child if it is beyond a limit; returns True then."""
        if time.monotonic() >= deadline:
            self.exceeded = "it took too long"
        elif self._memory is not None and uses_more_than(self.process.pid, self._memory):
            self.exceeded = f"it used more than {self._memory / 1e9:.2g} GB of memory"
        else:
            return False
        self.signal(signal.SIGKILL)
        return True

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the child and its own children."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    def close(self) -> None:
        """Ends the child and its own children."""
        if self._life < 0:
            return
        self.signal(signal.SIGKILL)
        self.process.wait()
        # Whatever of its group is left ends here.
        os.close(self._life)
        self._life = -1
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def _kill_at_eof(reading: int, group: int) -> None:
    """Has the kernel kill a process group when nobody holds the other end of a pipe."""
    fcntl.fcntl(reading, fcntl.F_SETOWN, -group)
    fcntl.fcntl(reading, _SET_SIGNAL, signal.SIGKILL)
    flags = fcntl.fcntl(reading, fcntl.F_GETFL)
    fcntl.fcntl(reading, fcntl.F_SETFL, flags | os.O_ASYNC)
