"""What is printed, without the characters that drive a terminal.

Names in bundles and models are written by others. They are escaped here, once, where a command
prints, and nowhere else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import IO, Any

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def escaped(text: str) -> str:
    """A text with escapes for control characters; tabs and line feeds stay."""
    plain = text.encode(errors="backslashreplace").decode()
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], plain)


def one_line(text: str) -> str:
    """A text with escapes for control characters, tabs and line feeds too: a cell of a table."""
    return escaped(text).replace("\n", "\\n").replace("\t", "\\t")


class _Escaping:
    """A stream that escapes what is written to it.

    Attributes:
        plain: The stream behind it, for what modelport itself draws on a terminal.
    """

    def __init__(self, plain: IO[str]) -> None:
        self.plain = plain

    def write(self, text: str) -> int:
        self.plain.write(escaped(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.plain, name)


@contextmanager
def escaping() -> Iterator[None]:
    """Escapes what is printed in the block, on both streams."""
    out: Any = _Escaping(plain(sys.stdout))
    err: Any = _Escaping(plain(sys.stderr))
    with redirect_stdout(out), redirect_stderr(err):
        yield


def plain(stream: Any) -> IO[str]:
    """The stream behind one that escapes."""
    found: IO[str] = getattr(stream, "plain", stream)
    return found
