"""Faults to plant into ONNX graphs: what goes wrong in practice, at a node of one's choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch

from modelport import Model
from modelport.debug.origin import module_of

Plant = Callable[[Model, Model, torch.nn.Module, int], str]
"""Plants a fault into the second of two equal models, at the operator of a number; the first may
be changed as well, where the fault needs it. Returns the name of the node at fault."""


@dataclass(frozen=True)
class Fault:
    """A fault in one of the models.

    Attributes:
        kind: What goes wrong.
        model: The model's name.
        plant: Plants it.
        index: Which of the operators in question.
    """

    kind: str
    model: str
    plant: Plant
    index: int

    def __str__(self) -> str:
        return f"{self.model}-{self.kind}-{self.index}"


def nodes(model: Model, op_type: str, size: int = 0) -> list[ir.Node]:
    """The nodes of an operator; of those with weights only the ones with at least this many."""
    return [
        node
        for node in model.ir.graph
        if node.op_type == op_type
        and (not size or (len(node.inputs) > 1 and weight(node) is not None))
        and (not size or weight(node).size >= size)
    ]


def weight(node: ir.Node, index: int = 1) -> np.ndarray | None:
    value = node.inputs[index]
    return None if value is None or value.const_value is None else value.const_value.numpy()


def put(model: Model, node: ir.Node, index: int, array: np.ndarray) -> None:
    """Gives a node a constant of its own."""
    value = ir.Value(
        name=f"{node.name}_planted_{index}_{array.dtype}",
        const_value=ir.tensor(np.ascontiguousarray(array)),
    )
    value.const_value.name = value.name
    value.shape = ir.Shape(array.shape)
    value.type = ir.TensorType(value.const_value.dtype)
    model.ir.graph.register_initializer(value)
    node.replace_input_with(index, value)


def attribute(node: ir.Node, name: str, value: object) -> str:
    node.attributes[name] = ir.convenience.convert_attribute(name, value)
    return node.name


def before(node: ir.Node, index: int, op_type: str, **attributes: object) -> ir.Node:
    """Puts a node of one input before an input of another."""
    source = node.inputs[index]
    new = ir.node(op_type, [source], attributes, name=f"{node.name}_{op_type}_planted")
    new.outputs[0].name = f"{new.name}_out"
    node.graph.insert_before(node, new)
    node.replace_input_with(index, new.outputs[0])
    return new


def after(node: ir.Node, op_type: str, extra: list[ir.Value], **attributes: object) -> ir.Node:
    """Puts a node behind the first output of another; the new one takes its name over."""
    old = node.outputs[0]
    new = ir.node(op_type, [old, *extra], attributes, name=f"{node.name}_{op_type}_behind")
    name, old.name = old.name, f"{old.name}_raw"
    new.outputs[0].name = name
    new.outputs[0].type, new.outputs[0].shape = old.type, old.shape
    users = [usage for usage in old.uses() if usage.node is not new]
    node.graph.insert_after(node, new)
    for usage in users:
        usage.node.replace_input_with(usage.idx, new.outputs[0])
    for place, output in enumerate(node.graph.outputs):
        if output is old:
            node.graph.outputs[place] = new.outputs[0]
    return new


def norm_epsilon(_: Model, model: Model, __: torch.nn.Module, index: int) -> str:
    """A layer norm with another framework's epsilon."""
    return attribute(nodes(model, "LayerNormalization")[index], "epsilon", 1e-3)


def folded_epsilon(_: Model, model: Model, original: torch.nn.Module, index: int) -> str:
    """A batch norm with another framework's epsilon, folded into its convolution."""
    node = nodes(model, "Conv")[index]
    norms = dict(original.named_modules())
    path = module_of(node).path
    norm = norms[f"{path.rpartition('.')[0]}.1"]
    var = norm.running_var.detach().numpy()
    factor = np.sqrt((var + norm.eps) / (var + 1e-3))
    shift = norm.bias.detach().numpy()
    put(model, node, 1, weight(node, 1) * factor[:, None, None, None])
    put(model, node, 2, (weight(node, 2) - shift) * factor + shift)
    return node.name


def shifted_padding(_: Model, model: Model, __: torch.nn.Module, index: int) -> str:
    """All padding at the beginning: SAME_LOWER for SAME_UPPER."""
    padded = [node for node in model.ir.graph if "pads" in node.attributes]
    padded = [node for node in padded if any(node.attributes["pads"].as_ints())]
    node = padded[index]
    top, left, bottom, right = node.attributes["pads"].as_ints()
    return attribute(node, "pads", [top + bottom, left + right, 0, 0])


def reflecting_padding(_: Model, model: Model, __: torch.nn.Module, index: int) -> str:
    """Reflection in place of zeros."""
    convs = [node for node in nodes(model, "Conv") if any(node.attributes["pads"].as_ints())]
    node = convs[index]
    pads = node.attributes["pads"].as_ints()
    new = before(node, 0, "Pad", mode="reflect")
    amounts = np.array([0, 0, *pads[:2], 0, 0, *pads[2:]], np.int64)
    new.resize_inputs(2)
    put(model, new, 1, amounts)
    attribute(node, "pads", [0, 0, 0, 0])
    return new.name


def swapped_picture(_: Model, model: Model, __: torch.nn.Module, index: int) -> str:
    """Height and width exchanged before a convolution."""
    return before(nodes(model, "Conv")[index], 0, "Transpose", perm=[0, 1, 3, 2]).name


def softmax_axis(_: Model, model: Model, __: torch.nn.Module, index: int) -> str:
    """The softmax over the axis beside the right one."""
    found = nodes(model, "Softmax") + nodes(model, "LogSoftmax")
    node = found[index]
    return attribute(node, "axis", -2)


def swapped_permutation(_: Model, model: Model, __: torch.nn.Module, index: int) -> str:
    """A transpose of two axes that are not to be exchanged."""
    node = nodes(model, "Transpose")[index]
    perm = list(node.attributes["perm"].as_ints())
    perm[-1], perm[-2] = perm[-2], perm[-1]
    return attribute(node, "perm", perm)


def swapped_concat(_: Model, model: Model, __: torch.nn.Module, index: int) -> str:
    """The two directions of an LSTM's state, exchanged."""
    node = [node for node in nodes(model, "Transpose") if _follows_lstm(node)][index]
    perm = list(node.attributes["perm"].as_ints())
    perm[0], perm[1] = perm[1], perm[0]
    return attribute(node, "perm", perm)


def _follows_lstm(node: ir.Node) -> bool:
    producer = node.inputs[0].producer()
    return producer is not None and producer.op_type == "LSTM"


def transposed_kernel(_: Model, model: Model, __: torch.nn.Module, index: int) -> str:
    """Height and width of a kernel exchanged."""
    node = [n for n in nodes(model, "Conv") if weight(n).shape[-1] > 1][index]
    put(model, node, 1, weight(node).swapaxes(-1, -2))
    return node.name


def transposed_matrix(_: Model, model: Model, __: torch.nn.Module, index: int) -> str:
    """A square matrix the other way round."""
    found = [n for n in nodes(model, "MatMul", 1) if weight(n).shape[0] == weight(n).shape[1]]
    node = found[index]
    put(model, node, 1, weight(node).T)
    return node.name


def transposed_recurrence(_: Model, model: Model, __: torch.nn.Module, index: int) -> str:
    """The recurrent weights of an LSTM's gates, each the other way round."""
    node = nodes(model, "LSTM")[index]
    old = weight(node, 2)
    gates = old.reshape(old.shape[0], 4, -1, old.shape[2])
    put(model, node, 2, gates.swapaxes(-1, -2).reshape(old.shape))
    return node.name


def half_overflow(op_type: str, power: int = 16) -> Plant:
    """A node in half precision whose result is beyond 65504.

    Both models have weights that are a power of two larger, and take the factor back behind.
    """

    def plant(reference: Model, model: Model, _: torch.nn.Module, index: int) -> str:
        for each in (reference, model):
            node = nodes(each, op_type, 1)[index]
            scale = np.float32(2**power)
            for place in range(1, len(node.inputs)):
                if node.inputs[place] is not None:
                    put(each, node, place, weight(node, place) * scale)
            factor = ir.Value(name="planted_factor", const_value=ir.tensor(1 / scale))
            factor.const_value.name = factor.name
            each.ir.graph.register_initializer(factor)
            after(node, "Mul", [factor])
        node = nodes(model, op_type, 1)[index]
        for place in range(1, len(node.inputs)):
            if node.inputs[place] is not None:
                put(model, node, place, weight(node, place).astype(np.float16))
        before(node, 0, "Cast", to=ir.DataType.FLOAT16.value)
        behind = after(node, "Cast", [], to=ir.DataType.FLOAT.value)
        behind.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
        node.outputs[0].type = ir.TensorType(ir.DataType.FLOAT16)
        return node.name

    return plant


FAULTS = [
    *(Fault("epsilon", "resnet", folded_epsilon, index) for index in (0, 20, 40)),
    *(Fault("padding", "resnet", shifted_padding, index) for index in (1, 9)),
    *(Fault("reflection", "resnet", reflecting_padding, index) for index in (2, 12)),
    *(Fault("axis", "resnet", swapped_picture, index) for index in (5, 33)),
    *(Fault("transposed", "resnet", transposed_kernel, index) for index in (0, 8)),
    *(Fault("overflow", "resnet", half_overflow("Conv"), index) for index in (4, 30)),
    Fault("overflow-head", "resnet", half_overflow("Gemm"), 0),
    *(Fault("epsilon", "vit", norm_epsilon, index) for index in (0, 11, 24)),
    *(Fault("axis", "vit", softmax_axis, index) for index in (1, 10)),
    *(Fault("permutation", "vit", swapped_permutation, index) for index in (2, 30)),
    *(Fault("transposed", "vit", transposed_matrix, index) for index in (0, 7)),
    *(Fault("overflow", "vit", half_overflow("MatMul"), index) for index in (3, 40)),
    Fault("axis", "lstm", softmax_axis, 0),
    Fault("permutation", "lstm", swapped_concat, 1),
    *(Fault("transposed", "lstm", transposed_recurrence, index) for index in (0, 1)),
    Fault("overflow", "lstm", half_overflow("MatMul", 18), 0),
]
