"""Per-node error with the reference's inputs, and accumulated error.

Each node runs on the reference's values of its inputs, so that an error upstream is not counted
again downstream. The accumulated error is that of a run from the model's inputs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.arrays import Array
from modelport.debug.partial_execution import Failures, PartialExecutor, Store, split, walk
from modelport.debug.submodel import closure, is_tensor, used_values
from modelport.errors import BuildError, RunError
from modelport.ir.random_operators import draws
from modelport.numerics import (
    ComparedOutput,
    Judge,
    node_tolerance_for,
    tolerance_for,
)

if TYPE_CHECKING:
    import onnx_ir


"""Operators of which two runs differ."""
_HEALED = 0.01
"""Share of an error that may be left behind it if the pair was wrong: two other tensors."""
_ROUNDS = 4


@dataclass(frozen=True)
class TensorPair:
    """A tensor of the candidate and its partner in the reference.

    Attributes:
        tensor: Its name in the candidate.
        partner: Its name in the reference.
        node: Name of the node that makes it.
        own: The error that its node makes of the reference's inputs; None where it was not run.
        grown: The error in the candidate's own run, from the inputs to here.
    """

    tensor: str
    partner: str
    node: str
    own: ComparedOutput | None = None
    grown: ComparedOutput | None = None

    def to_json(self) -> dict[str, Any]:
        """The pair as plain dicts and lists."""
        return {
            "tensor": self.tensor,
            "partner": self.partner,
            "node": self.node,
            "own": None if self.own is None else _brief(self.own),
            "grown": None if self.grown is None else _brief(self.grown),
        }


def _brief(error: ComparedOutput) -> dict[str, Any]:
    figures = error.verdict.rms_rel, error.verdict.max_rel
    rms_rel, max_rel = (value if np.isfinite(value) else str(value) for value in figures)
    return {"ok": error.ok, "rms_rel": rms_rel, "max_rel": max_rel, "reason": error.verdict.reason}


@dataclass
class Divergence:
    """Divergence of a candidate from a reference.

    Attributes:
        links: Every pair of tensors, in the order of the candidate's graph.
        first: The first link whose own error is beyond tolerance and does not heal; None where
            there is none.
        region: Names of the nodes between the link and the pairs before it: the culprit's own
            node, and what has no partner.
        expected: The reference's value of the first link.
        inputs: What the region takes, by name.
        actual: What it makes of them.
        not_run: Why nodes could not be run, by name.
    """

    links: list[TensorPair] = field(default_factory=list)
    first: TensorPair | None = None
    region: tuple[str, ...] = ()
    expected: Array | None = None
    inputs: dict[str, Array] = field(default_factory=dict)
    actual: Array | None = None
    not_run: dict[str, str] = field(default_factory=dict)


class LayerwiseComparator:
    """Compares a graph with known values of its tensors.

    Args:
        executor: The candidate.
        inputs: Its inputs, by name.
        known: The reference's values, by the reference's names.
        pairs: Names of the reference by those of the candidate.
        budget: Bytes of tensors that may be in memory at once, roughly.
        precision: The precision of the target's arithmetic.
    """

    def __init__(
        self,
        executor: PartialExecutor,
        inputs: Mapping[str, Array],
        known: Store,
        pairs: Mapping[str, str],
        budget: int,
        precision: str,
    ) -> None:
        self._pieces = executor
        self._inputs = inputs
        self._known = known
        self._budget = budget
        self._precision = precision
        self._makers = {out.name or "": node for node in executor.ir.graph for out in node.outputs}
        self._order = {node: index for index, node in enumerate(executor.ir.graph)}
        self.pairs = {
            name: partner
            for name, partner in pairs.items()
            if name in self._makers and partner in known and self._usable(name)
        }
        self._taken = {*inputs, *self.pairs}
        self._grown: dict[str, ComparedOutput] = {}
        self._dtypes: dict[str, str] = {}
        self.failures = Failures()

    def _usable(self, name: str) -> bool:
        node = self._makers[name]
        value = next(out for out in node.outputs if out.name == name)
        return is_tensor(value) and not draws(node)

    def grow(self, keep: Store | None = None) -> None:
        """Runs the candidate from its inputs on, and measures the error of every pair.

        Args:
            keep: Where to keep all of its tensors.
        """
        judge = self._judge(tolerance_for)
        for made, failures in walk(self._pieces, self._inputs, self._budget, self._known_value):
            self.failures |= failures
            for name, array in made.items():
                self._dtypes[name] = array.dtype.name
                if keep is not None:
                    keep.put(name, array)
                if name in self.pairs:
                    expected = self._known.get(self.pairs[name])
                    self._grown[name] = judge({name: expected}, {name: array})[0]

    def _known_value(self, name: str) -> Array | None:
        return self._known.get(self.pairs[name]) if name in self.pairs else None

    def _judge(self, tolerance: Callable[..., Any], precision: str | None = None) -> Judge:
        bound = functools.partial(tolerance, precision=precision or self._precision)
        return Judge(bound, measuring=False)

    def find_divergence(self, *, all_nodes: bool) -> Divergence:
        """Finds the first pair that differs on the reference's inputs.

        Args:
            all_nodes: Whether to go on behind it.

        Returns:
            The pairs, and the first of them that differs.
        """
        result = Divergence(not_run=self.failures)
        for _ in range(_ROUNDS):
            own, first = self._pass(all_nodes=all_nodes)
            healed = [name for name in own if not own[name].ok and self._heals(name, own[name])]
            if first is None or not healed:
                break
            # A difference without consequences was a wrong pair: the pairs behind it are compared.
            for name in healed:
                del self.pairs[name]
                self._taken.discard(name)
        result.links = [
            TensorPair(
                name,
                self.pairs[name],
                self._makers[name].name or "",
                own.get(name),
                self._grown.get(name),
            )
            for name in self._makers
            if name in self.pairs
        ]
        if first is not None:
            result.first = next(link for link in result.links if link.tensor == first)
            result.region = tuple(node.name or "" for node in self.region(first))
            result.expected = self._known.get(self.pairs[first])
            _, taken = closure([self._makers[first]], self._taken)
            result.inputs = {name: self._input_value(name) for name in sorted(taken)}
            result.actual = self._run_on_known([first])[first]
        return result

    def _pass(self, *, all_nodes: bool) -> tuple[dict[str, ComparedOutput], str | None]:
        """The own error of pairs in order, up to the first that differs and does not heal."""
        own: dict[str, ComparedOutput] = {}
        first: str | None = None
        for names in self._chunks():
            own |= self._own_errors(names)
            first = next(
                (name for name in own if not own[name].ok and not self._heals(name, own[name])),
                None,
            )
            if first is not None and not all_nodes:
                break
        return own, first

    def _chunks(self) -> Iterator[list[str]]:
        """Pairs in the order of the graph, as many as fit into the budget."""

        def size(node: onnx_ir.Node) -> int:
            names = [value.name or "" for value in (*used_values(node), *node.outputs)]
            return sum(self._known.sizes.get(self.pairs.get(name, ""), 0) for name in names)

        for nodes in split(self._pieces.ir.graph, size, self._budget):
            names = [out.name or "" for node in nodes for out in node.outputs]
            if chosen := [name for name in names if name in self.pairs]:
                yield chosen

    def _own_errors(self, names: Sequence[str]) -> dict[str, ComparedOutput]:
        """The own errors of pairs: their nodes run on the reference's values."""
        try:
            made = self._run_on_known(names)
        except (BuildError, RunError) as error:
            if len(names) == 1:
                self.failures.setdefault(self._makers[names[0]].name or "", error.why or error.what)
                return {}
            half = len(names) // 2
            return self._own_errors(names[:half]) | self._own_errors(names[half:])
        return {name: self._compare(name, array) for name, array in made.items()}

    def _compare(self, name: str, actual: Array) -> ComparedOutput:
        region = self.region(name)
        tolerance = node_tolerance_for if len(region) == 1 else tolerance_for
        expected = self._known.get(self.pairs[name])
        judge = self._judge(tolerance, self._precision_of(region))
        return judge({name: expected}, {name: actual})[0]

    def _precision_of(self, region: Sequence[onnx_ir.Node]) -> str:
        """The precision of a region's own dtypes: half precision is judged as such."""
        dtypes = {
            self._dtypes.get(value.name or "", "")
            for node in region
            for value in (*node.inputs, *node.outputs)
            if value is not None
        }
        found = {"float16": "fp16", "bfloat16": "bf16"}
        return next((found[dtype] for dtype in dtypes if dtype in found), self._precision)

    def region(self, name: str) -> list[onnx_ir.Node]:
        """The nodes between a tensor and the pairs before it, its own node included."""
        nodes, _ = closure([self._makers[name]], self._taken)
        return sorted(nodes, key=self._order.__getitem__)

    def _run_on_known(self, names: Sequence[str]) -> dict[str, Array]:
        nodes, taken = closure([self._makers[name] for name in names], self._taken)
        inputs = {name: self._input_value(name) for name in taken}
        ordered = sorted(nodes, key=self._order.__getitem__)
        return self._pieces.run(ordered, inputs, names, self._taken)

    def _input_value(self, name: str) -> Array:
        """The reference's value of an input of a region."""
        if name in self._inputs and name not in self.pairs:
            return self._inputs[name]
        array = self._known.get(self.pairs[name])
        dtype = self._dtypes.get(name, array.dtype.name)
        with np.errstate(over="ignore"):
            return array if dtype == array.dtype.name else array.astype(dtype)

    def _heals(self, name: str, own: ComparedOutput) -> bool:
        """Return True if the pairs right behind a difference agree."""
        behind = self._behind(name)
        grown = [self._grown[other] for other in behind if other in self._grown]
        if not grown or any(out.name == name for out in self._pieces.ir.graph.outputs):
            return False
        if not np.isfinite(own.verdict.rms_rel) or own.verdict.reason:
            return all(error.ok for error in grown)
        return all(
            error.ok and error.verdict.rms_rel <= _HEALED * own.verdict.rms_rel for error in grown
        )

    def _behind(self, name: str) -> list[str]:
        """The next pairs on every path behind a tensor."""
        found: dict[str, None] = {}
        graph = self._pieces.ir.graph
        users: dict[str, list[onnx_ir.Node]] = _users_of(graph)
        stack, seen = [name], {name}
        while stack:
            for node in users.get(stack.pop(), ()):
                for out in node.outputs:
                    other = out.name or ""
                    if other in seen:
                        continue
                    seen.add(other)
                    if other in self.pairs:
                        found[other] = None
                    else:
                        stack.append(other)
        return list(found)


@functools.lru_cache(maxsize=4)
def _users_of(graph: onnx_ir.Graph) -> dict[str, list[onnx_ir.Node]]:
    users: dict[str, list[onnx_ir.Node]] = {}
    for node in graph:
        for value in used_values(node):
            users.setdefault(value.name or "", []).append(node)
    return users
