"""Failure predicates for the minimization: a wrong result, a crash, or a command's exit code."""

from __future__ import annotations

import re
import shlex
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelport.arrays import Array
from modelport.child_process import Ended, Limits, python_command, run
from modelport.debug.partial_execution import PartialExecutor, Store, drawn_like
from modelport.debug.reference_tensors import Recorded
from modelport.debug.submodel import declare_inputs, is_tensor, submodel, used_values
from modelport.errors import BuildError, RunError, UsageError
from modelport.model import Model
from modelport.numerics import Judge, tolerance_for, write_case
from modelport.target import Target

if TYPE_CHECKING:
    import onnx_ir

Fails = Callable[[Path, Path], bool]
"""Predicate: a model (an ``.onnx`` file) fails on a case (an ``.npz`` file)."""

CRASH = "crash"
_BEYOND_LIMIT = 124
"""Exit code of `timeout` of the GNU core utilities."""


class FailureTest:
    """Predicate: some nodes of a model fail.

    Attributes:
        count: How many times that was asked.
    """

    def __init__(self, executor: PartialExecutor, inputs: dict[str, Array]) -> None:
        self.executor = executor
        self.inputs = inputs
        self.count = 0
        self._ends = {value.name for value in executor.ir.graph.outputs}

    def __call__(self, nodes: list[onnx_ir.Node]) -> bool:
        """Return True if the nodes, in their order, fail; False if their inputs are not known."""
        self.count += 1
        inputs = self._input_values(nodes)
        outputs = self._outputs(nodes)
        return inputs is not None and bool(outputs) and self._fails(nodes, inputs, outputs)

    def _input_values(self, nodes: list[onnx_ir.Node]) -> dict[str, Array] | None:
        """Values of the nodes' inputs; None if one is not known."""
        made = {out for node in nodes for out in node.outputs}
        used = dict.fromkeys(value for node in nodes for value in used_values(node))
        inputs = {}
        for value in used:
            if value in made or value.is_initializer():
                continue
            array = self.value(value)
            if array is None:
                return None
            inputs[value.name or ""] = array
        return inputs

    def _outputs(self, nodes: list[onnx_ir.Node]) -> list[str]:
        """Outputs of the nodes that the nodes themselves do not all consume."""
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
        self, nodes: list[onnx_ir.Node], inputs: dict[str, Array], outputs: list[str]
    ) -> bool:
        raise NotImplementedError

    def expected(self, name: str) -> Array | None:
        """The reference value of an output, or None if it is not known."""
        raise NotImplementedError

    def command(self, model: Path, case: Path) -> str:
        """The command that shows the failure."""
        raise NotImplementedError

    def write(self, nodes: list[onnx_ir.Node], folder: Path) -> tuple[Path, Path]:
        """Writes the model of some nodes, and its inputs."""
        inputs = self._input_values(nodes)
        assert inputs is not None
        outputs = self._outputs(nodes)
        piece = submodel(self.executor.ir, nodes, outputs)
        declare_inputs(piece, inputs)
        expected = {name: self.expected(name) for name in outputs}
        known = {name: array for name, array in expected.items() if array is not None}
        case = write_case(folder / "case.npz", inputs, known)
        return Model(piece).save(folder / "reduced.onnx"), case


class WrongResult(FailureTest):
    """The nodes' outputs differ from the reference's, on the reference's values."""

    def __init__(
        self, executor: PartialExecutor, inputs: dict[str, Array], recorded: Recorded
    ) -> None:
        super().__init__(executor, inputs)
        self._recorded = recorded
        self._judge = Judge(
            lambda dtype: tolerance_for(dtype, executor.target.precision), measuring=False
        )

    def value(self, value: onnx_ir.Value) -> Array | None:
        """The input, or the reference's value."""
        return self.inputs.get(value.name or "", self.expected(value.name or ""))

    def expected(self, name: str) -> Array | None:
        """The reference's value."""
        partner = self._recorded.pairs.get(name, "")
        return self._recorded.store.get(partner) if partner in self._recorded.store else None

    def _outputs(self, nodes: list[onnx_ir.Node]) -> list[str]:
        return [name for name in super()._outputs(nodes) if self.expected(name) is not None]

    def _fails(
        self, nodes: list[onnx_ir.Node], inputs: dict[str, Array], outputs: list[str]
    ) -> bool:
        try:
            made = self.executor.run(nodes, inputs, outputs)
        except (BuildError, RunError):
            return False
        references = {
            name: self._recorded.store.get(self._recorded.pairs[name]) for name in outputs
        }
        return not all(output.ok for output in self._judge(references, made))

    def command(self, model: Path, case: Path) -> str:
        """The comparison with the reference's outputs."""
        words = ["modelport", "compare", str(model), "--cases", str(case)]
        return shlex.join([*words, "--target", str(self.executor.target)])


@dataclass(frozen=True)
class Outcome:
    """Outcome of an external check of a model: an exit code.

    Attributes:
        code: 0 for a good model and case, else a number for how they fail.
        command: The command that asks again.
    """

    code: Callable[[Path, Path], int]
    command: Callable[[Path, Path], str]


class OutsideFailure(FailureTest):
    """Failure that something outside of this process reports, by an exit code."""

    def __init__(
        self,
        executor: PartialExecutor,
        inputs: dict[str, Array],
        store: Store,
        outcome: Outcome,
        folder: Path,
    ) -> None:
        super().__init__(executor, inputs)
        self._store = store
        self._outcome = outcome
        self._folder = folder
        self._first: int | None = None

    def value(self, value: onnx_ir.Value) -> Array | None:
        """Its recorded value, or else a random one."""
        name = value.name or ""
        if name in self.inputs:
            return self.inputs[name]
        return self._store.get(name) if name in self._store else drawn_like(value)

    def expected(self, name: str) -> Array | None:
        """Always None: the right output is not known."""
        return None

    def _fails(
        self, nodes: list[onnx_ir.Node], inputs: dict[str, Array], outputs: list[str]
    ) -> bool:
        piece = submodel(self.executor.ir, nodes, outputs)
        declare_inputs(piece, inputs)
        case = write_case(self._folder / "case.npz", inputs, {})
        code = self._outcome.code(Model(piece).save(self._folder / "reduced.onnx"), case)
        if self._first is None:
            self._first = code
        return code != 0 and code == self._first

    def command(self, model: Path, case: Path) -> str:
        """Asking the outside again."""
        return self._outcome.command(model, case)


def outcome_of(by: str | Fails, target: Target, timeout: float) -> Outcome:
    """The outcome that `shrink` names by its argument ``by``, other than a wrong result.

    Raises:
        UsageError: A command does not say where the model's path goes.
    """
    if not isinstance(by, str):
        return Outcome(lambda model, case: int(bool(by(model, case))), lambda *_: "")
    if by == CRASH:

        def words(model: Path, case: Path) -> list[str]:
            return python_command("modelport.debug.crash_worker", model, case, target)

        return Outcome(
            lambda model, case: _kind_of_failure(words(model, case), timeout),
            lambda model, case: shlex.join(["python", *words(model, case)[1:]]),
        )
    if "{model}" not in by:
        raise UsageError(
            f"the command {by!r} has no {{model}} in it", fix="say where its path goes"
        )

    def filled(model: Path, case: Path) -> str:
        text = by.replace("{model}", shlex.quote(str(model)))
        return text.replace("{case}", shlex.quote(str(case)))

    return Outcome(
        lambda model, case: exit_code(["sh", "-c", filled(model, case)], timeout), filled
    )


def _kind_of_failure(command: list[str], timeout: float) -> int:
    """Exit code of a command, 0 if it is good; different failures have different codes."""
    done = run(command, Limits(timeout))
    if done.exceeded or done.code not in (1, 2):
        return _code(done)
    text = re.sub(r"'[^']*'|\"[^\"]*\"|\(\S*\)|/\S*|[\d.,]+", "", done.errors)
    return zlib.crc32(text.encode())


def exit_code(command: list[str], timeout: float) -> int:
    """Exit code of a command: negative for a signal, 124 beyond a limit of time or memory."""
    return _code(run(command, Limits(timeout)))


def _code(done: Ended) -> int:
    return _BEYOND_LIMIT if done.exceeded else done.code
