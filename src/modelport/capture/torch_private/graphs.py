"""The graphs of the TorchScript exporter, in which symbolic functions emit their nodes."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from modelport.capture.torch_private.access import PRIVATE, resolve

MAX_REPLAY_OPSET = 23
"""The highest opset that PyTorch's serializer of TorchScript graphs knows."""


@contextmanager
def verbose_in_silence() -> Iterator[None]:
    """Keeps ``torch.onnx.export(..., dynamo=False, verbose=True)`` from printing the graph.

    It also writes where in the source each node comes from, which is what verbose is wanted for.
    """
    log = resolve("graph log")
    torch._C._jit_onnx_log = lambda *_: None
    try:
        yield
    finally:
        torch._C._jit_onnx_log = log


def new_graph() -> Any:
    """An empty TorchScript graph.

    PyTorch keeps the shapes that it infers in one global table, by the names of values, and
    names repeat from graph to graph. Inference over a whole graph empties the table first.
    """
    create = resolve("graph")
    resolve("shape inference")(create(), {}, MAX_REPLAY_OPSET)
    return create()


def is_value(thing: object) -> bool:
    """Whether a thing is a value of a TorchScript graph."""
    return isinstance(thing, resolve("graph value"))


def tensor_type(dtype: torch.dtype | None, sizes: Sequence[int | None] | None) -> Any:
    """The type of a tensor in a TorchScript graph; None stands for what is not known."""
    kind = resolve("tensor type")()
    if dtype is not None:
        kind = kind.with_dtype(dtype)
    return kind if sizes is None else kind.with_sizes(list(sizes))


def none_value(graph: Any) -> Any:
    """The value None in a TorchScript graph, which is how an absent optional input looks."""
    return _prim(graph, "prim::Constant", [], resolve("none type")())


def list_value(graph: Any, items: Sequence[Any]) -> Any:
    """A list of values in a TorchScript graph."""
    kind = resolve("list type")(resolve("tensor type")())
    return _prim(graph, "prim::ListConstruct", list(items), kind)


def unpacked(value: Any) -> list[Any]:
    """The items of a list in a TorchScript graph; any other value is an item itself."""
    if value is not None and value.node().kind() == "prim::ListConstruct":
        return list(value.node().inputs())
    return [value]


def _prim(graph: Any, kind: str, inputs: list[Any], type_: Any) -> Any:
    node = graph.insertNode(graph.create(kind, inputs, 1))
    value = node.output()
    value.setType(type_)
    return value


@functools.cache
def _context_class() -> Any:
    base = resolve("graph context")

    class Context(base):  # type: ignore[misc, valid-type]
        """The ``g`` of a symbolic function."""

        def op(self, opname: str, *raw_args: Any, outputs: int = 1, **kwargs: Any) -> Any:
            # The C++ side takes a None for a null pointer, and crashes later.
            absent = [none_value(self.graph) if arg is None else arg for arg in raw_args]
            return super().op(opname, *absent, outputs=outputs, **kwargs)

        def onnxscript_op(
            self, onnx_fn: Any, *raw_args: Any, outputs: int = 1, **kwargs: Any
        ) -> Any:
            # The original registers the function for the rest of the process.
            name = f"{onnx_fn.opset.domain}::{onnx_fn.name}"
            self.__dict__.setdefault("script_functions", []).append(onnx_fn)
            return self.op(name, *raw_args, outputs=outputs, **kwargs)

    return Context


def new_context(graph: Any, opset: int) -> Any:
    """The ``g`` that a symbolic function gets: it emits nodes into the graph."""
    context = _context_class()(
        graph=graph,
        block=graph.block(),
        opset=opset,
        original_node=None,
        params_dict={},
        env={},
        values_in_env=set(),
    )
    context.script_functions = []
    return context


@contextmanager
def export_opset(opset: int) -> Iterator[None]:
    """Sets the opset that the helpers of `torch.onnx.symbolic_helper` go by."""
    resolve("export globals")
    state = importlib.import_module(PRIVATE["export globals"][0]).GLOBALS
    before = state.export_onnx_opset_version
    state.export_onnx_opset_version = opset
    try:
        yield
    finally:
        state.export_onnx_opset_version = before


def serialize(graph: Any, opset: int) -> bytes:
    """Promotes scalar types as the TorchScript exporter does, and writes the graph as ONNX."""
    resolve("type promotion")(graph, True, opset)
    resolve("peephole")(graph, opset, False)
    resolve("dead code")(graph)
    serialized: bytes = graph._export_onnx(
        {}, opset, {}, False, resolve("export types"), True, False, {}, True, "", {}
    )[0]
    return serialized


def scalar_type_code(dtype: torch.dtype) -> int:
    """The number by which the TorchScript exporter knows a dtype."""
    return int(resolve("scalar types")(dtype))
