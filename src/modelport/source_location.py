"""Locations in the user's source code."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

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


def first_changes(
    run: Callable[[], object], look: Callable[[], Mapping[str, object]]
) -> dict[str, str]:
    """``file:line`` in the user's code where a run first changes what is looked at, by its name.

    Each line of the user's code is followed, which is slow. A change by native code that `look`
    does not see has no line.

    Args:
        run: Runs the user's code; its exceptions are passed on.
        look: Values by name; they are compared after each line.
    """
    lines: dict[str, str] = {}
    seen, line = look(), ""

    def compare() -> None:
        nonlocal seen
        now = look()
        for name, value in now.items():
            if value != seen[name] and line:
                lines.setdefault(name, line)
        seen = now

    def follow(frame: FrameType, event: str, _: object) -> Any:
        nonlocal line
        if not is_users(frame.f_code.co_filename):
            return None
        compare()
        caller: FrameType | None = frame.f_back if event == "return" else frame
        while caller is not None and not is_users(caller.f_code.co_filename):
            caller = caller.f_back
        line = "" if caller is None else f"{caller.f_code.co_filename}:{caller.f_lineno}"
        return follow

    before = sys.gettrace()
    sys.settrace(follow)
    try:
        run()
    finally:
        sys.settrace(before)
    return lines


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
