"""Adapters: an engine takes or gives a tensor in another form than the model declares.

The public form stays the model's. An adapter is data, so that every runtime can apply it: it lies
in the metadata of the graph that an engine is made from, and in the artifact's options.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from modelport.arrays import Array, Arrays
from modelport.backends.base import Artifact, Binding, Engine
from modelport.errors import BuildError, RunError
from modelport.signature import Signature, TensorSpec

if TYPE_CHECKING:
    import onnx_ir

ADAPTERS_KEY = "modelport.adapters"
"""Key of the adapters in the metadata of a graph."""
ADAPTERS_OPTION = "adapters"
"""Their name among an artifact's options."""


@dataclass(frozen=True)
class FixedPoint:
    """An input of floats that the engine takes as integers: times 2 ** `bits`, rounded to even.

    TensorRT makes shapes of integers alone. A float32 of 2 ** (23 - bits) and more is kept exactly.

    Attributes:
        tensor: The input's name.
        dtype: NumPy's name of the dtype that the model declares.
        bits: How many bits come after the point.
        values: The least, the usual and the largest values, row by row, that an engine is built
            for where nothing else is said.
    """

    kind: ClassVar[str] = "fixed-point"
    tensor: str
    dtype: str
    bits: int
    values: tuple[tuple[float, ...], ...] = ()

    def adapted(self, array: Array) -> Array:
        """What the engine takes, int64, for what the model takes.

        Raises:
            RunError: A value is not finite, or too large.
        """
        scaled = np.asarray(array, np.float64) * 2.0**self.bits
        if not np.all(np.abs(scaled) < 2.0**63):
            raise RunError(
                f"input {self.tensor!r} has a value that is not finite or too large",
                why=f"the engine takes it with {self.bits} bits after the point, in 64",
                fix=f"give values below {2.0 ** (63 - self.bits):g}",
            )
        return np.asarray(np.rint(scaled), np.int64)


@dataclass(frozen=True)
class Trim:
    """An output of which the engine gives more rows than the model: those after a count are none.

    Attributes:
        tensor: The output's name.
        axis: The axis of the rows.
        count: The output of the engine, int64 [1], that says how many of them there are.
    """

    kind: ClassVar[str] = "trim"
    tensor: str
    axis: int
    count: str


Adapter = FixedPoint | Trim


def adapters_of(ir: onnx_ir.Model) -> list[Adapter]:
    """The adapters that a graph's metadata hold.

    Raises:
        BuildError: They are not readable.
    """
    kept = ir.metadata_props.get(ADAPTERS_KEY, "[]")
    try:
        return adapters_from_json(json.loads(kept))
    except ValueError as error:
        raise BuildError(
            f"the graph's metadata {ADAPTERS_KEY!r} is not readable",
            why=str(error),
            fix="compile the model again",
        ) from error


def add_adapters(ir: onnx_ir.Model, adapters: Iterable[Adapter]) -> None:
    """Puts adapters to those that a graph's metadata hold."""
    every = [*adapters_of(ir), *adapters]
    ir.metadata_props[ADAPTERS_KEY] = json.dumps(adapters_to_json(every))


def adapters_to_json(adapters: Iterable[Adapter]) -> list[dict[str, Any]]:
    """Adapters as plain dicts and lists."""
    return [{"kind": item.kind, **dataclasses.asdict(item)} for item in adapters]


def adapters_from_json(data: Sequence[Mapping[str, Any]]) -> list[Adapter]:
    """Reads what `adapters_to_json` wrote.

    Raises:
        BuildError: An adapter is none that is known here.
    """
    kinds: dict[str, type[Adapter]] = {item.kind: item for item in (FixedPoint, Trim)}
    found: list[Adapter] = []
    for item in data:
        try:
            fields = {name: value for name, value in item.items() if name != "kind"}
            made = kinds[item["kind"]](**fields)
        except (AttributeError, KeyError, TypeError) as error:
            raise BuildError(
                f"unknown adapter {item!r}",
                why=f"{type(error).__name__}: {error}",
                fix="install the version of modelport that wrote it, or a later one",
            ) from error
        found.append(made)
    return found


def with_adapters(artifact: Artifact, adapters: Sequence[Adapter]) -> Artifact:
    """The artifact, with what `open_engine` needs to know of its adapters."""
    if not adapters:
        return artifact
    options = {**artifact.options, ADAPTERS_OPTION: adapters_to_json(adapters)}
    return dataclasses.replace(artifact, options=options)


def shape_values(
    adapters: Iterable[Adapter], given: Mapping[str, Sequence[Sequence[float]]]
) -> dict[str, list[list[int]]]:
    """The values that an engine is built for, as the engine takes them.

    Args:
        adapters: The graph's adapters.
        given: The least, the usual and the largest values by input, as the model takes them; by
            default those that the adapters hold.

    Returns:
        By input, those of `given` without an adapter included.
    """
    values: dict[str, Any] = {
        name: [np.atleast_1d(item).tolist() for item in sets] for name, sets in given.items()
    }
    for adapter in adapters:
        if isinstance(adapter, FixedPoint):
            sets = given.get(adapter.tensor, adapter.values)
            values[adapter.tensor] = [
                adapter.adapted(np.atleast_1d(item)).tolist() for item in sets
            ]
    return values


def public_signature(signature: Signature, adapters: Sequence[Adapter]) -> Signature:
    """What the model declares, from what its engine takes and gives."""
    dtypes = {item.tensor: item.dtype for item in adapters if isinstance(item, FixedPoint)}
    trims = {item.tensor: item for item in adapters if isinstance(item, Trim)}
    counts = {item.count for item in trims.values()}
    inputs = [
        dataclasses.replace(spec, dtype=dtypes.get(spec.name, spec.dtype))
        for spec in signature.inputs
    ]
    outputs = [
        _untrimmed(spec, trims.get(spec.name))
        for spec in signature.outputs
        if spec.name not in counts
    ]
    return dataclasses.replace(signature, inputs=tuple(inputs), outputs=tuple(outputs))


def _untrimmed(spec: TensorSpec, trim: Trim | None) -> TensorSpec:
    if trim is None or spec.shape is None:
        return spec
    shape = list(spec.shape)
    shape[trim.axis] = f"{trim.count}_size"
    return dataclasses.replace(spec, shape=tuple(shape))


class AdaptedEngine(Engine):
    """An engine behind adapters.

    Attributes:
        engine: The engine itself.
    """

    def __init__(self, engine: Engine, adapters: Sequence[Adapter], signature: Signature) -> None:
        super().__init__(signature, engine.target)
        self.engine = engine
        self._inputs = [item for item in adapters if isinstance(item, FixedPoint)]
        self._trims = {item.tensor: item for item in adapters if isinstance(item, Trim)}

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> Arrays:
        """Runs the model once; see `Engine.run`."""
        self._guard(inputs)
        names = self._requested(outputs)
        counts = {self._trims[name].count for name in names if name in self._trims}
        given = self.engine.run(self._adapted(inputs), [*names, *sorted(counts - set(names))])
        return {name: self._trimmed(name, given) for name in names}

    def bind(self, inputs: Mapping[str, Array], outputs: Arrays | None = None) -> Binding:
        """Fixes the buffers of a call; see `Engine.bind`.

        Raises:
            RunError: An output's size is known only after a run.
        """
        if self._trims:
            raise RunError(
                f"the size of the output {next(iter(self._trims))!r} is known only after a run",
                fix="call run",
            )
        self._guard(inputs)
        return _AdaptedBinding(
            self.engine.bind(self._adapted(inputs), outputs), inputs, self._inputs
        )

    def _adapted(self, inputs: Mapping[str, Array]) -> Arrays:
        changed = {item.tensor: item.adapted(inputs[item.tensor]) for item in self._inputs}
        return {**inputs, **changed}

    def _trimmed(self, name: str, given: Arrays) -> Array:
        trim = self._trims.get(name)
        if trim is None:
            return given[name]
        count = int(given[trim.count].reshape(-1)[0])
        return np.ascontiguousarray(np.take(given[name], np.arange(count), axis=trim.axis))


class _AdaptedBinding(Binding):
    """A bound call whose inputs are adapted before every run."""

    def __init__(
        self, binding: Binding, inputs: Mapping[str, Array], adapters: Sequence[FixedPoint]
    ) -> None:
        self.inputs = dict(inputs)
        self.outputs = binding.outputs
        self._binding, self._adapters = binding, adapters

    def run(self) -> Arrays:
        """Runs on what `inputs` hold now; see `Binding.run`."""
        for item in self._adapters:
            self._binding.inputs[item.tensor][...] = item.adapted(self.inputs[item.tensor])
        return self._binding.run()
