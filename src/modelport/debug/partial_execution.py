"""Execution of a graph piece by piece: all tensors are seen, in bounded memory."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.arrays import Array, Arrays
from modelport.debug.runnable import as_dtype, build_engine
from modelport.debug.submodel import GIVEN, declare_inputs, is_tensor, submodel, used_values
from modelport.errors import BuildError, RunError
from modelport.ir.shape_inference import infer_shapes
from modelport.model import Model, dtype_name
from modelport.numerics.cases import draw_values, numpy_dtype
from modelport.signature import TensorSpec
from modelport.target import Target

if TYPE_CHECKING:
    import onnx_ir


_MOST_NODES = 400
"""Maximum number of nodes in a piece: runtimes are slow on graphs with very many outputs."""
_UNKNOWN_BYTES = 1 << 20


_INDEX = "index.jsonl"


class Store:
    """Arrays on disk, by name; they survive a crash of the process.

    Attributes:
        sizes: Bytes of each array, by name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._dtypes: dict[str, np.dtype[Any]] = {}
        self._places: dict[str, Path] = {}
        self._count = 0
        self.sizes: dict[str, int] = {}

    def put(self, name: str, array: Array) -> None:
        """Stores an array under a name."""
        if array.dtype.kind == "O":
            array = array.astype(np.str_)
        path = self._places.setdefault(name, self._folder / f"{self._count}.npy")
        self._count += 1
        np.save(path, array)
        self._dtypes[name] = array.dtype
        self.sizes[name] = array.nbytes
        with (self._folder / _INDEX).open("a", encoding="utf-8") as index:
            index.write(json.dumps([name, path.name, array.dtype.name, array.nbytes]) + "\n")

    @classmethod
    def opened(cls, folder: Path) -> Store:
        """Opens the store that another process filled."""
        store = cls(folder)
        index = folder / _INDEX
        for line in index.read_text(encoding="utf-8").splitlines() if index.is_file() else ():
            name, file, dtype, size = json.loads(line)
            store._places[name] = folder / file
            store._dtypes[name] = numpy_dtype(dtype)
            store.sizes[name] = size
            store._count += 1
        return store

    def get(self, name: str) -> Array:
        """The array of a name.

        Raises:
            KeyError: There is none.
        """
        array: Array = np.load(self._places[name], allow_pickle=False)
        # What NumPy itself does not know (bfloat16) comes back as raw bytes.
        return array.view(self._dtypes[name]) if array.dtype.kind == "V" else array

    def forget(self, name: str) -> None:
        """Removes the array of a name, where there is one."""
        path = self._places.pop(name, None)
        if path is not None:
            path.unlink()
            del self._dtypes[name], self.sizes[name]

    def __contains__(self, name: str) -> bool:
        return name in self._places


class PartialExecutor:
    """Runs parts of one model on one target.

    Attributes:
        ir: The whole model, as `normalized` leaves it.
        target: What runs it.
    """

    def __init__(
        self, ir: onnx_ir.Model, target: Target, options: Mapping[str, Any] | None = None
    ) -> None:
        self.ir = ir
        self.target = target
        self._options = options

    def run(
        self,
        nodes: Sequence[onnx_ir.Node],
        inputs: Mapping[str, Array],
        outputs: Sequence[str],
        cut: Collection[str] = (),
    ) -> Arrays:
        """Runs some nodes.

        Args:
            nodes: The nodes, in the order of the graph.
            inputs: Arrays by the names of the tensors that they take.
            outputs: Names of tensors that they make.
            cut: See `submodel`; what is cut is in `inputs` under its own name.

        Returns:
            Arrays by output name.

        Raises:
            BuildError: The backend refuses the piece.
            RunError: It fails while running.
        """
        piece = submodel(self.ir, nodes, outputs, cut)
        arrays = {
            value.name or "": as_dtype(
                inputs[(value.name or "").removesuffix(GIVEN)], dtype_name(value.dtype)
            )
            for value in piece.graph.inputs
        }
        declare_inputs(piece, arrays)
        with tempfile.TemporaryDirectory() as folder:
            return build_engine(Model(piece), self.target, Path(folder), self._options).run(arrays)


class Failures(dict[str, str]):
    """Reasons why nodes could not be run, by node name."""


def walk(
    executor: PartialExecutor,
    inputs: Mapping[str, Array],
    budget: int,
    instead: Callable[[str], Array | None] = lambda _: None,
) -> Iterator[tuple[Arrays, Failures]]:
    """Runs a whole graph from front to back, each node once.

    Args:
        executor: The graph.
        inputs: Its inputs, by name.
        budget: Bytes of tensors that a piece may make. Later pieces' inputs are kept too.
        instead: A value for a tensor that could not be computed, by its name.

    Yields:
        All tensors that a piece made, by name, and why some of its nodes could not be run.
    """
    nodes = list(executor.ir.graph)
    sizes = estimated_bytes(executor.ir, inputs)
    uses = Counter(value.name for node in nodes for value in used_values(node))
    live: Arrays = dict(inputs)
    for piece in split(
        nodes, lambda node: sum(sizes[out.name or ""] for out in node.outputs), budget
    ):
        failures = Failures()
        made = _run_parts(executor, piece, live, failures, instead)
        yield made, failures
        live |= made
        for node in piece:
            uses.subtract(value.name for value in used_values(node))
        for name in [name for name in live if uses[name] <= 0]:
            del live[name]


def _run_parts(
    executor: PartialExecutor,
    nodes: Sequence[onnx_ir.Node],
    live: Mapping[str, Array],
    failures: Failures,
    instead: Callable[[str], Array | None],
) -> Arrays:
    """Runs nodes together if possible, else in halves, down to those that do not run."""
    missing = _missing(nodes, live)
    if len(nodes) == 1 and missing:
        failures[nodes[0].name or ""] = (
            f"it needs {', '.join(missing)}, which could not be computed"
        )
        return _instead(nodes[0], instead)
    if not missing:
        outputs = [
            out.name for node in nodes for out in node.outputs if out.name and is_tensor(out)
        ]
        try:
            return executor.run(nodes, live, outputs)
        except (BuildError, RunError) as error:
            if len(nodes) == 1:
                failures[nodes[0].name or ""] = error.why or error.what
                return _instead(nodes[0], instead)
    half = len(nodes) // 2
    first = _run_parts(executor, nodes[:half], live, failures, instead)
    second = _run_parts(executor, nodes[half:], {**live, **first}, failures, instead)
    return {**first, **second}


def _missing(nodes: Sequence[onnx_ir.Node], live: Mapping[str, Array]) -> list[str]:
    made = {out for node in nodes for out in node.outputs}
    used = dict.fromkeys(value for node in nodes for value in used_values(node))
    return [
        value.name or ""
        for value in used
        if value not in made and not value.is_initializer() and value.name not in live
    ]


def _instead(node: onnx_ir.Node, instead: Callable[[str], Array | None]) -> Arrays:
    found = {out.name or "": instead(out.name or "") for out in node.outputs}
    return {name: array for name, array in found.items() if array is not None}


def drawn_like(value: onnx_ir.Value) -> Array | None:
    """A random array of a value's dtype and shape; None if these are not known."""
    if value.shape is None or not value.shape.is_static() or value.dtype is None:
        return None
    name = value.name or ""
    spec = TensorSpec(name, dtype_name(value.dtype), value.shape.numpy())
    return draw_values(spec, {}, {}, None, "normal", np.random.default_rng(0))


def split(
    nodes: Iterable[onnx_ir.Node], size: Callable[[onnx_ir.Node], int], budget: int
) -> Iterator[list[onnx_ir.Node]]:
    """Consecutive nodes up to a budget of bytes; at least one at a time.

    A value that no engine can pass on (a sequence, say) keeps its makers and users together.
    """
    nodes = list(nodes)
    last = {value: index for index, node in enumerate(nodes) for value in used_values(node)}
    piece: list[onnx_ir.Node] = []
    total = 0
    together = 0
    for index, node in enumerate(nodes):
        full = total + size(node) > budget or len(piece) >= _MOST_NODES
        if piece and full and index > together:
            yield piece
            piece, total = [], 0
        piece.append(node)
        total += size(node)
        inner = [last.get(out, 0) for out in node.outputs if not is_tensor(out)]
        together = max([together, *inner])
    if piece:
        yield piece


def estimated_bytes(ir: onnx_ir.Model, inputs: Mapping[str, Array]) -> dict[str, int]:
    """Bytes of every tensor, inferred from the inputs' shapes.

    Args:
        ir: A model, as `normalized` leaves it.
        inputs: Arrays by input name.

    Returns:
        Bytes by name; where nothing can be inferred, as many as the largest that is known, up to
        a mebibyte.
    """
    import onnx_ir

    copy = ir.clone()
    for value in copy.graph.inputs:
        array = inputs.get(value.name or "")
        if array is not None:
            value.shape = onnx_ir.Shape(array.shape)
    for node in copy.graph:
        for out in node.outputs:
            if out.shape is not None and not out.shape.is_static():
                out.shape = None
    infer_shapes(copy)
    known = {out.name or "": _bytes(out) for node in copy.graph for out in node.outputs}
    most = max((size for size in known.values() if size is not None), default=_UNKNOWN_BYTES)
    guess = min(most, _UNKNOWN_BYTES)
    return {name: guess if size is None else size for name, size in known.items()}


def _bytes(value: onnx_ir.Value) -> int | None:
    if value.shape is None or not value.shape.is_static() or value.dtype is None:
        return None
    return int(np.prod(value.shape.numpy(), dtype=np.int64) * value.dtype.itemsize)
