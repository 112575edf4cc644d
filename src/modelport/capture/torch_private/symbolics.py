"""The private parts of PyTorch that honouring symbolic functions needs.

`PRIVATE` names each one; `resolve` fetches it, and says which version of PyTorch it was tested
with where it has moved. No other file may touch a private name of torch.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

from modelport.errors import ExportError
from modelport.findings import Finding, Severity

TESTED = ("2.13",)
"""Versions of PyTorch (major.minor) with which the private parts were tested."""

MAX_REPLAY_OPSET = 23
"""The highest opset that PyTorch's serializer of TorchScript graphs knows."""

_TORCHSCRIPT = "torch.onnx._internal.torchscript_exporter"
_SHAPES = "torch.fx.experimental.symbolic_shapes"

PRIVATE: Mapping[str, tuple[str, str]] = {
    "function base": ("torch.autograd.function", "_SingleLevelFunction"),
    "function apply": ("torch._C", "_FunctionBase.apply"),
    "dynamo apply": ("torch._dynamo.variables.misc", "AutogradFunctionVariable.call_apply"),
    "dynamo tracker": ("torch._dynamo.variables.base", "VariableTracker"),
    "graph": ("torch._C", "Graph"),
    "graph value": ("torch._C", "Value"),
    "tensor type": ("torch._C", "TensorType.get"),
    "none type": ("torch._C", "NoneType.get"),
    "list type": ("torch._C", "ListType"),
    "graph serializer": ("torch._C", "Graph._export_onnx"),
    "type promotion": ("torch._C", "_jit_pass_onnx_scalar_type_analysis"),
    "shape inference": ("torch._C", "_jit_pass_onnx_graph_shape_type_inference"),
    "peephole": ("torch._C", "_jit_pass_onnx_peephole"),
    "dead code": ("torch._C", "_jit_pass_dce_allow_deleting_nodes_with_side_effects"),
    "export types": ("torch._C._onnx", "OperatorExportTypes.ONNX"),
    "graph context": (f"{_TORCHSCRIPT}.jit_utils", "GraphContext"),
    "export globals": (f"{_TORCHSCRIPT}._globals", "GLOBALS.export_onnx_opset_version"),
    "registry": (f"{_TORCHSCRIPT}.registration", "registry._registry"),
    "group": (f"{_TORCHSCRIPT}.registration", "_SymbolicFunctionGroup.get"),
    "scalar types": (f"{_TORCHSCRIPT}._type_utils", "JitScalarType.from_dtype"),
    "recorder": ("torch.onnx._internal.exporter._building", "OpRecorder"),
    "fake tensor": ("torch._subclasses.fake_tensor", "FakeTensor"),
    "fake context": ("torch._library.fake_impl", "FakeImplCtx"),
    "library registry": ("torch._library.simple_registry", "singleton.find"),
    "kernel lookup": ("torch._C", "_dispatch_has_kernel_for_dispatch_key"),
    "custom operators": ("torch._library.custom_ops", "OPDEFS"),
    "scoped library": ("torch.library", "_scoped_library"),
    "dispatcher": ("torch._C", "_dispatch_has_kernel"),
    "no modes": ("torch.utils._python_dispatch", "_disable_current_modes"),
    "unbacked symbols": (_SHAPES, "free_unbacked_symbols"),
    "fresh symbols": (_SHAPES, "ShapeEnv.ignore_fresh_unbacked_symbols"),
    "guard log": (_SHAPES, "ShapeEnv._log_guard"),
    "symbolic files": (_SHAPES, "uninteresting_files"),
    "tree map": ("torch.utils._pytree", "tree_map"),
    "dispatch mode": ("torch.utils._python_dispatch", "TorchDispatchMode"),
    "graph log": ("torch._C", "_jit_onnx_log"),
    "register": ("torch.onnx", "register_custom_op_symbolic"),
    "unregister": ("torch.onnx", "unregister_custom_op_symbolic"),
}
"""Every private name in use: what for, and (module, path of attributes)."""


def version() -> str:
    """The major and minor version of the PyTorch at hand, such as ``2.13``."""
    return ".".join(torch.__version__.split(".")[:2])


def check_version() -> Finding | None:
    """A finding where the PyTorch at hand is outside of the tested range."""
    if version() in TESTED:
        return None
    return Finding(
        rule="torch-untested",
        severity=Severity.WARNING,
        message=(
            f"PyTorch {torch.__version__} has not been tested with the bridge for symbolic "
            f"functions, which uses private parts of PyTorch (tested: {', '.join(TESTED)})."
        ),
        fix="compare the exported model with the original, or use a tested version",
    )


@functools.cache
def resolve(purpose: str) -> Any:
    """Fetches a private part of PyTorch.

    Args:
        purpose: A key of `PRIVATE`.

    Returns:
        The object.

    Raises:
        ExportError: The PyTorch at hand does not have it.
    """
    module, path = PRIVATE[purpose]
    try:
        found: Any = importlib.import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        raise ExportError(
            f"PyTorch {torch.__version__} has no {module}.{path}",
            where=__name__,
            why="it is a private part of PyTorch, and it has moved",
            fix=f"install a tested version of PyTorch: {', '.join(TESTED)}",
        ) from error
    return found


# --- the TorchScript exporter ------------------------------------------------------------------


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


# --- torch.autograd.Function -------------------------------------------------------------------


def original_apply(cls: type) -> Callable[..., Any]:
    """The `apply` of a Function's class as PyTorch has it, whatever hook is installed."""
    resolve("function apply")
    base = resolve("function base").__mro__[1]
    bound: Callable[..., Any] = base.__dict__["apply"].__get__(None, cls)
    return bound


def has_setup_context(cls: Any) -> bool:
    """Whether a Function's forward takes no context, because `setup_context` does."""
    return cls.setup_context is not resolve("function base").setup_context


def install_apply(hook: Callable[..., Any]) -> None:
    """Makes ``hook(cls, *args, **kwargs)`` what every Function's `apply` ends in.

    `Function.apply` ends with ``super().apply``. The class between it and the C base does not
    define `apply`, so that one attribute there catches also an `apply` that was looked up before.
    """
    base = resolve("function base")
    if "apply" in base.__dict__:
        raise ExportError(
            "torch.autograd.Function is already patched by somebody else",
            where=repr(base.__dict__["apply"]),
            fix="remove the other patch of _SingleLevelFunction.apply during the export",
        )
    base.apply = classmethod(hook)


def remove_apply() -> None:
    """Takes the hook of `install_apply` away again."""
    del resolve("function base").apply


def redirect_dynamo(hook: Callable[[type], Callable[..., Any] | None]) -> Callable[[], None]:
    """Tells dynamo what to call where a model applies a Function.

    Dynamo traces strict exports and the branches of control flow. It knows Functions by their
    class, so that the hook of `install_apply` is not seen there.

    Args:
        hook: Gives for a class what to call, opaque to dynamo, or None to leave it alone.

    Returns:
        What undoes it.
    """
    resolve("dynamo apply")
    variable = importlib.import_module(PRIVATE["dynamo apply"][0]).AutogradFunctionVariable
    tracker = resolve("dynamo tracker")
    original = variable.call_apply

    def call_apply(self: Any, tx: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
        function = hook(self.fn_cls)
        if function is None:
            return original(self, tx, args, kwargs)
        return tracker.build(tx, function).call_function(tx, args, kwargs)

    def restore() -> None:
        variable.call_apply = original

    variable.call_apply = call_apply
    return restore


# --- the graph of the TorchScript exporter -----------------------------------------------------


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


# --- registered symbolic functions -------------------------------------------------------------


def _groups() -> Mapping[str, Any]:
    groups: Mapping[str, Any] = resolve("registry")
    return groups


def overriding_symbolics(opset: int) -> dict[str, Callable[..., Any]]:
    """The symbolic functions that users registered and that hold at an opset, by operator name."""
    found = {}
    for name, group in _groups().items():
        custom = group._functions._overrides
        function = group.get(opset) if custom else None
        if function is not None and any(function is other for other in custom.values()):
            found[name] = function
    return found


def registered_opsets(name: str) -> list[int]:
    """The opsets at which an operator has a symbolic function, PyTorch's own included."""
    group = _groups().get(name)
    return [] if group is None else sorted(group._functions)


def overriding_symbolic_at(name: str, opset: int) -> Callable[..., Any] | None:
    """The function that a user registered for an operator at exactly this opset."""
    group = _groups().get(name)
    function: Callable[..., Any] | None = (
        None if group is None else group._functions._overrides.get(opset)
    )
    return function


def register(name: str, function: Callable[..., Any], opset: int) -> None:
    """Registers a symbolic function with PyTorch."""
    resolve("register")(name, function, opset)


def unregister(name: str, opset: int) -> None:
    """Takes back what `register` did."""
    resolve("unregister")(name, opset)
    groups = resolve("registry")
    # PyTorch keeps the empty group, and fails on it where the operator is met again.
    if name in groups and not groups[name]._functions:
        del groups[name]


# --- the new exporter --------------------------------------------------------------------------


def recorder() -> Any:
    """What the new exporter collects nodes in, while it translates one operator."""
    import onnxscript.evaluator

    found = onnxscript.evaluator.default()
    if not isinstance(found, resolve("recorder")):
        raise ExportError(
            "a symbolic function was translated outside of torch.onnx.export",
            where=type(found).__name__,
            fix="pass the bridge's translation_table to torch.onnx.export(dynamo=True)",
        )
    return found


def capture_strategy(program: Any) -> str:
    """How torch.onnx.export captured a program, such as ``TorchExportNonStrictStrategy``."""
    return str(getattr(program, "_capture_strategy", None) or "")


# --- fake tensors and symbolic sizes -----------------------------------------------------------


def fake_shape_env() -> Any:
    """The shape environment of the fake kernel that is running; None where shapes are static."""
    resolve("fake context")
    context: Any = torch.library.get_ctx()
    return context._shape_env


def ignore_fresh_symbols(shape_env: Any) -> AbstractContextManager[Any]:
    """Allows data-dependent sizes to appear and be dropped again."""
    resolve("fresh symbols")
    manager: AbstractContextManager[Any] = shape_env.ignore_fresh_unbacked_symbols()
    return manager


def unbacked_symbols(things: Any) -> set[Any]:
    """The symbols of data-dependent sizes in sizes or tensors."""
    return set(resolve("unbacked symbols")(things))


def size_expression(size: int | torch.SymInt) -> Any:
    """The sympy expression of a symbolic size, or the size itself."""
    return size.node.expr if isinstance(size, torch.SymInt) else size


def is_fake(tensor: object) -> bool:
    """Whether a tensor has a shape and no data."""
    return isinstance(tensor, resolve("fake tensor"))


def change_count(tensor: torch.Tensor) -> int:
    """How often a tensor was written to in place."""
    return tensor._version


def in_dispatcher(op: Any) -> bool:
    """Whether an overload can be called; some exist for TorchScript only."""
    return bool(resolve("dispatcher")(op.name()))


def has_fake_kernel(op: Any) -> bool:
    """Whether an operator can be traced without data."""
    name = op.name()
    definition = resolve("custom operators").get(name)
    if definition is not None:
        return definition._abstract_fn is not None
    if resolve("library registry")(name).fake_impl.kernel is not None:
        return True
    keys = ("Meta", "CompositeImplicitAutograd", "CompositeExplicitAutograd")
    return any(resolve("kernel lookup")(name, key) for key in keys)


def without_modes() -> AbstractContextManager[Any]:
    """Runs operators on real tensors, although a model is being captured."""
    manager: AbstractContextManager[Any] = resolve("no modes")()
    return manager


@contextmanager
def fake_kernel(op: Any, fake: Callable[..., Any]) -> Iterator[None]:
    """Gives an operator a fake kernel, for the block only."""
    definition = resolve("custom operators").get(op.name())
    if definition is not None:
        # Declared with torch.library.custom_op, which already has one that raises.
        before = definition._abstract_fn
        definition._abstract_fn = fake
        try:
            yield
        finally:
            definition._abstract_fn = before
        return
    with resolve("scoped library")(op.namespace, "FRAGMENT") as library:
        torch.library.register_fake(op.name(), fake, lib=library)
        yield


def new_library(namespace: str) -> Any:
    """A namespace for operators; PyTorch's own type of it has no annotations."""
    create: Any = torch.library.Library
    return create(namespace, "DEF")


# --- schemas of operators ----------------------------------------------------------------------


def parameters(op: Any) -> list[tuple[str, Any]]:
    """Names and defaults of an operator's parameters; None where there is no default."""
    arguments = op._schema.arguments
    return [(a.name, a.default_value if a.has_default_value() else None) for a in arguments]


def parameter_names(op: Any) -> list[str]:
    """Names of an operator's parameters."""
    return [name for name, _ in parameters(op)]


def positional_count(op: Any) -> int:
    """How many of an operator's parameters may be passed by position."""
    return sum(not argument.kwarg_only for argument in op._schema.arguments)


def mutates(op: Any) -> bool:
    """Whether an operator writes to its arguments."""
    return bool(op._schema.is_mutable)


def return_count(op: Any) -> int | None:
    """How many tensors an operator returns; None where it returns a list."""
    returns = op._schema.returns
    if len(returns) == 1 and str(returns[0].type).startswith("List"):
        return None
    return len(returns)


def returns_one_tensor(op: Any) -> bool:
    """Whether an operator returns one tensor, neither a tuple nor a list."""
    return return_count(op) == 1


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """Applies a function to every leaf of nested containers."""
    return resolve("tree map")(function, tree)


def watch_operators(
    seen: Callable[[Any, tuple[Any, ...], dict[str, Any]], None],
) -> AbstractContextManager[Any]:
    """Calls ``seen(op, args, kwargs)`` before every operator that PyTorch runs."""
    base = resolve("dispatch mode")

    class Watch(base):  # type: ignore[misc, valid-type]
        def __torch_dispatch__(
            self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
        ) -> Any:
            seen(func, args, kwargs or {})
            return func(*args, **(kwargs or {}))

    watch: AbstractContextManager[Any] = Watch()
    return watch
