"""Models that TensorRT for RTX 1.7 refuses as they are, with what becomes of each.

Seen by parsing and building each of them, unprepared, for sm89.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.support import onnx_text

RNG = np.random.default_rng(0)


def boxes(batches: int, count: int) -> np.ndarray[Any, Any]:
    corners = RNG.uniform(0, 20, (batches, count, 2))
    sizes = RNG.uniform(0.1, 10, (batches, count, 2))
    return np.concatenate([corners, corners + sizes], 2).astype(np.float32)


REGIONS = np.array(
    [[0, 0, 7, 7], [1.3, 2.2, 5, 6.1], [-3, -3, 4, 9], [6, 6, 30, 30], [2, 2, 2.5, 2.2]], np.float32
)


@dataclass(frozen=True)
class Refused:
    """A model that is refused.

    Attributes:
        body: The graph, in the standard's textual form.
        opset: Its opset.
        names: For one that no rewrite helps, what the error must name: the node's operator.
        inputs: Inputs by name, where random ones would not do.
        values: The range of inputs whose values are shapes.
        atol: How far the prepared graph may be from the original.
        reference: Whether ONNX Runtime runs the original, so that there is something to compare.
    """

    body: str
    opset: int = 18
    names: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    atol: float = 1e-5
    reference: bool = True

    def write(self, path: Path) -> Path:
        """Writes the file."""
        return onnx_text(path, self.body, self.opset)


_NMS = {"b": np.round(boxes(2, 60)), "s": np.round(RNG.uniform(0, 1, (2, 3, 60)) * 8) / 8}
NMS_INPUTS = {name: array.astype(np.float32) for name, array in _NMS.items()}
_ROI = {"r": REGIONS, "b": np.array([0, 1, 0, 1, 1])}
_QKV = ", ".join(f"float[2,3,8,16] {name}" for name in "qkv")

BUILDS: Mapping[str, Refused] = {
    "DFT of a fixed size": Refused(
        "g (float[N,6,9,1] x) => (float[N,6,A,2] y) { y = DFT<axis = 2, onesided = 1>(x) }"
    ),
    "DFT of a dynamic size": Refused(
        "g (float[N,M,5,2] x) => (float[N,M,5,2] y) { y = DFT<axis = 1>(x) }"
    ),
    "DFT back": Refused(
        "g (float[N,M,5,2] x) => (float[N,M,5,2] y) { y = DFT<axis = 1, inverse = 1>(x) }"
    ),
    "DFT by the axis of later opsets": Refused(
        "g (float[N,4,6,1] x) => (float[N,4,6,2] y) <int64 a = {-2}> { y = DFT(x, , a) }", opset=20
    ),
    "Einsum in capital letters": Refused(
        "g (float[N,2,3,4] x, float[N,2,5,4] z) => (float[N,2,3,5] y) "
        '{ y = Einsum<equation = "BGID,BGJD->BGIJ">(x, z) }'
    ),
    "Resize by float scales": Refused(
        "g (float[N,3,H,W] x, float[4] s) => (float[A,B,C,D] y) { y = Resize<mode = "
        '"cubic", coordinate_transformation_mode = "pytorch_half_pixel">(x, , s) }',
        inputs={"s": np.array([1, 1, 1.75, 2.5], np.float32)},
    ),
    "Range to a float input": Refused(
        "g (float n) => (float[K] y) <float a = {0}, float b = {0.5}> { y = Range(a, n, b) }",
        inputs={"n": np.array(3.25, np.float32)},
        values={"n": (1.0, 2.0, 8.0)},
    ),
    "Resize antialiased": Refused(
        "g (float[N,3,17,23] x) => (float[N,3,A,B] y) <int64[2] s = {7,40}> { y = Resize<mode = "
        '"cubic", antialias = 1, axes = [2,3], cubic_coeff_a = -0.5>(x, , , s) }'
    ),
    "Resize of a part": Refused(
        "g (float[2,3,8,8] x) => (float[2,3,5,4] y) <int64[4] s = {2,3,5,4}, float[8] roi = "
        '{0,0,-0.2,0.1,1,1,0.8,1.3}> { y = Resize<mode = "linear", coordinate_transformation_mode '
        '= "tf_crop_and_resize", extrapolation_value = 7.0>(x, roi, , s) }'
    ),
    "Resize half_pixel_symmetric": Refused(
        "g (float[2,3,8,8] x) => (float[2,3,A,B] y) <float[4] s = {1,1,1.3,0.6}> { y = Resize<mode "
        '= "linear", coordinate_transformation_mode = "half_pixel_symmetric">(x, , s) }',
        opset=19,
    ),
    "Resize with kept proportions": Refused(
        "g (float[2,3,8,9] x) => (float[2,3,A,B] y) <int64[2] s = {16,20}> { y = Resize<mode = "
        '"linear", axes = [2,3], keep_aspect_ratio_policy = "not_smaller">(x, , , s) }'
    ),
    "Resize cubic of volumes": Refused(
        "g (float[1,1,4,8,8] x) => (float[1,1,8,16,16] y) <float[5] s = {1,1,2,2,2}> "
        '{ y = Resize<mode = "cubic">(x, , s) }',
        reference=False,
    ),
    "Resize of int32": Refused(
        "g (int32[2,3,8,8] x) => (int32[2,3,12,4] y) <float[4] s = {1,1,1.5,0.5}> { y = Resize<"
        'mode = "nearest", nearest_mode = "round_prefer_ceil">(x, , s) }'
    ),
    "Resize of uint8": Refused(
        "g (uint8[2,3,8,8] x) => (uint8[2,3,16,16] y) <float[4] s = {1,1,2,2}> "
        '{ y = Resize<mode = "nearest">(x, , s) }'
    ),
    "NonMaxSuppression": Refused(
        "g (float[2,60,4] b, float[2,3,60] s) => (int64[K,3] y) <int64 m = {10}, float i = {0.3}, "
        "float t = {0.2}> { y = NonMaxSuppression(b, s, m, i, t) }",
        inputs=NMS_INPUTS,
    ),
    "NonMaxSuppression of centers": Refused(
        "g (float[2,60,4] b, float[2,3,60] s) => (int64[K,3] y) <int64 m = {80}, float i = {0.5}> "
        "{ y = NonMaxSuppression<center_point_box = 1>(b, s, m, i) }",
        inputs=NMS_INPUTS,
    ),
    "NonMaxSuppression up to an input": Refused(
        "g (float[2,60,4] b, float[2,3,60] s, int64[1] m) => (int64[K,3] y) <float i = {0.5}> "
        "{ y = NonMaxSuppression(b, s, m, i) }",
        inputs={**NMS_INPUTS, "m": np.array([7])},
        values={"m": ((1,), (5,), (10,))},
    ),
    "detection head": Refused(
        "g (float[N,M,4] b, float[N,C,M] s) => (float[K,4] y, float[K] z, int64[K] c) <int64 m = "
        "{20}, float i = {0.5}, float t = {0.1}, int64[2] bi = {0,2}, int64 cl = {1}> "
        "{ k = NonMaxSuppression(b, s, m, i, t) ix = Gather<axis = 1>(k, bi) y = GatherND(b, ix) "
        "z = GatherND(s, k) c = Gather<axis = 1>(k, cl) }",
        inputs=NMS_INPUTS,
    ),
    "NonZero": Refused("g (float[4,5] x) => (int64[2,K] y) { r = Round(x) y = NonZero(r) }"),
    "rows by a mask": Refused(
        "g (float[4,5] x) => (float[K,5] y) <int64 a = {0}, float z = {0}> { s = Gather<axis = 1>"
        "(x, a) g = Greater(s, z) n = NonZero(g) t = Transpose(n) y = GatherND(x, t) }"
    ),
    "Compress": Refused(
        "g (float[4,5] x, bool[3] c) => (float[4,K] y) { y = Compress<axis = 1>(x, c) }"
    ),
    "RoiAlign": Refused(
        "g (float[2,3,8,9] x, float[5,4] r, int64[5] b) => (float[5,3,2,3] y) { y = RoiAlign<"
        "output_height = 2, output_width = 3, sampling_ratio = 2>(x, r, b) }",
        inputs=_ROI,
    ),
    "RoiAlign of pixels' edges": Refused(
        "g (float[N,C,H,W] x, float[K,4] r, int64[K] b) => (float[K,C,3,2] y) { y = RoiAlign<"
        "output_height = 3, output_width = 2, sampling_ratio = 3, spatial_scale = 0.5, "
        'coordinate_transformation_mode = "output_half_pixel">(x, r, b) }',
        inputs={**_ROI, "x": RNG.standard_normal((2, 3, 8, 9)).astype(np.float32)},
    ),
    "DeformConv": Refused(
        "g (float[2,4,8,7] x, float[6,2,3,2] w, float[2,24,5,4] o, float[6] b, float[2,12,5,4] m) "
        "=> (float[2,6,5,4] y) { y = DeformConv<group = 2, offset_group = 2, strides = [2,2], pads "
        "= [2,1,2,1], dilations = [1,2]>(x, w, o, b, m) }",
        opset=19,
    ),
    "DeformConv of open sizes": Refused(
        "g (float[N,4,H,W] x, float[6,4,3,3] w, float[N,18,H,W] o) => (float[N,6,H,W] y) "
        "{ y = DeformConv<pads = [1,1,1,1]>(x, w, o) }",
        opset=19,
    ),
    "MaxPool dilated": Refused(
        "g (float[1,3,9,10] x) => (float[1,3,A,B] y) { y = MaxPool<kernel_shape = [3,2], dilations "
        "= [2,3], pads = [2,1,1,0], strides = [2,1]>(x) }"
    ),
    "MaxPool with indices": Refused(
        "g (float[N,3,H,W] x) => (float[N,3,A,B] y, int64[N,3,A,B] i) { y, i = MaxPool<"
        "kernel_shape = [3,3], pads = [1,1,1,1], strides = [2,2]>(x) }"
    ),
    "AveragePool dilated": Refused(
        "g (float[1,3,9,10] x) => (float[1,3,A,B] y) { y = AveragePool<kernel_shape = [3,2], "
        "dilations = [2,3], pads = [2,1,1,0], strides = [2,1]>(x) }",
        opset=19,
    ),
    "MaxUnpool": Refused(
        "g (float[1,1,2,2] x, int64[1,1,2,2] i) => (float[1,1,4,4] y) { y = MaxUnpool<kernel_shape "
        "= [2,2], strides = [2,2]>(x, i) }",
        inputs={"i": np.array([[[[0, 3], [13, 10]]]])},
    ),
    "ScatterND added": Refused(
        "g (float[3,4,2] x, int64[5,2] i, float[5,2] u) => (float[3,4,2] y) "
        '{ y = ScatterND<reduction = "add">(x, i, u) }'
    ),
    "ScatterND largest": Refused(
        "g (float[8,4] x, int64[N,1] i, float[N,4] u) => (float[8,4] y) "
        '{ y = ScatterND<reduction = "max">(x, i, u) }'
    ),
    "ScatterElements multiplied": Refused(
        "g (float[8,4] x, int64[3,4] i, float[3,4] u) => (float[8,4] y) "
        '{ y = ScatterElements<axis = 1, reduction = "mul">(x, i, u) }'
    ),
    "OneHot of a depth at run time": Refused(
        "g (int64[3,4] x, int64[1] d) => (float[3,K,4] y) <float[2] v = {2,5}> "
        "{ y = OneHot<axis = 1>(x, d, v) }",
        inputs={
            "x": np.array([[-1, 0, 1, 2], [3, 4, 5, -5], [0, 0, 0, 0]]),
            "d": np.array([5]),
        },
        values={"d": ((1,), (5,), (10,))},
    ),
    "EyeLike of open sizes": Refused(
        "g (float[N,M] x) => (float[N,M] y) { y = EyeLike<k = 1>(x) }"
    ),
    "LRN of an even number": Refused(
        "g (float[1,4,2,2] x) => (float[1,4,2,2] y) { y = LRN<size = 4>(x) }", reference=False
    ),
    "BatchNormalization in training": Refused(
        "g (float[2,4,2,2] x, float[4] s, float[4] b, float[4] m, float[4] v) => "
        "(float[2,4,2,2] y, float[4] rm, float[4] rv) "
        "{ y, rm, rv = BatchNormalization<training_mode = 1>(x, s, b, m, v) }"
    ),
    "LayerNormalization with statistics": Refused(
        "g (float[2,4] x, float[4] w) => (float[2,4] y, float[2,1] m, float[2,1] i) "
        "{ y, m, i = LayerNormalization(x, w) }"
    ),
    "MatMul of int32": Refused(
        "g (int32[2,3] x, int32[3,4] z) => (int32[2,4] y) { y = MatMul(x, z) }"
    ),
    "Gemm of int32": Refused(
        "g (int32[4,3] x, int32[5,3] z) => (int32[4,5] y) { y = Gemm<transB = 1>(x, z) }",
        reference=False,
    ),
    "MatMul of a vector and a stack": Refused(
        "g (float[3] x, float[2,3,5] z) => (float[2,5] y) { y = MatMul(x, z) }"
    ),
    "Relu of int32": Refused("g (int32[4] x) => (int32[4] y) { y = Relu(x) }"),
    "PRelu of int32": Refused("g (int32[4] x, int32[4] z) => (int32[4] y) { y = PRelu(x, z) }"),
    "ReduceMax of truths": Refused(
        "g (bool[4] x) => (bool y) { y = ReduceMax<keepdims = 0>(x) }", opset=20
    ),
    "BitwiseNot": Refused("g (int64[4] x) => (int64[4] y) { y = BitwiseNot(x) }"),
    "ArgMax of a vector": Refused("g (float[4] x) => (int64 y) { y = ArgMax<keepdims = 0>(x) }"),
    "Softmax of a vector": Refused("g (float[4] x) => (float[4] y) { y = Softmax(x) }"),
    "quantized bias": Refused(
        "g (float[4] x) => (float[4] y) <int32[4] b = {1,2,3,4}, float s = {0.1}> "
        "{ d = DequantizeLinear(b, s) y = Add(x, d) }"
    ),
    "unsigned weights": Refused(
        "g (float[1,2] x) => (float[1,2] y) <uint8[2,2] w = {1,2,3,4}, float s = {0.1}, uint8 z = "
        "{128}> { d = DequantizeLinear(w, s, z) y = MatMul(x, d) }"
    ),
    "QLinearConv": Refused(
        "g (int8[1,1,4,4] x) => (int8[1,2,2,2] y) <int8[2,1,3,3] w = {1,-2,3,4,-5,6,7,-8,9,9,8,7,"
        "-6,5,4,3,-2,1}, float s = {0.1}, int8 z = {0}, int32[2] b = {5,-7}> "
        "{ y = QLinearConv(x, s, z, w, s, z, s, z, b) }",
        atol=1,
    ),
    "QLinearMatMul": Refused(
        "g (int8[4,4] x, int8[4,4] w) => (int8[4,4] y) <float s = {0.1}, int8 z = {0}> "
        "{ y = QLinearMatMul(x, s, z, w, s, z, s, z) }",
        atol=1,
    ),
    "Attention": Refused(
        f"g ({_QKV}) => (float[2,3,8,16] y) {{ y = Attention<is_causal = 1, softcap = 30.0>"
        "(q, k, v) }",
        opset=23,
    ),
    "Attention with a cache": Refused(
        f"g ({_QKV}, float[2,3,5,16] pk, float[2,3,5,16] pv) => (float[2,3,8,16] y, "
        "float[2,3,13,16] nk, float[2,3,13,16] nv) { y, nk, nv = Attention(q, k, v, , pk, pv) }",
        opset=23,
    ),
    "CenterCropPad": Refused(
        "g (float[N,M] x) => (float[A,B] y) <int64[2] s = {3,6}> { y = CenterCropPad(x, s) }"
    ),
    "SoftmaxCrossEntropyLoss": Refused(
        "g (float[4,3] x, int64[4] t) => (float y) { y = SoftmaxCrossEntropyLoss(x, t) }",
        inputs={"t": np.array([0, 2, 1, 1])},
    ),
    "uint8 picture": Refused(
        "g (uint8[N,H,W,3] x) => (float[N,3,H,W] y) <uint8 z = {3}> "
        "{ t = Transpose<perm = [0,3,1,2]>(x) m = Max(t, z) y = Cast<to = 1>(m) }"
    ),
    "uint8 inside": Refused(
        "g (float[4,2] x) => (float[2,4] y) "
        "{ u = Cast<to = 2>(x) t = Transpose(u) y = Cast<to = 1>(t) }"
    ),
    "int16 inside": Refused(
        "g (float[4] x) => (float[4] y) { i = Cast<to = 5>(x) y = Cast<to = 1>(i) }"
    ),
    "sequence": Refused(
        "g (float[7] x, float[7] z) => (float[14] y, float[7] w) <int64 i = {1}> "
        "{ s = SequenceConstruct(x, z) y = ConcatFromSequence<axis = 0>(s) w = SequenceAt(s, i) }"
    ),
    "split to a sequence": Refused(
        "g (float[2,7] x) => (float[7] y) <int64 i = {1}> "
        "{ s = SplitToSequence<axis = 0, keepdims = 0>(x) y = SequenceAt(s, i) }"
    ),
    "optional": Refused(
        "g (float[7] x) => (float[7] y) { s = Optional(x) y = OptionalGetElement(s) }"
    ),
}
"""What a rewrite makes buildable."""

ENDS: Mapping[str, Refused] = {
    "custom node": Refused("g (float[7] x) => (float[7] y) { y = mine.Foo(x) }", names="mine::Foo"),
    "Unique": Refused("g (float[9] x) => (float[K] y) { y = Unique(x) }", names="Unique"),
    "TopK over selected boxes": Refused(
        "g (float[1,60,4] b, float[1,3,60] s) => (float[5] y) <int64 m = {10}, float i = {0.5}, "
        "int64[1] k = {5}> "
        "{ n = NonMaxSuppression(b, s, m, i) z = GatherND(s, n) y, j = TopK(z, k) }",
        names="TopK",
    ),
    "TopK of many": Refused(
        "g (float[1,9000] x) => (float[1,5000] y, int64[1,5000] i) <int64[1] k = {5000}> "
        "{ y, i = TopK(x, k) }",
        names="TopK",
    ),
    "RoiAlign by the region's size": Refused(
        "g (float[2,3,8,8] x, float[4,4] r, int64[4] b) => (float[4,3,2,2] y) "
        "{ y = RoiAlign<output_height = 2, output_width = 2>(x, r, b) }",
        names="RoiAlign",
    ),
    "RoiAlign, the largest": Refused(
        "g (float[2,3,8,8] x, float[4,4] r, int64[4] b) => (float[4,3,2,2] y) { y = RoiAlign<mode "
        '= "max", output_height = 2, output_width = 2, sampling_ratio = 2>(x, r, b) }',
        names="RoiAlign",
    ),
    "Resize antialiased of open sizes": Refused(
        "g (float[N,3,H,W] x) => (float[N,3,7,9] y) <int64[2] s = {7,9}> "
        '{ y = Resize<mode = "linear", antialias = 1, axes = [2,3]>(x, , , s) }',
        names="Resize",
    ),
    "BitwiseAnd": Refused(
        "g (int32[4] x, int32[4] z) => (int32[4] y) { y = BitwiseAnd(x, z) }", names="BitwiseAnd"
    ),
    "BitShift": Refused(
        'g (uint8[4] x, uint8[4] z) => (uint8[4] y) { y = BitShift<direction = "LEFT">(x, z) }',
        names="BitShift",
    ),
    "uint8 sums": Refused("g (uint8[4] x) => (uint8[4] y) { y = Add(x, x) }", names="Add"),
    "dynamic quantization": Refused(
        "g (float[4,4] x, uint8[4,4] w) => (int32[4,4] y) "
        "{ q, s, z = DynamicQuantizeLinear(x) y = MatMulInteger(q, w, z) }",
        names="DynamicQuantizeLinear",
    ),
    "ConvInteger": Refused(
        "g (int8[1,1,4,4] x, int8[1,1,3,3] w) => (int32[1,1,2,2] y) { y = ConvInteger(x, w) }",
        names="ConvInteger",
    ),
    "asymmetric quantization": Refused(
        "g (float[4] x) => (float[4] y) <float s = {0.1}, int8 z = {3}> "
        "{ q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }",
        names="QuantizeLinear",
    ),
    "branches of different ranks": Refused(
        "g (float[1,4] x, bool c) => (float y) { y = If(c)<then_branch = t () => (float[4] a) "
        "{ a = Squeeze(x) }, else_branch = e () => (float[1,4] b) { b = Neg(x) }> }",
        names="If",
    ),
    "growing loop": Refused(
        "g (float[1] x) => (float[K] y) <int64 n = {5}, bool c = {1}> { y = Loop(n, c, x) <body = "
        "b (int64 i, bool ci, float[P] s) => (bool co, float[Q] so) "
        "{ co = Identity(ci) so = Concat<axis = 0>(s, x) }> }",
        names="Loop",
    ),
    "loop without a bound that collects": Refused(
        "g (float[4] x) => (float[4] y, float[K,4] z) <bool c = {1}, float t = {100.0}> "
        "{ y, z = Loop(, c, x) <body = b (int64 i, bool ci, float[4] s) => (bool co, float[4] so, "
        "float[4] sc) { so = Add(s, s) sc = Identity(so) m = ReduceSum<keepdims = 0>(so) "
        "co = Less(m, t) }> }",
        names="Loop",
    ),
    "LSTM with coupled gates": Refused(
        "g (float[5,2,3] x, float[1,16,3] w, float[1,16,4] r) => (float[5,1,2,4] y) "
        "{ y = LSTM<hidden_size = 4, input_forget = 1>(x, w, r) }",
        names="LSTM",
    ),
    "Dropout in training": Refused(
        "g (float[4] x) => (float[4] y) <float r = {0.5}, bool t = {1}> { y = Dropout(x, r, t) }",
        names="Dropout",
    ),
    "axes at run time": Refused(
        "g (float[4,4] x, int64[1] a) => (float[4] y) { y = ReduceSum<keepdims = 0>(x, a) }",
        names="ReduceSum",
    ),
    "strings": Refused("g (float[7] x) => (string[7] y) { y = Cast<to = 8>(x) }", names="Cast"),
    "string operator": Refused(
        "g (string[2] x) => (string[K] y) "
        '{ y = StringNormalizer<case_change_action = "LOWER">(x) }',
        names="StringNormalizer",
    ),
    "Det": Refused("g (float[2,3,3] x) => (float[2] y) { y = Det(x) }", names="Det"),
    "DFT of another length": Refused(
        "g (float[1,8,1] x) => (float[1,6,2] y) <int64 n = {6}> { y = DFT<axis = 1>(x, n) }",
        names="DFT",
    ),
    "Col2Im": Refused(
        "g (float[1,9,36] x) => (float[1,1,8,8] y) <int64[2] s = {8,8}, int64[2] k = {3,3}> "
        "{ y = Col2Im(x, s, k) }",
        names="Col2Im",
    ),
    "MaxRoiPool": Refused(
        "g (float[1,1,8,8] x, float[2,5] r) => (float[2,1,2,2] y) "
        "{ y = MaxRoiPool<pooled_shape = [2,2]>(x, r) }",
        names="MaxRoiPool",
    ),
    "Multinomial": Refused(
        "g (float[2,4] x) => (int32[2,3] y) { y = Multinomial<sample_size = 3>(x) }",
        names="Multinomial",
    ),
    "fp8 by a cast": Refused(
        "g (float[4] x) => (float[4] y) { a = Cast<to = 17>(x) y = Cast<to = 1>(a) }",
        opset=19,
        names="Cast",
    ),
}
"""What no rewrite helps: an error must name the node and the way out."""
