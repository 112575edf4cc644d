"""Locations in the user's source code."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

_OWN = str(Path(__file__).parent)
_FOREIGN = re.compile(r"site-packages/(torch|onnxscript|onnx_ir|onnx|numpy)/|^torch/|^<")
_STANDARD_LIBRARY = re.compile(r"/lib/python3\.\d+/(?!site-packages/)")


def is_users(file: str) -> bool:
    """Return True if a file is the user's: not modelport's, torch's and the like, or Python's."""
    return not (file.startswith(_OWN) or _FOREIGN.search(file) or _STANDARD_LIBRARY.search(file))


def innermost(frames: Iterable[tuple[str, int | None]]) -> str:
    """``file:line`` of the innermost frame of the user's code; empty where there is none.

    Args:
        frames: Files and lines, the outermost first.
    """
    own = [f"{file}:{line}" for file, line in frames if is_users(file)]
    return own[-1] if own else ""


def of_error(error: BaseException) -> str:
    """``file:line`` in the user's code where an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return innermost((frame.filename, frame.lineno) for frame in frames)


def of_caller() -> str:
    """``file:line`` in the user's code from which the caller was reached."""
    frame = sys._getframe(1)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if frame.f_back is None:
            break
        frame = frame.f_back
    return ""


def is_callers_doing(between: tuple[str, ...]) -> bool:
    """Return True if the user's code itself led here, without a library between.

    Args:
        between: Parts of the names of files that may stand between the user's code and here.
    """
    frame = sys._getframe(1)
    while frame is not None and any(part in frame.f_code.co_filename for part in between):
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return is_users(frame.f_code.co_filename)
