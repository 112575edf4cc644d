"""Several models as one: a graph of stages, each with a thread that batches waiting calls."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from modelport.arrays import Array, Arrays
from modelport.backends import Engine
from modelport.backends.base import Binding
from modelport.errors import RunError, UsageError
from modelport.signature import Dim, Signature, TensorSpec


@dataclass(frozen=True)
class Stage:
    """A model among others.

    Attributes:
        name: The stage's name.
        bundle: Where its bundle lies.
        inputs: Where each input of the model comes from: ``stage.output`` of an earlier stage, or
            the name of an input of the whole.
        batch: Maximum number of rows (along the first axis of all inputs) of a run; rows of
            several calls are joined. 0 if its inputs are not batches: one call at a time.
    """

    name: str
    bundle: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    batch: int = 0

    def to_json(self) -> dict[str, Any]:
        """The stage as plain dicts and lists."""
        return {
            "name": self.name,
            "bundle": self.bundle,
            "inputs": dict(self.inputs),
            "batch": self.batch,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Stage:
        """Reads what `to_json` wrote."""
        return cls(data["name"], data["bundle"], dict(data["inputs"]), data["batch"])


def signature_of(
    stages: Sequence[Stage], signatures: Mapping[str, Signature], outputs: Mapping[str, str]
) -> Signature:
    """Signature of several models that run as one.

    Args:
        stages: The stages, each after those that it reads.
        signatures: The signature of each stage's model.
        outputs: The outputs of the whole: ``stage.output`` by name.

    Returns:
        The signature.

    Raises:
        UsageError: A stage reads or an output names what is not there, or two have one name.
    """
    known: dict[str, TensorSpec] = {}
    inputs: dict[str, TensorSpec] = {}
    dims: dict[str, Dim] = {}
    for stage in stages:
        own = signatures[stage.name]
        if "." in stage.name or any(name.startswith(f"{stage.name}.") for name in known):
            raise UsageError(
                f"{stage.name!r} is not a name for a stage", fix="names without dots, each once"
            )
        for spec in own.inputs:
            source = stage.inputs.get(spec.name)
            if source is None or ("." in source and source not in known):
                raise UsageError(
                    f"the stage {stage.name!r} gets nothing for its input {spec.name!r}",
                    why=f"it says {source!r}; before it there are: {', '.join(known) or 'none'}",
                    fix="name stage.output of a stage before it, or an input of the whole",
                )
            if "." not in source:
                inputs.setdefault(source, replace(spec, name=source))
            elif why := _misfit(known[source], spec):
                raise UsageError(
                    f"the stage {stage.name!r} cannot take {source} for its input {spec.name!r}",
                    why=f"{known[source]} is not {spec}: {why}",
                    fix="deploy one of the two with steps that make them fit",
                )
        dims |= dict(own.dims)
        known |= {f"{stage.name}.{spec.name}": spec for spec in own.outputs}
    missing = [source for source in outputs.values() if source not in known]
    if missing or not outputs:
        raise UsageError(
            f"no stage has the output {', '.join(missing)}" if missing else "there are no outputs",
            fix=f"there are: {', '.join(known)}",
        )
    specs = [replace(known[source], name=name) for name, source in outputs.items()]
    return Signature(tuple(inputs.values()), tuple(specs), dims)


def _misfit(output: TensorSpec, expected: TensorSpec) -> str:
    """The reason why an output cannot be an input; empty where it can."""
    if output.dtype != expected.dtype:
        return "their dtypes differ"
    if output.shape is None or expected.shape is None:
        return ""
    if len(output.shape) != len(expected.shape):
        return "their ranks differ"
    pairs = zip(output.shape, expected.shape, strict=True)
    fixed = [sizes for sizes in pairs if all(isinstance(size, int) for size in sizes)]
    return "" if all(one == other for one, other in fixed) else "their sizes differ"


class StagedEngine(Engine):
    """Several models that run as one.

    Calls may come from any thread, and `submit` does not wait: while one stage works on a
    picture, the others work on those before it.

    Args:
        stages: The stages.
        engines: The engine of each, by name.
        outputs: The outputs of the whole: ``stage.output`` by name.
    """

    def __init__(
        self, stages: Sequence[Stage], engines: Mapping[str, Engine], outputs: Mapping[str, str]
    ) -> None:
        signatures = {name: engine.signature for name, engine in engines.items()}
        first = engines[stages[0].name]
        super().__init__(signature_of(stages, signatures, outputs), first.target)
        self._outputs = dict(outputs)
        self._line = _Line([_Worker(stage, engines[stage.name]) for stage in stages])
        self._line.start()
        self.close: Callable[[], Any] = weakref.finalize(self, self._line.stop)
        """Ends the threads; calls that are still in a stage fail."""

    def submit(
        self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None
    ) -> Future[Arrays]:
        """Begins a run.

        Args:
            inputs: As `run` takes them.
            outputs: As `run` takes them.

        Returns:
            What will be the outputs, or the error.

        Raises:
            RunError: The inputs are not what the whole takes.
        """
        self._guard(inputs)
        sources = {name: self._outputs[name] for name in self._requested(outputs)}
        call = _Call(dict(inputs), sources, self)
        self._line.advance(call)
        return call.future

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> Arrays:
        """See `Engine.run`."""
        return self.submit(inputs, outputs).result()

    def bind(self, inputs: Mapping[str, Array], outputs: Arrays | None = None) -> Binding:
        """See `Engine.bind`; the results are copied."""
        return _Bound(self, dict(inputs), outputs or self.run(inputs))


class _Bound(Binding):
    def __init__(self, engine: StagedEngine, inputs: Arrays, outputs: Arrays) -> None:
        self._engine = engine
        self.inputs, self.outputs = inputs, outputs

    def run(self) -> Arrays:
        for name, array in self._engine.run(self.inputs, list(self.outputs)).items():
            if array.shape != self.outputs[name].shape:
                raise RunError(
                    f"output {name!r} has shape {list(array.shape)} now, its buffer "
                    f"{list(self.outputs[name].shape)}",
                    fix="use engine.run where shapes depend on values",
                )
            np.copyto(self.outputs[name], array)
        return self.outputs


class _Call:
    """One run of all stages."""

    def __init__(self, values: Arrays, sources: Mapping[str, str], engine: Engine) -> None:
        self.values = values
        self.wanted = sources
        self.engine: Engine | None = engine  # it lives until the call is done
        self.future: Future[Arrays] = Future()
        self.begun: set[str] = set()
        self.lock = threading.Lock()

    def fail(self, error: BaseException) -> None:
        with self.lock:
            if not self.future.done():
                self.future.set_exception(error)
            self.engine = None

    def finish_if_complete(self) -> None:
        with self.lock:
            complete = all(source in self.values for source in self.wanted.values())
            if complete and not self.future.done():
                self.future.set_result(
                    {name: self.values[source] for name, source in self.wanted.items()}
                )
                self.engine = None


class _Line:
    """The stages' threads."""

    def __init__(self, workers: Sequence[_Worker]) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        for worker in self._workers:
            threading.Thread(target=worker.work, args=(self.advance,), daemon=True).start()

    def stop(self) -> None:
        with self._lock:
            self._closed = True
            for worker in self._workers:
                worker.waiting.put(None)

    def advance(self, call: _Call) -> None:
        """Passes a call to the stages whose inputs are complete, or finishes it."""
        call.finish_if_complete()
        for worker in self._workers:
            with call.lock:
                ready = all(source in call.values for source in worker.stage.inputs.values())
                if call.future.done() or not ready or worker.stage.name in call.begun:
                    continue
                call.begun.add(worker.stage.name)
            with self._lock:
                if not self._closed:
                    worker.waiting.put(call)
                    continue
            call.fail(RunError("the engine was closed", fix="load it again"))


class _Worker:
    """A stage, and its queue of calls."""

    def __init__(self, stage: Stage, engine: Engine) -> None:
        self.stage = stage
        self.waiting: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._engine = engine

    def work(self, advance: Callable[[_Call], None]) -> None:
        """Runs until None comes."""
        held: _Call | None = None
        while True:
            call = held or self.waiting.get()
            if call is None:
                return
            calls, held, stop = self._together(call)
            self._run(calls, advance)
            if stop:
                return

    def _together(self, first: _Call) -> tuple[list[_Call], _Call | None, bool]:
        """The calls to join, a call that does not fit, and whether the queue has ended."""
        calls, rows = [first], self._rows(first)
        while self.stage.batch and rows < self.stage.batch:
            try:
                call = self.waiting.get_nowait()
            except queue.Empty:
                break
            if call is None:
                return calls, None, True
            more = self._rows(call)
            if rows + more > self.stage.batch or self._form(call) != self._form(first):
                return calls, call, False
            calls.append(call)
            rows += more
        return calls, None, False

    def _run(self, calls: Sequence[_Call], advance: Callable[[_Call], None]) -> None:
        try:
            if self.stage.batch:
                self._run_rows(calls)
            else:
                self._put(calls[0], self._engine.run(self._inputs(calls[0])))
        except Exception as error:  # noqa: BLE001 - it goes to who waits for the result
            for call in calls:
                call.fail(error)
            return
        for call in calls:
            advance(call)

    def _run_rows(self, calls: Sequence[_Call]) -> None:
        inputs = [self._inputs(call) for call in calls]
        whole = {name: np.concatenate([item[name] for item in inputs]) for name in inputs[0]}
        counts = [self._rows(call) for call in calls]
        outputs = self._in_batches(whole, sum(counts))
        begin = 0
        for call, count in zip(calls, counts, strict=True):
            self._put(call, {name: array[begin : begin + count] for name, array in outputs.items()})
            begin += count

    def _in_batches(self, whole: Arrays, rows: int) -> Arrays:
        if rows == 0:
            return {spec.name: _empty(spec) for spec in self._engine.signature.outputs}
        made = []
        for begin in range(0, rows, self.stage.batch):
            part = {name: array[begin : begin + self.stage.batch] for name, array in whole.items()}
            made.append(self._engine.run(part))
            count = min(self.stage.batch, rows - begin)
            for name, array in made[-1].items():
                if array.shape[:1] != (count,):
                    raise RunError(
                        f"the stage {self.stage.name!r} gave {name!r} of shape {list(array.shape)} "
                        f"for {count} rows",
                        fix="a stage with batches returns a row for each row; else set batch to 0",
                    )
        return {name: np.concatenate([part[name] for part in made]) for name in made[0]}

    def _inputs(self, call: _Call) -> Arrays:
        return {name: call.values[source] for name, source in self.stage.inputs.items()}

    def _rows(self, call: _Call) -> int:
        first = next(iter(self.stage.inputs.values()))
        return len(call.values[first])

    def _form(self, call: _Call) -> list[tuple[int, ...]]:
        return [array.shape[1:] for array in self._inputs(call).values()]

    def _put(self, call: _Call, outputs: Arrays) -> None:
        with call.lock:
            call.values |= {f"{self.stage.name}.{name}": array for name, array in outputs.items()}


def _empty(spec: TensorSpec) -> Array:
    rest = [dim if isinstance(dim, int) else 0 for dim in (spec.shape or (0,))[1:]]
    return np.empty((0, *rest), np.dtype(spec.dtype))
