"""Forms of operators that TensorRT refuses whatever is done to the graph: why, and the way out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelport.ir.constants import tensor_of
from modelport.ir.domains import DEFAULT_DOMAIN
from modelport.ir.values import input_of

if TYPE_CHECKING:
    import onnx_ir

MOST_OF_TOPK = 3840
"""The largest k of a TopK."""

_CUT = (
    "cut the model before it (`modelport graph extract MODEL.onnx -o PART.onnx`), and compute it "
    "outside"
)
_VALUES = "keep a fixed number of elements in the model, and select outside of it"


def _always(node: onnx_ir.Node) -> bool:
    """Whatever the node is like."""
    return True


@dataclass(frozen=True)
class Form:
    """A form of some operators.

    Attributes:
        operators: Their types.
        why: Why TensorRT refuses it.
        fix: What to do about it.
        applies: Whether a node of one of the operators has this form.
        parses: Whether the parser takes it, so that only the build would fail.
        certain: Whether every such node is refused, whatever the library and its version.
    """

    operators: Sequence[str]
    why: str
    fix: str
    applies: Callable[[onnx_ir.Node], bool] = _always
    parses: bool = False
    certain: bool = True


def form_of(node: onnx_ir.Node) -> Form | None:
    """The form by which a node is refused; None where none is known."""
    if node.domain not in DEFAULT_DOMAIN:
        return None
    return next(
        (form for form in FORMS if node.op_type in form.operators and form.applies(node)), None
    )


def _is_constant(value: onnx_ir.Value | None) -> bool:
    return value is None or tensor_of(value, default=True) is not None


def _has_runtime_axes(node: onnx_ir.Node) -> bool:
    return not _is_constant(input_of(node, 1))


def _is_large_topk(node: onnx_ir.Node) -> bool:
    tensor = tensor_of(input_of(node, 1), default=True)
    return tensor is not None and int(tensor.numpy().reshape(-1)[0]) > MOST_OF_TOPK


def _branches_differ(node: onnx_ir.Node) -> bool:
    """Branches that give other ranks."""
    branches = [node.attributes[name].as_graph() for name in ("then_branch", "else_branch")]
    ranks = [
        [None if value.shape is None else len(value.shape) for value in branch.outputs]
        for branch in branches
    ]
    pairs = zip(*ranks, strict=False)
    return any(one is not None and other is not None and one != other for one, other in pairs)


def _is_growing(node: onnx_ir.Node) -> bool:
    """A loop whose state has another shape after a turn than before."""
    body = node.attributes["body"].as_graph()
    for state, after in zip(body.inputs[2:], body.outputs[1:], strict=False):
        producer = after.producer()
        if producer is not None and producer.op_type == "Concat" and state in producer.inputs:
            return True
    for before, after in zip(node.inputs[2:], body.outputs[1:], strict=False):
        if before is None or before.shape is None or after.shape is None:
            continue
        if len(before.shape) != len(after.shape):
            return True
        for one, other in zip(before.shape, after.shape, strict=True):
            if isinstance(one, int) and isinstance(other, int) and one != other:
                return True
    return False


def _is_cast_to_fp8(node: onnx_ir.Node) -> bool:
    import onnx_ir

    return "FLOAT8" in onnx_ir.DataType(node.attributes.get_int("to", 1)).name


def _collects_without_end(node: onnx_ir.Node) -> bool:
    body = node.attributes["body"].as_graph()
    states = len(node.inputs) - 2
    return input_of(node, 0) is None and len(body.outputs) - 1 > states


def _has_other_recurrence(node: onnx_ir.Node) -> bool:
    attributes = node.attributes
    if attributes.get_int("input_forget", 0):
        return True
    return "Affine" in attributes.get_strings("activations", ())


def _is_training(node: onnx_ir.Node) -> bool:
    return input_of(node, 2) is not None or bool(node.attributes.get_int("training_mode", 0))


def _is_antialiased(node: onnx_ir.Node) -> bool:
    attributes = node.attributes
    stretches = attributes.get_string("keep_aspect_ratio_policy", "stretch") == "stretch"
    names = ("tf_crop_and_resize", "half_pixel_symmetric")
    mode = attributes.get_string("coordinate_transformation_mode", "half_pixel")
    return bool(attributes.get_int("antialias", 0)) or not stretches or mode in names


FORMS: Sequence[Form] = (
    Form(
        ("Unique",),
        "the size of its output depends on values",
        _VALUES,
    ),
    Form(
        ("NonZero", "Compress", "NonMaxSuppression"),
        "the size of its output depends on values, and it lies inside of another node",
        "export the model so that it is not inside of a branch or a loop",
        certain=False,
    ),
    Form(
        ("RoiAlign",),
        "only the mean of a fixed number of samples can be written with other operators",
        "give sampling_ratio (torchvision: sampling_ratio=2) and the mode avg",
        certain=False,
    ),
    Form(
        ("Resize",),
        "this form of Resize is a product with matrices, for which sizes must be known",
        "export the model with fixed height and width, or without antialiasing",
        _is_antialiased,
    ),
    Form(
        ("ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"),
        "activations are quantized by scales that are computed in every run",
        "quantize with calibrated scales (Q/DQ, static): `modelport quantize`",
    ),
    Form(
        ("QLinearConv", "QLinearMatMul", "QuantizeLinear", "DequantizeLinear"),
        "only signed, symmetric quantization with constant zero points of 0 is taken",
        "quantize symmetrically to int8, with floats for biases: `modelport quantize`",
        certain=False,
    ),
    Form(
        ("BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitCast"),
        "there is no arithmetic on bits",
        "write it with And, Or, Mul, Div and Mod, or compute it before the model",
    ),
    Form(
        (
            *("SequenceConstruct", "SequenceAt", "SequenceInsert", "SequenceErase"),
            *("SequenceEmpty", "SequenceLength", "SequenceMap", "SplitToSequence"),
            *("ConcatFromSequence", "Optional", "OptionalGetElement", "OptionalHasElement"),
        ),
        "sequences and optionals whose elements are known only in a run do not exist there",
        "use tensors: stack or index along an axis in place of a list",
    ),
    Form(
        ("TopK",),
        f"k is at most {MOST_OF_TOPK} there",
        f"take at most {MOST_OF_TOPK} elements, or {_CUT}",
        _is_large_topk,
        parses=True,
    ),
    Form(
        ("Cast",),
        "float8 comes from QuantizeLinear alone there",
        "quantize by QuantizeLinear and DequantizeLinear: `modelport quantize`",
        _is_cast_to_fp8,
        parses=True,
    ),
    Form(
        ("If",),
        "the branches give tensors of different ranks",
        "give both branches the same rank: a Squeeze without axes is one without a known rank",
        _branches_differ,
        parses=True,
    ),
    Form(
        ("Loop",),
        "what the loop carries changes its shape from turn to turn",
        "write each turn into its place of a tensor of full size, or as an output of every turn",
        _is_growing,
        parses=True,
    ),
    Form(
        ("Loop",),
        "it collects an output of every turn, and the number of turns has no bound",
        "give the loop a largest number of turns",
        _collects_without_end,
    ),
    Form(
        ("LSTM", "GRU", "RNN"),
        "neither coupled gates (input_forget) nor the activation Affine exist there",
        "use the usual gates and activations (Sigmoid, Tanh, Relu, ...)",
        _has_other_recurrence,
    ),
    Form(
        ("Dropout",),
        "it is in training mode",
        "export the model in eval mode",
        _is_training,
    ),
    Form(
        (
            *("ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean", "ReduceProd", "ReduceL1"),
            *("ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"),
        ),
        "the axes are computed in a run",
        "give the axes as a constant",
        _has_runtime_axes,
    ),
    Form(
        (
            *("StringConcat", "StringNormalizer", "StringSplit", "RegexFullMatch"),
            *("TfIdfVectorizer", "ImageDecoder"),
        ),
        "strings and files do not exist there",
        "compute it before the model: give the numbers as inputs",
    ),
    Form(
        (
            *("Det", "DFT", "Col2Im", "MaxUnpool", "MaxRoiPool", "MelWeightMatrix", "Multinomial"),
            *("CumProd", "Einsum", "Attention"),
        ),
        "it has no such operator, or not in this form",
        f"write it with other operators, or {_CUT}",
        certain=False,
    ),
)
"""In order: the first that applies counts."""
