"""TensorRT's log, kept instead of printed."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

LAYERS = "Layers:\n"
"""What the builder's list of an engine's layers begins with."""


@functools.cache
def logger(trt: ModuleType) -> Any:
    """The logger of this process: TensorRT takes the first that it is given, and no other.

    Returns:
        A logger with lists of ``errors`` and ``warnings``, and ``layers``, the builder's list.
    """

    class Log(trt.ILogger):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []
            self.warnings: list[str] = []
            self.layers = ""

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.ERROR:
                self.errors.append(message)
            elif severity == trt.ILogger.WARNING:
                self.warnings.append(message)
            elif message.startswith(LAYERS):
                self.layers = message

    return Log()
