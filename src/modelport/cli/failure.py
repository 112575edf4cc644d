"""Errors of a command as messages, JSON and exit codes: no traceback reaches a user."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import traceback
from typing import TYPE_CHECKING

from modelport.errors import ModelportError, UsageError, causes
from modelport.extras import install_command

if TYPE_CHECKING:
    from types import TracebackType

INTERRUPTED = 130
"""Exit code after Ctrl-C, as of a process that SIGINT ended."""
BROKEN_PIPE = 141
"""Exit code where nobody reads the output any more, as of a process that SIGPIPE ended."""
INTERNAL = 70
"""Exit code of a fault of modelport itself (EX_SOFTWARE of sysexits.h)."""


def report(error: BaseException, arguments: argparse.Namespace) -> int:
    """Prints an error; with ``--json`` on stdout as well, as an object with the key ``error``.

    Args:
        error: What the command raised.
        arguments: The command's arguments.

    Returns:
        The exit code.
    """
    if isinstance(error, KeyboardInterrupt):
        print("modelport: interrupted; nothing was replaced", file=sys.stderr)
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # Python would complain again when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
        return BROKEN_PIPE
    known = error if isinstance(error, ModelportError) else _named(error, arguments.command)
    if known and not known.fix:
        known.fix = _remedy(error)
    told = known or _internal(error)
    print(f"modelport: error: {told}", file=sys.stderr)
    if getattr(arguments, "json", False):
        from modelport.cli import console

        code = told.code if known else "internal"
        console.print_json({"error": told.to_json() | {"code": code}})
    return told.exit_code if known else INTERNAL


def _named(error: BaseException, command: str) -> ModelportError | None:
    """An error of Python or of the machine in words; None where only modelport can be at fault."""
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("modelport"):
        return UsageError(
            f"`modelport {command}` needs the package {error.name!r}",
            fix=install_command("export"),
        )
    if isinstance(error, MemoryError):
        return UsageError(
            "there is not enough memory",
            why=str(error) or None,
            fix="use smaller inputs, or a machine with more memory",
        )
    if isinstance(error, OSError) and error.errno is not None:
        return UsageError(
            error.strerror or str(error),
            where=str(error.filename) if error.filename is not None else None,
            why=None if error.filename2 is None else f"it was to become {error.filename2}",
        )
    return None


def _remedy(error: BaseException) -> str | None:
    """The remedy for what the machine refused, of an error or of its cause."""
    numbers = (each.errno for each in causes(error) if isinstance(each, OSError))
    return next((_REMEDIES[number] for number in numbers if number in _REMEDIES), None)


_REMEDIES = {
    errno.ENOSPC: "free some space, or write to another disk (-o); TMPDIR names the folder of "
    "temporary files",
    errno.EDQUOT: "free some space, or write to another disk (-o)",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or write elsewhere",
    errno.EROFS: "write to a folder that can be written (-o); MODELPORT_CACHE and TMPDIR name "
    "the folders of the cache and of temporary files",
    errno.EACCES: "take a place that this user may read or write",
    errno.EPERM: "take a place that this user may read or write",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
}


def _internal(error: BaseException) -> ModelportError:
    """A fault of modelport, with the place in its own code."""
    return ModelportError(
        f"modelport has a fault: {type(error).__name__}: {_one_line(str(error))}",
        where=_own_place(error.__traceback__),
        fix="run it again as `modelport --debug ...` and report the traceback",
    )


def _own_place(trace: TracebackType | None) -> str | None:
    frames = traceback.extract_tb(trace)
    own = [frame for frame in frames if "modelport" in frame.filename] or frames
    return f"{own[-1].filename}:{own[-1].lineno}" if own else None


def _one_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0][:300] if lines else ""
