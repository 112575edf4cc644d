"""Logs of a command: ``-v``, ``-q``, ``--log-file``, and the output of native code.

Each package of modelport has a logger, ``modelport.PACKAGE``. At the level DEBUG it names each
decision and its reason: a pass at a node, a rewrite of a function, a capture strategy, a plan, a
node that stays in float32.

PyTorch and the runtimes write to the standard error stream of the process, from C++ and from
Python. While a command runs, that stream is a file in memory; its lines become records of the
logger ``native``. modelport's own messages go to a copy of the original stream.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import io
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from modelport.errors import UsageError

NATIVE = "native"
"""Logger of all text that libraries write to the process's output streams."""

_OWN = {"modelport"}

_QUIET, _NORMAL, _DECISIONS, _LIBRARIES = -1, 0, 1, 2


@dataclass
class Terminal:
    """The streams that the user reads, and how much is written there.

    Attributes:
        verbosity: -1 for errors alone, 0, 1 for decisions, 2 for the logs of libraries as well.
        stream: The original standard error stream; None outside of a command.
    """

    verbosity: int = _NORMAL
    stream: TextIO | None = field(default=None)

    @property
    def errors(self) -> TextIO:
        """The stream of messages."""
        return self.stream or sys.stderr


_TERMINAL = Terminal()


def terminal() -> Terminal:
    """The terminal of the command that runs."""
    return _TERMINAL


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``-v``, ``-q`` and ``--log-file`` to a parser and to those of its commands."""
    for action in list(parser._actions):
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                add_options(inner)
    # A default would replace an option that is written before the command.
    options = parser.add_argument_group("messages")
    options.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=argparse.SUPPRESS,
        help="log each decision with its reason, warnings, and the output of native code; "
        "-vv: the logs of PyTorch and of all libraries as well",
    )
    options.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        default=argparse.SUPPRESS,
        help="no progress and no warnings on stderr",
    )
    options.add_argument(
        "--log-file",
        type=Path,
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="append the complete log, that of -vv, to a file",
    )


@contextlib.contextmanager
def recorded(arguments: argparse.Namespace) -> Iterator[None]:
    """Sends the logs of everything that runs inside to the terminal and to the log file.

    Args:
        arguments: Arguments with the options of `add_options`.

    Raises:
        UsageError: The log file cannot be written, or ``-v`` and ``-q`` are both there.
    """
    verbosity = min(getattr(arguments, "verbose", 0), _LIBRARIES)
    if getattr(arguments, "quiet", False):
        if verbosity:
            raise UsageError("-v and -q exclude each other", fix="leave one of them out")
        verbosity = _QUIET
    path: Path | None = getattr(arguments, "log_file", None)
    with contextlib.ExitStack() as undo:
        file = None if path is None else undo.enter_context(_opened(path))
        native = undo.enter_context(_NativeOutput())
        undo.enter_context(_terminal_of(native.stderr, verbosity))
        handlers: list[logging.Handler] = [_terminal_handler(native.stderr, verbosity)]
        if file is not None:
            handlers.append(_file_handler(file))
        undo.enter_context(_installed(handlers, verbosity, native, everything=file is not None))
        yield


@contextlib.contextmanager
def _terminal_of(stream: TextIO, verbosity: int) -> Iterator[None]:
    before = _TERMINAL.stream, _TERMINAL.verbosity
    _TERMINAL.stream, _TERMINAL.verbosity = stream, verbosity
    try:
        yield
    finally:
        _TERMINAL.stream, _TERMINAL.verbosity = before


def _opened(path: Path) -> TextIO:
    try:
        return path.open("a", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            "cannot write the log file",
            where=str(path),
            why=error.strerror or str(error),
            fix="give --log-file a path in a folder that exists and is writable",
        ) from error


class _TerminalFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return f"[{record.name.removeprefix('modelport.')}] {level}{text}"


def _terminal_handler(stream: TextIO, verbosity: int) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_TerminalFormatter("%(message)s"))

    def shown(record: logging.LogRecord) -> bool:
        if verbosity >= _LIBRARIES:
            return True
        least = {_QUIET: logging.ERROR, _NORMAL: logging.WARNING}.get(verbosity, logging.DEBUG)
        shown_names = _OWN if verbosity < _DECISIONS else {*_OWN, NATIVE, "py"}
        return record.name.split(".")[0] in shown_names and record.levelno >= least

    handler.addFilter(shown)
    return handler


def _file_handler(file: TextIO) -> logging.Handler:
    handler = logging.StreamHandler(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return handler


@contextlib.contextmanager
def _installed(
    handlers: list[logging.Handler], verbosity: int, native: _NativeOutput, *, everything: bool
) -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("modelport")
    before = list(root.handlers), root.level, own.level
    root.handlers += handlers
    for handler in handlers:
        handler.addFilter(native.drained)
    root.setLevel(logging.DEBUG if everything or verbosity >= _LIBRARIES else logging.WARNING)
    own.setLevel(logging.DEBUG if everything or verbosity >= _DECISIONS else logging.WARNING)
    native.handlers = handlers
    logging.captureWarnings(True)
    try:
        yield
    finally:
        native.drain()
        logging.captureWarnings(False)
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        own.setLevel(before[2])


class _NativeOutput:
    """The process's output streams, redirected to memory, and read as log records.

    A file in memory, unlike a pipe, has no limit at which native code that holds Python's lock
    would wait for a reader that needs the lock.

    Attributes:
        stderr: The original standard error stream.
        handlers: Handlers of the records. Handlers of the root logger are not among them: one that
            writes to the standard error stream would log its own lines without an end.
    """

    def __init__(self) -> None:
        self.stderr: TextIO = sys.stderr
        self.handlers: list[logging.Handler] = []
        self._process = os.getpid()
        self._undo = contextlib.ExitStack()
        self._memory = -1
        self._offset = 0
        self._is_draining = False

    def __enter__(self) -> _NativeOutput:
        self._memory = os.memfd_create("modelport-output")
        self._undo.callback(os.close, self._memory)
        self._redirect_stdout()
        self._redirect_stderr()
        if not faulthandler.is_enabled() and self.stderr is not sys.stderr:
            # The last words of native code that aborts stay in memory; its stack is printed.
            faulthandler.enable(self.stderr)
            self._undo.callback(faulthandler.disable)
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _redirect_stdout(self) -> None:
        """Python's ``print`` keeps the original stream; native code loses it."""
        if not _is_on(sys.stdout, 1):
            return
        old = sys.stdout
        copy = self._replaced(1, old)
        sys.stdout = copy

        def restore() -> None:
            sys.stdout = old

        self._undo.callback(restore)

    def _redirect_stderr(self) -> None:
        if _is_on(sys.stderr, 2):
            self.stderr = self._replaced(2, sys.stderr)
            self._undo.callback(sys.stderr.flush)

    def _replaced(self, number: int, stream: TextIO) -> TextIO:
        """Redirects a file descriptor to the memory; returns a stream on the original."""
        stream.flush()
        original = os.dup(number)
        os.dup2(self._memory, number)
        copy = io.TextIOWrapper(
            os.fdopen(original, "wb"),
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=number == 2 or os.isatty(original),
            # PYTHONUNBUFFERED
            write_through=getattr(stream, "write_through", False),
        )

        def restore() -> None:
            try:
                copy.flush()
            finally:
                os.dup2(original, number)
                copy.close()

        self._undo.callback(restore)
        return copy

    def drained(self, _: logging.LogRecord) -> bool:
        """Logs what was written before a record, as a filter that refuses nothing."""
        self.drain()
        return True

    def drain(self) -> None:
        """Logs what was written since the last call."""
        # A forked child shares the file, and its parent reads it.
        if self._is_draining or os.getpid() != self._process:
            return
        self._is_draining = True
        try:
            size = os.fstat(self._memory).st_size
            text = os.pread(self._memory, size - self._offset, self._offset)
            self._offset += len(text)
            for line in text.decode("utf-8", "replace").splitlines():
                if line.strip():
                    self._log(line)
        finally:
            self._is_draining = False

    def _log(self, line: str) -> None:
        record = logging.LogRecord(NATIVE, logging.INFO, "", 0, "%s", (line,), None)
        for handler in self.handlers:
            handler.handle(record)


def _is_on(stream: TextIO, number: int) -> bool:
    try:
        return stream.fileno() == number
    except (AttributeError, OSError, ValueError):
        return False
