"""Progress of long work: a live line on a terminal, one line for each step elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Receiver of the progress of long work."""

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
    """Runs named steps, reports each to a `Progress`, and records their durations.

    Attributes:
        progress: Receiver of each step's begin and end.
        seconds: Wall-clock seconds of every finished step, by name, in order; a step that ran again
            adds up.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress or Silent()
        self.seconds: dict[str, float] = {}

        self._attempting = False
        self._failed: tuple[str, float] | None = None

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Runs the body of a ``with`` as the step named."""
        self._pass_over()
        self.progress.start(step)
        begin = time.perf_counter()
        try:
            yield
        except BaseException:
            self._failed = step, time.perf_counter() - begin
            if not self._attempting:
                self._fail()
            raise
        elapsed = time.perf_counter() - begin
        self.seconds[step] = self.seconds.get(step, 0.0) + elapsed
        self.progress.finish(step, elapsed)

    @contextmanager
    def attempts(self) -> Iterator[None]:
        """Runs attempts at the same result: a step fails only if all attempts fail.

        An attempt that fails and is followed by another one is reported as finished.
        """
        self._attempting = True
        try:
            yield
        except BaseException:
            self._fail()
            raise
        finally:
            self._attempting, self._failed = False, None

    def _pass_over(self) -> None:
        if self._failed is not None:
            self.progress.finish(*self._failed)
            self._failed = None

    def _fail(self) -> None:
        if self._failed is not None:
            self.progress.fail(self._failed[0])
            self._failed = None
