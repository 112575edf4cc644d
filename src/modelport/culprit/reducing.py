"""`shrink`: a failing model becomes a minimal one that still fails."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.culprit.bisecting import BUDGET, Bisecting, graph_or_recipe, inputs_of
from modelport.culprit.comparing import Cases, given_cases
from modelport.culprit.references import Recorded
from modelport.culprit.running import Pieces, Store, drawn_like
from modelport.culprit.subject import DEFAULT_TARGET, Source, parse_targets
from modelport.culprit.submodel import (
    declare_inputs,
    is_tensor,
    normalized,
    submodel,
    used_values,
)
from modelport.errors import BuildError, ProofError, RunError, UsageError
from modelport.model import Model
from modelport.progress import Progress, Stages
from modelport.proof import Case, Judge, draw_cases, tolerance_for, write_case
from modelport.target import Target

if TYPE_CHECKING:
    import onnx_ir

Array = np.ndarray[Any, Any]
Fails = Callable[[Path, Path], bool]
"""Whether a model (an ``.onnx`` file) fails on a case (an ``.npz`` file)."""

WRONG = "wrong"
CRASH = "crash"
_TIMEOUT = 600.0
_TIMED_OUT = 124
"""What `timeout` of the GNU core utilities exits with."""


@dataclass(frozen=True)
class Reduction:
    """A minimal model that fails as the whole one does.

    Attributes:
        nodes: Names of the nodes that are left.
        before: Number of nodes of the whole model, without constants.
        tests: How many models were tried.
        model: The minimal model.
        case: Its inputs, and what is expected of them where that is known.
        rerun: The command that shows the failure on it.
    """

    nodes: tuple[str, ...]
    before: int
    tests: int
    model: Path
    case: Path
    rerun: str

    def to_json(self) -> dict[str, Any]:
        """The reduction as plain dicts and lists."""
        return {
            "nodes": list(self.nodes),
            "before": self.before,
            "tests": self.tests,
            "model": str(self.model),
            "case": str(self.case),
            "rerun": self.rerun,
        }


def shrink(
    reference: Source,
    candidate: Source | None = None,
    *,
    by: str | Fails = WRONG,
    save: str | os.PathLike[str],
    targets: str | Sequence[Target | str] | None = None,
    cases: Cases = 3,
    budget: int = BUDGET,
    seed: int = 0,
    timeout: float = _TIMEOUT,
    progress: Progress | None = None,
) -> Reduction:
    """Shrinks a failing model to a minimal one.

    Nodes are taken away as long as what is left still fails; tensors that lose their maker become
    inputs with the values that they had. The search is ddmin (A. Zeller and R. Hildebrandt,
    Simplifying and Isolating Failure-Inducing Input, 2002): no single node of the result can be
    left out.

    Args:
        reference: What says what is right; for a crash or a command, the model itself.
        candidate: The failing model; the reference on the target by default.
        by: What failing means: ``wrong`` for outputs that differ from the reference's, ``crash``
            for a backend that fails or dies in a child process, a shell command with ``{model}``
            and, if it likes, ``{case}`` in it (it fails by its exit code), or a function of both
            paths. A crash or exit code must remain the one of the whole model.
        save: The folder to which the minimal model and its inputs are written.
        targets: As for `bisect`.
        cases: As for `compare`; the first that fails is looked into.
        budget: Mebibytes of tensors in memory at once, roughly.
        seed: Seed of what is drawn.
        timeout: Seconds after which a child process counts as failed.
        progress: Told of every stage.

    Returns:
        The minimal model.

    Raises:
        UsageError: Something cannot be read, or the command has no ``{model}``.
        ProofError: The whole model does not fail.
    """
    stage = Stages(progress)
    wanted = parse_targets(targets)
    target = wanted[-1] if wanted else DEFAULT_TARGET
    with tempfile.TemporaryDirectory(prefix="modelport-") as name:
        folder = Path(name)
        test: _Test
        if by == WRONG:
            work = Bisecting(reference, candidate, targets, budget << 20, stage)
            _, _, pieces, inputs, recorded = work.prepare(folder, cases, seed)
            test = _WrongResult(pieces, inputs, recorded)
        else:
            with stage("open"):
                model = _failing_model(reference if candidate is None else candidate, target)
                pieces = Pieces(normalized(model.ir), target)
                inputs = inputs_of(pieces, _first_case(model, cases, seed))
            with stage("record the tensors"):
                store = _record_in_child(pieces, inputs, folder, budget, timeout)
            test = _Outside(pieces, inputs, store, _judge_of(by, target, timeout), folder)
        with stage("shrink"):
            nodes = _minimal(pieces, test)
        made = test.write(nodes, Path(save))
    return Reduction(
        tuple(node.name or "" for node in nodes),
        len(pieces.ir.graph),
        test.count,
        made[0],
        made[1],
        test.command(*made),
    )


def _failing_model(source: Source, target: Target) -> Model:
    found = graph_or_recipe(source)
    if isinstance(found, Model):
        return found
    from modelport.capture import export

    return export(found, target=target, probes=False)


def _first_case(model: Model, cases: Cases, seed: int) -> Case:
    fixed = [case for case, _ in given_cases(cases, seed)]
    return fixed[0] if fixed else next(draw_cases(model.signature, {}, seed=seed))


def _minimal(pieces: Pieces, test: _Test) -> list[onnx_ir.Node]:
    nodes = list(pieces.ir.graph)
    if not test(nodes):
        raise ProofError(
            "there is nothing to shrink: the whole model does not fail",
            fix="give the case on which it fails with --cases, or compare first",
        )
    return ddmin(nodes, test)


def ddmin(items: list[Any], fails: Callable[[list[Any]], bool]) -> list[Any]:
    """The smallest part that still fails, as far as leaving out one item at a time can tell.

    Args:
        items: All items; they fail.
        fails: Whether some of them, in their order, fail.

    Returns:
        Some of the items, in their order.
    """
    parts = 2
    while len(items) >= 2:
        size = -(-len(items) // parts)
        chunks = [items[start : start + size] for start in range(0, len(items), size)]
        found = next((chunk for chunk in chunks if fails(chunk)), None)
        if found is not None:
            items, parts = found, 2
            continue
        rests = (
            [item for other in chunks if other is not chunk for item in other] for chunk in chunks
        )
        rest = next((rest for rest in rests if len(chunks) > 2 and fails(rest)), None)
        if rest is not None:
            items, parts = rest, max(parts - 1, 2)
        elif size == 1:
            break
        else:
            parts = min(2 * parts, len(items))
    return items


class _Test:
    """Whether some nodes of a model fail.

    Attributes:
        count: How many times that was asked.
    """

    def __init__(self, pieces: Pieces, inputs: dict[str, Array]) -> None:
        self.pieces = pieces
        self.inputs = inputs
        self.count = 0
        self._ends = {value.name for value in pieces.ir.graph.outputs}

    def __call__(self, nodes: list[onnx_ir.Node]) -> bool:
        self.count += 1
        given = self._given(nodes)
        outputs = self._outputs(nodes)
        return given is not None and bool(outputs) and self._fails(nodes, given, outputs)

    def _given(self, nodes: list[onnx_ir.Node]) -> dict[str, Array] | None:
        """Values of what the nodes take; None where one is not known."""
        made = {out for node in nodes for out in node.outputs}
        used = dict.fromkeys(value for node in nodes for value in used_values(node))
        given = {}
        for value in used:
            if value in made or value.is_initializer():
                continue
            array = self.value(value)
            if array is None:
                return None
            given[value.name or ""] = array
        return given

    def _outputs(self, nodes: list[onnx_ir.Node]) -> list[str]:
        """What the nodes make and do not all use up themselves."""
        inside = set(nodes)
        return [
            out.name or ""
            for node in nodes
            for out in node.outputs
            if out.name
            and is_tensor(out)
            and (
                out.name in self._ends
                or not out.uses()
                or any(usage.node not in inside for usage in out.uses())
            )
        ]

    def value(self, value: onnx_ir.Value) -> Array | None:
        """The value of a tensor that the nodes take."""
        raise NotImplementedError

    def _fails(
        self, nodes: list[onnx_ir.Node], given: dict[str, Array], outputs: list[str]
    ) -> bool:
        raise NotImplementedError

    def expected(self, name: str) -> Array | None:
        """What is expected of an output, where that is known."""
        raise NotImplementedError

    def command(self, model: Path, case: Path) -> str:
        """The command that shows the failure."""
        raise NotImplementedError

    def write(self, nodes: list[onnx_ir.Node], folder: Path) -> tuple[Path, Path]:
        """Writes the model of some nodes, and its inputs."""
        given = self._given(nodes)
        assert given is not None
        outputs = self._outputs(nodes)
        piece = submodel(self.pieces.ir, nodes, outputs)
        declare_inputs(piece, given)
        expected = {name: self.expected(name) for name in outputs}
        known = {name: array for name, array in expected.items() if array is not None}
        case = write_case(folder / "case.npz", given, known)
        return Model(piece).save(folder / "reduced.onnx"), case


class _WrongResult(_Test):
    """The nodes' outputs differ from the reference's, on the reference's values."""

    def __init__(self, pieces: Pieces, inputs: dict[str, Array], recorded: Recorded) -> None:
        super().__init__(pieces, inputs)
        self._recorded = recorded
        self._judge = Judge(
            lambda dtype: tolerance_for(dtype, pieces.target.precision), measuring=False
        )

    def value(self, value: onnx_ir.Value) -> Array | None:
        return self.inputs.get(value.name or "", self.expected(value.name or ""))

    def expected(self, name: str) -> Array | None:
        partner = self._recorded.pairs.get(name, "")
        return self._recorded.store.get(partner) if partner in self._recorded.store else None

    def _outputs(self, nodes: list[onnx_ir.Node]) -> list[str]:
        return [name for name in super()._outputs(nodes) if self.expected(name) is not None]

    def _fails(
        self, nodes: list[onnx_ir.Node], given: dict[str, Array], outputs: list[str]
    ) -> bool:
        try:
            made = self.pieces.run(nodes, given, outputs)
        except (BuildError, RunError):
            return False
        wanted = {name: self._recorded.store.get(self._recorded.pairs[name]) for name in outputs}
        return not all(output.ok for output in self._judge(wanted, made))

    def command(self, model: Path, case: Path) -> str:
        words = ["modelport", "compare", str(model), "--cases", str(case)]
        return shlex.join([*words, "--target", str(self.pieces.target)])


@dataclass(frozen=True)
class _Outcome:
    """Asks something outside whether a model fails, and how to ask it again."""

    code: Callable[[Path, Path], int]
    command: Callable[[Path, Path], str]


class _Outside(_Test):
    """Something outside of this process says so, by the code that it gives."""

    def __init__(
        self,
        pieces: Pieces,
        inputs: dict[str, Array],
        store: Store,
        outcome: _Outcome,
        folder: Path,
    ) -> None:
        super().__init__(pieces, inputs)
        self._store = store
        self._outcome = outcome
        self._folder = folder
        self._first: int | None = None

    def value(self, value: onnx_ir.Value) -> Array | None:
        name = value.name or ""
        if name in self.inputs:
            return self.inputs[name]
        return self._store.get(name) if name in self._store else drawn_like(value)

    def expected(self, name: str) -> Array | None:
        return None

    def _fails(
        self, nodes: list[onnx_ir.Node], given: dict[str, Array], outputs: list[str]
    ) -> bool:
        piece = submodel(self.pieces.ir, nodes, outputs)
        declare_inputs(piece, given)
        case = write_case(self._folder / "case.npz", given, {})
        code = self._outcome.code(Model(piece).save(self._folder / "reduced.onnx"), case)
        if self._first is None:
            self._first = code
        return code != 0 and code == self._first

    def command(self, model: Path, case: Path) -> str:
        return self._outcome.command(model, case)


def _judge_of(by: str | Fails, target: Target, timeout: float) -> _Outcome:
    if not isinstance(by, str):
        return _Outcome(lambda model, case: int(bool(by(model, case))), lambda *_: "")
    if by == CRASH:

        def words(model: Path, case: Path) -> list[str]:
            return ["-m", "modelport.culprit.child", str(model), str(case), str(target)]

        return _Outcome(
            lambda model, case: _kind_of_failure([sys.executable, *words(model, case)], timeout),
            lambda model, case: shlex.join(["python", *words(model, case)]),
        )
    if "{model}" not in by:
        raise UsageError(
            f"the command {by!r} has no {{model}} in it", fix="say where its path goes"
        )

    def filled(model: Path, case: Path) -> str:
        text = by.replace("{model}", shlex.quote(str(model)))
        return text.replace("{case}", shlex.quote(str(case)))

    return _Outcome(
        lambda model, case: _exit_code(["sh", "-c", filled(model, case)], timeout), filled
    )


def _kind_of_failure(command: list[str], timeout: float) -> int:
    """0 where the command is good; else a number for how it failed, whatever the tensors' names."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return _TIMED_OUT
    if done.returncode not in (1, 2):
        return done.returncode
    text = re.sub(r"'[^']*'|\"[^\"]*\"|\(\S*\)|/\S*|[\d.,]+", "", done.stderr)
    return zlib.crc32(text.encode())


def _exit_code(command: list[str], timeout: float) -> int:
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return _TIMED_OUT
    return done.returncode


def _record_in_child(
    pieces: Pieces, inputs: dict[str, Array], folder: Path, budget: int, timeout: float
) -> Store:
    """The tensors of a model, recorded by a process that may die of it: as far as it came."""
    (folder / "store").mkdir()
    path = Model(pieces.ir).save(folder / "whole.onnx")
    case = write_case(folder / "whole.npz", inputs, {})
    command = [sys.executable, "-m", "modelport.culprit.child", str(path), str(case)]
    _exit_code([*command, "--record", str(folder / "store"), str(budget)], timeout)
    return Store.opened(folder / "store")
