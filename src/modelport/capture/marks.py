"""`mark`: places in PyTorch code where the captured graph may be cut into parts."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from modelport.capture.export_flag import is_capturing
from modelport.capture.symbolic import register_symbolic
from modelport.graph.cut_marks import MARK_KEY

if TYPE_CHECKING:
    import onnx_ir
    import torch

_DOMAIN = "modelport.marks"


def mark(name: str) -> torch.nn.Module:
    """A place where the captured graph may be cut: ``x = modelport.mark("features")(x)``.

    What it returns is a module that gives its tensor back as it is; it may stand in a
    ``torch.nn.Sequential`` as well. `export` removes it and notes the name at the tensor, where
    `modelport.graph.partition` finds it; elsewhere it does nothing, in ``torch.onnx.export`` too.

    Args:
        name: The name of the cut. Several tensors may have one name: they are cut together.

    Returns:
        A module that takes and returns one tensor of any shape and dtype.

    Raises:
        TypeError: The name is not a string.
    """
    if not isinstance(name, str) or not name:
        raise TypeError(f"the name of a mark is a string that is not empty, not {name!r}")
    return _mark_class()(name)  # type: ignore[no-any-return]


@functools.cache
def _mark_class() -> Any:
    import torch

    _declare()

    class Mark(torch.nn.Module):
        """Gives its tensor back; while modelport captures, the graph gets to know of it."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        # No annotations: a compiler of TorchScript cannot resolve those that are text.
        def forward(self, x):  # type: ignore[no-untyped-def]
            # A compiled module cannot ask; there the symbolic function below does.
            if torch.jit.is_scripting():  # type: ignore[attr-defined]
                return torch.ops.modelport.mark(x, self.name)
            return self._in_python(x)

        @torch.jit.unused
        def _in_python(self, x):  # type: ignore[no-untyped-def]
            if is_capturing():
                return torch.ops.modelport.mark(x, self.name)
            return x

    return Mark


def _declare() -> None:
    """Declares the operator that stands for a mark while a graph is captured."""
    import torch

    library: Any = torch.library.Library("modelport", "FRAGMENT")  # type: ignore[no-untyped-call]
    library.define("mark(Tensor x, str name) -> Tensor")
    library.impl("mark", lambda x, name: x.clone(), "CompositeExplicitAutograd")
    torch.library.register_fake("modelport::mark", lambda x, name: torch.empty_like(x), lib=library)
    _LIBRARIES.append(library)
    register_symbolic("modelport::mark", _symbolic)


_LIBRARIES: list[Any] = []
"""Kept: what a library declares goes with it."""


def _symbolic(g: Any, x: Any, name: Any) -> Any:
    import torch

    if not is_capturing():
        return x
    text = (
        name
        if isinstance(name, str)
        else torch.onnx.symbolic_helper.parse_args("s")(lambda _, value: value)(g, name)
    )
    return g.op(f"{_DOMAIN}::Mark", x, name_s=text).setType(x.type())


def note_marks(ir: onnx_ir.Model) -> None:
    """Removes what stands for marks from a captured graph, and notes their names at the tensors.

    Args:
        ir: The graph, changed in place.
    """
    for node in list(ir.graph.all_nodes()):
        if node.domain != _DOMAIN or node.op_type != "Mark":
            continue
        before, after = node.inputs[0], node.outputs[0]
        assert before is not None
        assert node.graph is not None
        name = node.attributes["name"].as_string()
        taken = before.is_graph_input() or before.is_initializer() or before.is_graph_output()
        if after.is_graph_output() and taken:
            # A graph cannot give what it takes, nor one tensor twice.
            node.domain, node.op_type = "", "Identity"
            del node.attributes["name"]
            after.metadata_props[MARK_KEY + name] = ""
            continue
        if after.is_graph_output():
            own, after.name = after.name, None
            before.name = own
        after.replace_all_uses_with(before, replace_graph_outputs=True)
        node.graph.remove(node, safe=True)
        before.metadata_props[MARK_KEY + name] = ""
    ir.graph.opset_imports.pop(_DOMAIN, None)
