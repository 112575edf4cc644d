"""What is prepared for TensorRT computes what it computed before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import modelport
from modelport import PassError, Target
from modelport.arrays import Arrays
from modelport.backends import open_engine
from modelport.backends.adapters import AdaptedEngine, adapters_of, with_adapters
from modelport.backends.base import Artifact
from modelport.passes import prepare
from tests.backends.tensorrt.corpus import BUILDS, Refused
from tests.support import onnx_text

RTX = Target("tensorrt-rtx")
ORT = Target("onnxruntime")
SIZES = (2, 3, 4, 5)


def prepared(path: Path) -> modelport.Model:
    model = prepare(modelport.Model.load(path), RTX)
    onnx.checker.check_model(model.save(path.with_name("prepared.onnx")))
    return model


def run(path: Path, inputs: Arrays) -> Arrays:
    """Runs a graph, behind its adapters."""
    model = modelport.Model.load(path)
    artifact = with_adapters(Artifact(path.name), adapters_of(model.ir))
    return open_engine(path.parent, artifact, ORT).run(inputs)


def drawn(case: Refused, path: Path, seed: int) -> Arrays:
    rng = np.random.default_rng(seed)
    found: Arrays = {}
    names: dict[str, int] = {}
    signature = modelport.Model.load(path).signature
    for spec in signature.inputs:
        if spec.name in case.inputs:
            found[spec.name] = np.asarray(case.inputs[spec.name])
            names |= {
                dim: size
                for dim, size in zip(spec.shape or (), found[spec.name].shape, strict=True)
                if isinstance(dim, str)
            }
    for spec in signature.inputs:
        if spec.name in found:
            continue
        for dim in spec.shape or ():
            if isinstance(dim, str):
                names.setdefault(dim, SIZES[len(names) % len(SIZES)])
        shape = [dim if isinstance(dim, int) else names[dim] for dim in spec.shape or ()]
        if spec.dtype.startswith("float"):
            found[spec.name] = (rng.standard_normal(shape) * 2).astype(spec.dtype)
        else:
            found[spec.name] = rng.integers(0, 2 if spec.dtype == "bool" else 3, shape).astype(
                spec.dtype
            )
    return found


@pytest.mark.parametrize("name", [name for name, case in BUILDS.items() if case.reference])
def test_prepared_graph_computes_the_same(name: str, tmp_path: Path) -> None:
    case = BUILDS[name]
    path = case.write(tmp_path / "model.onnx")
    model = prepared(path)
    assert model.findings
    before = modelport.Model.load(path)
    for seed in range(3):
        inputs = drawn(case, path, seed)
        expected, actual = run(path, inputs), run(tmp_path / "prepared.onnx", inputs)
        assert list(actual) == [spec.name for spec in before.signature.outputs]
        for output, array in expected.items():
            assert actual[output].dtype == array.dtype
            assert actual[output].shape == array.shape
            np.testing.assert_allclose(
                actual[output].astype(np.float64), array, rtol=1e-5, atol=case.atol
            )


def test_what_tensorrt_takes_stays_the_same_object(tmp_path: Path) -> None:
    body = "g (float[N,3] x) => (float[N,3] y) { e = Exp(x) y = Softmax(e) }"
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", body))
    assert prepare(model, RTX) is model
    assert prepare(model, Target("tensorrt")) is model


def test_plain_tensorrt_keeps_what_it_has(tmp_path: Path) -> None:
    for name in ("NonMaxSuppression", "RoiAlign", "DeformConv"):
        model = modelport.Model.load(BUILDS[name].write(tmp_path / "m.onnx"))
        assert prepare(model, Target("tensorrt")) is model


def test_the_even_lrn_is_the_published_formula(tmp_path: Path) -> None:
    path = BUILDS["LRN of an even number"].write(tmp_path / "m.onnx")
    prepared(path)
    x = np.random.default_rng(0).standard_normal((1, 4, 2, 2)).astype(np.float32) * 30
    actual = run(tmp_path / "prepared.onnx", {"x": x})["y"]
    expected = np.empty(x.shape)
    for c in range(4):
        window = x[:, max(0, c - 1) : c + 3].astype(np.float64)
        expected[:, c] = x[:, c] / (1 + 1e-4 / 4 * (window**2).sum(1)) ** 0.75
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_integer_gemm_is_numpy(tmp_path: Path) -> None:
    prepared(BUILDS["Gemm of int32"].write(tmp_path / "m.onnx"))
    rng = np.random.default_rng(0)
    x, z = (rng.integers(-(10**4), 10**4, shape).astype(np.int32) for shape in ((4, 3), (5, 3)))
    np.testing.assert_array_equal(run(tmp_path / "prepared.onnx", {"x": x, "z": z})["y"], x @ z.T)


def test_cubic_volumes_are_the_same_on_every_axis(tmp_path: Path) -> None:
    """Of one axis alone, Resize of a volume is that of a picture, which ONNX Runtime has."""
    prepared(BUILDS["Resize cubic of volumes"].write(tmp_path / "m.onnx"))
    line = np.random.default_rng(0).standard_normal(4).astype(np.float32)
    volume = np.broadcast_to(line[:, None, None], (4, 8, 8))[None, None]
    actual = run(tmp_path / "prepared.onnx", {"x": np.ascontiguousarray(volume)})["y"]
    picture = torch.from_numpy(np.broadcast_to(line[:, None], (4, 8)).copy())[None, None]
    expected = torch.nn.functional.interpolate(picture, (8, 16), mode="bicubic")
    np.testing.assert_allclose(actual[0, 0, :, 3], expected[0, 0].numpy(), atol=1e-5)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(5, 31), (40, 9)])
def test_antialiased_resize_is_that_of_pytorch(
    mode: str, size: tuple[int, int], tmp_path: Path
) -> None:
    kind, coefficient = ("linear", -0.75) if mode == "bilinear" else ("cubic", -0.5)
    body = (
        f"g (float[2,3,17,23] x) => (float[2,3,A,B] y) <int64[2] s = {{{size[0]},{size[1]}}}> "
        f'{{ y = Resize<mode = "{kind}", antialias = 1, axes = [2,3], exclude_outside = 1, '
        f"cubic_coeff_a = {coefficient}>(x, , , s) }}"
    )
    prepared(onnx_text(tmp_path / "m.onnx", body))
    x = torch.randn(2, 3, 17, 23, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.interpolate(x, size, mode=mode, antialias=True)
    actual = run(tmp_path / "prepared.onnx", {"x": x.numpy()})["y"]
    np.testing.assert_allclose(actual, expected.numpy(), atol=2e-5)


def test_deform_conv_is_the_librarys_reference(tmp_path: Path) -> None:
    from modelport.ops.library import load

    case = BUILDS["DeformConv"]
    path = case.write(tmp_path / "m.onnx")
    prepared(path)
    inputs = drawn(case, path, 0)
    tensors = [torch.from_numpy(inputs[name]) for name in "xwomb"]
    expected = load()["deform_conv2d"].reference(
        *tensors, stride=[2, 2], padding=[2, 1], dilation=[1, 2], groups=2, offset_groups=2
    )
    actual = run(tmp_path / "prepared.onnx", inputs)["y"]
    np.testing.assert_allclose(actual, expected.numpy(), atol=2e-5)


def test_uint8_sums_stay(tmp_path: Path) -> None:
    body = "g (uint8[4] x) => (uint8[4] y) { t = Identity(x) y = Add(t, x) }"
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", body))
    assert prepare(model, RTX) is model


ACROSS = {
    "a size that is computed": "z = Shape<end = 1>(k) t = Constant<value_ints = [3]>() "
    "n = Mul(z, t) f = Cast<to = 1>(k) y = Reshape(f, n)",
    "a size of others": "z = Shape<end = 1>(k) f = Cast<to = 1>(k) i = Expand(s, z) y = Add(f, i)",
    "the rows from the third": "a = Constant<value_ints = [2]>() e = Constant<value_ints = [9]>() "
    "o = Constant<value_ints = [0]>() f = Cast<to = 1>(k) y = Slice(f, a, e, o)",
    "sums": "a = Constant<value_ints = [0]>() f = Cast<to = 1>(k) y = ReduceSum(f, a)",
    "sorting": "f = Cast<to = 1>(k) t = Transpose(f) c = Constant<value_ints = [5]>() "
    "y, i = TopK(t, c)",
    "joining": "f = Cast<to = 1>(k) y = Concat<axis = 0>(f, f)",
    "two at once": "r = Round(s) n = NonZero(r) t = Transpose(n) y = Add(k, t)",
}


@pytest.mark.parametrize("tail", ACROSS.values(), ids=ACROSS)
def test_what_computes_across_the_rows_is_refused(tail: str, tmp_path: Path) -> None:
    body = (
        "g (float[1,60,4] b, float[1,3,60] s) => (float[A] y) <int64 m = {10}> "
        f"{{ k = NonMaxSuppression(b, s, m) {tail} }}"
    )
    model = modelport.Model.load(onnx_text(tmp_path / "m.onnx", body))
    with pytest.raises(PassError, match="depends on values") as caught:
        prepare(model, RTX)
    assert caught.value.where
    assert "modelport graph extract" in (caught.value.fix or "")


TAILS = {
    "elementwise": (
        "float[K,3] y",
        "f = Cast<to = 1>(k) e = Exp(f) o = CastLike(m, e) y = Add(e, o)",
    ),
    "columns": ("int64[3,K] y", "y = Transpose<perm = [1, 0]>(k)"),
    "softmax": ("float[K,3] y", "f = Cast<to = 1>(k) y = Softmax<axis = 1>(f)"),
    "best of a row": ("int64[K] y", "y = ArgMax<axis = 1, keepdims = 0>(k)"),
    "reshaped": ("int64[K,3,1] y", "t = Constant<value_ints = [-1, 3, 1]>() y = Reshape(k, t)"),
    "unsqueezed": ("int64[1,K,3] y", "a = Constant<value_ints = [0]>() y = Unsqueeze(k, a)"),
    "joined": ("int64[K,6] y", "y = Concat<axis = 1>(k, k)"),
    "sliced": (
        "int64[K,2] y",
        "a = Constant<value_ints = [1]>() e = Constant<value_ints = [3]>() y = Slice(k, a, e, a)",
    ),
    "split": ("int64[K,1] y", "y, z, w = Split<axis = 1, num_outputs = 3>(k)"),
    "the first": (
        "int64[K,3] y",
        "a = Constant<value_ints = [0]>() e = Constant<value_ints = [25]>() y = Slice(k, a, e, a)",
    ),
    "sizes": ("int64[2] y", "y = Shape(k)"),
    "how many": (
        "float[] y",
        "z = Shape(k) i = Constant<value_int = 0>() n = Gather(z, i) y = Cast<to = 1>(n)",
    ),
    "computed with": (
        "int64[4] y",
        "z = Shape(k) o = Constant<value_ints = [1]>() q = Constant<value_ints = [2]>() "
        "n = Slice(z, o, q) t = Concat<axis = 0>(o, n, z) c = Cast<to = 7>(t) y = Mul(c, q)",
    ),
    "reshaped by sizes": (
        "int64[K,1,3] y",
        "z = Shape<end = 1>(k) o = Constant<value_ints = [1]>() w = Shape<start = 1>(k) "
        "t = Concat<axis = 0>(z, o, w) y = Reshape(k, t)",
    ),
    "reshaped by some sizes": (
        "int64[K,3] y",
        "o = Constant<value_ints = [-1]>() w = Shape<start = 1>(k) "
        "t = Concat<axis = 0>(o, w) y = Reshape(k, t)",
    ),
    "expanded": (
        "int64[2,K] y",
        "z = Shape<end = 1>(k) o = Constant<value_ints = [2]>() t = Concat<axis = 0>(o, z) "
        "q = Constant<value_ints = [7]>() e = Expand(q, t) i = Constant<value_int = 2>() "
        "c = Gather<axis = 1>(k, i) y = Add(e, c)",
    ),
    "tiled": (
        "int64[K,2] y",
        "z = Shape<end = 1>(k) o = Constant<value_ints = [2]>() t = Concat<axis = 0>(z, o) "
        "a = Constant<value_ints = [0, 1]>() q = Constant<value_int = 7>() u = Unsqueeze(q, a) "
        "y = Tile(u, t)",
    ),
    "numbered": (
        "int64[K] y",
        "z = Shape<end = 1>(k) r = Squeeze(z) a = Constant<value_int = 0>() "
        "d = Constant<value_int = 1>() n = Range(a, r, d) y = Mul(n, n)",
    ),
    "filled": (
        "float[K,3] y",
        "z = Shape(k) f = ConstantOfShape(z) e = Cast<to = 1>(k) o = Exp(f) y = Add(e, o)",
    ),
    "reduced": (
        "int64[K] y",
        "a = Constant<value_ints = [1]>() y = ReduceSum<keepdims = 0>(k, a)",
    ),
}


@pytest.mark.parametrize("output", TAILS, ids=TAILS)
def test_rows_are_followed_to_the_outputs(output: str, tmp_path: Path) -> None:
    declared, tail = TAILS[output]
    case = Refused(
        f"g (float[2,60,4] b, float[2,3,60] s) => ({declared}) <int64 m = {{10}}> "
        f"{{ k = NonMaxSuppression(b, s, m) {tail} }}",
        inputs=BUILDS["NonMaxSuppression"].inputs,
    )
    path = case.write(tmp_path / "m.onnx")
    prepared(path)
    expected = run(path, {**case.inputs})["y"]
    assert expected.size > 0
    actual = run(tmp_path / "prepared.onnx", {**case.inputs})["y"]
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_public_signature_is_the_models(tmp_path: Path) -> None:
    path = BUILDS["Resize by float scales"].write(tmp_path / "m.onnx")
    model = prepared(path)
    assert {spec.name: spec.dtype for spec in model.signature.inputs}["s"] == "int64"
    artifact = with_adapters(Artifact("prepared.onnx"), adapters_of(model.ir))
    engine = open_engine(tmp_path, artifact, ORT)
    assert isinstance(engine, AdaptedEngine)
    before = modelport.Model.load(path).signature
    assert engine.signature.inputs == before.inputs
    assert [spec.name for spec in engine.signature.outputs] == ["y"]
