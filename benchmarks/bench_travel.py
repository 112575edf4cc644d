"""Data flow of one deployment: calls across packages, and work that is done again"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch

import modelport
from benchmarks.interleave import Row
from modelport.recipe import load_recipe

RECIPE = Path(__file__).parent.parent / "examples" / "srcnn" / "recipe.py"
ROOT = Path(modelport.__file__).parent
NOUNS = frozenset(
    {
        "arrays",
        "errors",
        "facts",
        "findings",
        "log",
        "source_location",
        "progress",
        "recipe",
        "signature",
        "target",
    }
)
"""Modules of plain values, which every package passes on: reading one does not count."""


class Journey:
    """The packages that a call goes through, in order.

    Attributes:
        calls: Calls from one package into another, by both.
        stops: Every package in the order in which it was entered.
    """

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self.stops: list[str] = []
        self._stack: list[str] = []
        self._known: dict[str, str | None] = {}

    @property
    def returns(self) -> int:
        """Number of times that a package was entered again after it had been left."""
        seen: set[str] = set()
        again = 0
        for package in self.stops:
            again += package in seen
            seen.add(package)
        return again

    @contextmanager
    def followed(self) -> Iterator[Journey]:
        """Follows what is called in the body of the ``with``, in this thread."""
        sys.setprofile(self._follow)
        try:
            yield self
        finally:
            sys.setprofile(None)

    def _package(self, frame: FrameType) -> str | None:
        name = frame.f_code.co_filename
        if name not in self._known:
            path = Path(name)
            inside = path.is_relative_to(ROOT)
            part = path.relative_to(ROOT).parts[0].removesuffix(".py") if inside else ""
            self._known[name] = None if not inside or part in NOUNS else part
        return self._known[name]

    def _follow(self, frame: FrameType, event: str, _: Any) -> None:
        if event not in ("call", "return"):
            return
        package = self._package(frame)
        if package is None:
            return
        if event == "return":
            if self._stack:
                self._stack.pop()
            return
        before = self._stack[-1] if self._stack else ""
        self._stack.append(package)
        if before and before != package:
            self.calls[before, package] += 1
        if not self.stops or self.stops[-1] != package:
            self.stops.append(package)


class Work:
    """Number of times that expensive work was done, by its kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    @contextmanager
    def counted(self, model: torch.nn.Module) -> Iterator[Work]:
        """Counts in the body of the ``with``."""
        import onnx
        import onnx_ir
        import onnxruntime

        watched: list[tuple[Any, str, str]] = [
            (torch.onnx, "export", "captures (torch.onnx.export)"),
            (torch.export, "export", "captures (torch.export)"),
            (torch.export, "save", "programs written"),
            (torch.export, "load", "programs read"),
            (onnx.checker, "check_model", "checker runs"),
            (onnxruntime, "InferenceSession", "ONNX Runtime sessions"),
            (onnx_ir, "save", "graphs written"),
            (onnx_ir, "load", "graphs read"),
        ]
        kept = [(owner, name, getattr(owner, name)) for owner, name, _ in watched]
        for owner, name, what in watched:
            setattr(owner, name, self._counting(getattr(owner, name), what))
        handle = model.register_forward_pre_hook(self._forward)
        try:
            yield self
        finally:
            handle.remove()
            for owner, name, value in kept:
                setattr(owner, name, value)

    def _counting(self, function: Any, what: str) -> Any:
        def counting(*args: Any, **kwargs: Any) -> Any:
            self.counts[what] += 1
            return function(*args, **kwargs)

        return counting

    def _forward(self, *_: Any) -> None:
        self.counts["forwards of the PyTorch model"] += 1


def run() -> Iterator[Row]:
    recipe = load_recipe(RECIPE)
    for targets in (["onnxruntime"], ["onnxruntime", "openvino", "torch"]):
        with tempfile.TemporaryDirectory() as folder:
            # The first time pays for imports and caches.
            modelport.deploy(recipe, Path(folder) / "warm.port", targets=targets)
            work, journey = Work(), Journey()
            with work.counted(recipe.model):
                modelport.deploy(recipe, Path(folder) / "counted.port", targets=targets)
            with journey.followed():
                modelport.deploy(recipe, Path(folder) / "followed.port", targets=targets)
        where = ", ".join(targets)
        yield Row(f"{where}: calls across packages", str(sum(journey.calls.values())))
        yield Row(f"{where}: pairs of packages", str(len(journey.calls)))
        yield Row(f"{where}: stops", str(len(journey.stops)))
        yield Row(f"{where}: returns to a package left before", str(journey.returns))
        for what, count in sorted(work.counts.items()):
            yield Row(f"{where}: {what}", str(count))
