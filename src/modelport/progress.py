"""Progress of long work: a live line on a terminal, one line a step elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """What long work tells its caller while it runs."""

    def start(self, step: str) -> None:
        """A step begins."""

    def finish(self, step: str, seconds: float) -> None:
        """A step ended well."""

    def fail(self, step: str) -> None:
        """A step ended with an error, which the caller gets."""


class Silent:
    """Shows nothing: the default of the Python functions."""

    def start(self, step: str) -> None:
        """Does nothing."""

    def finish(self, step: str, seconds: float) -> None:
        """Does nothing."""

    def fail(self, step: str) -> None:
        """Does nothing."""


class Stages:
    """Runs named steps, tells a `Progress` of each, and keeps their durations.

    Attributes:
        progress: What is told.
        seconds: Wall-clock seconds of every finished step, by name, in order; a step that ran again
            adds up.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress or Silent()
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Runs the body of a ``with`` as the step named."""
        self.progress.start(step)
        begin = time.perf_counter()
        try:
            yield
        except BaseException:
            self.progress.fail(step)
            raise
        elapsed = time.perf_counter() - begin
        self.seconds[step] = self.seconds.get(step, 0.0) + elapsed
        self.progress.finish(step, elapsed)
