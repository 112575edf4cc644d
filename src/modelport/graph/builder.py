"""`build`: writing a graph by hand, over onnx_ir's tape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.errors import UsageError
from modelport.ir.shape_inference import infer_shapes
from modelport.model import Model

if TYPE_CHECKING:
    import onnx_ir


class Builder:
    """A graph that is being written: inputs, operators, outputs, and then `model`.

    Attributes:
        opset: Opset of the default domain.
        name: The graph's name.
    """

    def __init__(self, opset: int = 18, name: str = "graph") -> None:
        import onnx_ir

        self.opset = opset
        self.name = name
        self._tape = onnx_ir.tape.Tape()
        self._inputs: list[onnx_ir.Value] = []
        self._outputs: list[onnx_ir.Value] = []

    def input(self, name: str, dtype: str, shape: Sequence[int | str]) -> onnx_ir.Value:
        """An input.

        Args:
            name: Its name.
            dtype: NumPy's name of its dtype, such as ``float32``.
            shape: Sizes, and names of dynamic dimensions.

        Returns:
            The tensor, to be given to `op`.

        Raises:
            UsageError: The name is in use, or ONNX has no such dtype.
        """
        import onnx_ir

        self._require_free(name)
        value = onnx_ir.val(name, dtype=_dtype(dtype), shape=list(shape))
        self._inputs.append(value)
        return value

    def weight(self, name: str, array: Any) -> onnx_ir.Value:
        """An initializer with the values of an array."""
        import onnx_ir

        self._require_free(name)
        return self._tape.initializer(onnx_ir.tensor(np.asarray(array), name=name))

    def op(
        self,
        op: str,
        *inputs: onnx_ir.Value | None,
        name: str | None = None,
        domain: str = "",
        outputs: int = 1,
        **attributes: Any,
    ) -> Any:
        """A node.

        Args:
            op: The operator.
            inputs: The tensors that it reads; None for one that is left out.
            name: Name of its output, or the beginning of their names.
            domain: The operator's domain.
            outputs: How many outputs it has.
            attributes: Its attributes.

        Returns:
            Its output; a tuple where there are several.

        Raises:
            UsageError: The name is in use.
        """
        values = self._tape.op_multi_out(op, inputs, attributes, num_outputs=outputs, domain=domain)
        for index, value in enumerate(values):
            if name is not None:
                own = name if outputs == 1 else f"{name}_{index}"
                self._require_free(own)
                value.name = own
        return values[0] if outputs == 1 else tuple(values)

    def output(self, value: onnx_ir.Value, name: str | None = None) -> onnx_ir.Value:
        """Makes a tensor an output; renames it if a name is passed."""
        if name is not None and name != value.name:
            self._require_free(name)
            value.name = name
        self._outputs.append(value)
        return value

    def model(self) -> Model:
        """The model, with types and shapes inferred.

        Raises:
            UsageError: There is no output.
        """
        import onnx_ir
        from onnx_ir.passes.common import NameFixPass

        if not self._outputs:
            raise UsageError(f"the graph {self.name!r} has no output", fix="call output(...)")
        opsets = {domain: version or 1 for domain, version in self._tape.used_opsets}
        graph = onnx_ir.Graph(
            self._inputs,
            self._outputs,
            nodes=self._tape.nodes,
            initializers=self._tape.initializers,
            opset_imports=opsets | {"": self.opset},
            name=self.name,
        )
        ir = onnx_ir.Model(graph, ir_version=10)
        NameFixPass()(ir)
        infer_shapes(ir)
        return Model(ir)

    def _require_free(self, name: str) -> None:
        values = [value for node in self._tape.nodes for value in node.outputs]
        taken = {value.name for value in (*self._inputs, *self._tape.initializers, *values)}
        if not name or name in taken:
            raise UsageError(f"there is a tensor {name!r} already" if name else "a name is empty")


def build(opset: int = 18, name: str = "graph") -> Builder:
    """Begins a graph that is written by hand.

        g = build(opset=18)
        a, x, b = (g.input(name, "float32", [10, 10]) for name in "axb")
        g.output(g.op("Add", g.op("Mul", a, x), b), "output")
        g.model().save("linear.onnx")

    Args:
        opset: Opset of the default domain.
        name: The graph's name.
    """
    return Builder(opset, name)


def _dtype(name: str) -> onnx_ir.DataType:
    import onnx_ir

    names: Mapping[str, onnx_ir.DataType] = {
        "str": onnx_ir.DataType.STRING,
        "bfloat16": onnx_ir.DataType.BFLOAT16,
    }
    if name in names:
        return names[name]
    try:
        return onnx_ir.DataType.from_numpy(np.dtype(name))
    except TypeError as error:
        raise UsageError(f"ONNX has no dtype {name!r}", fix="such as float32 or int64") from error
