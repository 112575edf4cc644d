"""Libraries of operators in ONNX Runtime: nodes written by hand, run by the kernels."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from modelport import BuildError, Operator, OperatorError, RunError, Target
from modelport.backends import get_backend
from modelport.backends.base import Artifact
from modelport.ops.declaration import DTYPES
from modelport.ops.library_store import library_path
from tests.operators.graphs import model_of, open_graph

pytestmark = pytest.mark.usefixtures("trial")
ONNX_NAMES = {"float32": "FLOAT", "float64": "DOUBLE"}


def element(dtype: str) -> int:
    return int(onnx.TensorProto.DataType.Value(ONNX_NAMES.get(dtype, dtype.upper())))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_element_type(dtype: str, tmp_path: Path) -> None:
    # Two in a row: ONNX Runtime itself works out the type between them.
    nodes = [
        helper.make_node("Cast", ["x"], ["narrow"], to=element(dtype)),
        helper.make_node("twice", ["narrow"], ["between"], domain="trial"),
        helper.make_node("twice", ["between"], ["wide"], domain="trial"),
        helper.make_node("Cast", ["wide"], ["y"], to=onnx.TensorProto.DOUBLE),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "types",
        [value("x", onnx.TensorProto.DOUBLE, ["n", 4])],
        [value("y", onnx.TensorProto.DOUBLE, ["n", 4])],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("trial", 1)]
    engine = open_graph(helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path)
    for rows in (3, 0):
        x = np.arange(rows * 4, dtype=np.float64).reshape(rows, 4)
        wanted = (x != 0) if dtype == "bool" else 4 * x
        np.testing.assert_array_equal(engine.run({"x": x})["y"], wanted)


PICK = """
    pick (float[n] a, int32[n] b, double[n] c, uint8[n] d, int64[n] e)
        => (float[n] y, int32[m] there) {{
        y, there = trial.pick({inputs})
    }}"""


@pytest.mark.parametrize(
    ("inputs", "there"),
    [
        ("a, b, c, d, e", [1, 1, 1, 1, 1]),
        ("a, b, c", [1, 1, 1, 0, 0]),
        ('a, "", c', [1, 0, 1, 0, 0]),
        ('a, "", c, "", e', [1, 0, 1, 0, 1]),
        ('a, b, c, d, ""', [1, 1, 1, 1, 0]),
    ],
)
def test_optional_inputs_and_several_outputs(inputs: str, there: list[int], tmp_path: Path) -> None:
    # The parser writes an input that is not there as "".
    graph = model_of(PICK.format(inputs=inputs.replace('""', "none")))
    names = graph.graph.node[0].input
    names[:] = ["" if name == "none" else name for name in names]
    engine = open_graph(graph, tmp_path)
    given = {
        "a": np.array([0.5, 1.5], np.float32),
        "b": np.array([1, 2], np.int32),
        "c": np.array([10.0, 20.0]),
        "d": np.array([100, 200], np.uint8),
        "e": np.array([1000, 2000]),
    }
    wanted = sum(
        array.astype(np.float64)
        for array, is_there in zip(given.values(), there, strict=True)
        if is_there
    )
    outputs = engine.run(given)
    np.testing.assert_allclose(outputs["y"], wanted)
    assert outputs["there"].tolist() == there


def test_output_that_nobody_uses(tmp_path: Path) -> None:
    graph = model_of(
        "pick (float[n] a, double[n] c) => (int32[m] there) { y, there = trial.pick(a, none, c) }"
    )
    names = graph.graph.node[0]
    names.input[1], names.output[0] = "", ""
    engine = open_graph(graph, tmp_path)
    outputs = engine.run({"a": np.ones(3, np.float32), "c": np.ones(3)})
    assert outputs["there"].tolist() == [1, 0, 1, 0, 0]


@pytest.mark.parametrize("count", [0, 1, 3, 20])
def test_any_number_of_inputs(count: int, tmp_path: Path) -> None:
    names = [f"x{place}" for place in range(count)]
    inputs = ", ".join(f"float[n{name}] {name}" for name in ("first", *names))
    graph = (
        f"joined ({inputs}) => (float[m] y) {{ y = trial.joined({', '.join(['first', *names])}) }}"
    )
    engine = open_graph(graph, tmp_path)
    arrays = {
        name: np.full(place, place, np.float32) for place, name in enumerate(("first", *names))
    }
    np.testing.assert_array_equal(engine.run(arrays)["y"], np.concatenate(list(arrays.values())))


def spelled(*texts: str) -> list[float]:
    return [number for text in texts for number in (len(text.encode()), *text.encode())]


def echo(folder: Path, **attributes: Any) -> list[float]:
    graph = model_of("echo (float[1] x) => (double[n] y) { y = trial.echo(x) }")
    graph.graph.node[0].attribute.extend(
        helper.make_attribute(name, value) for name, value in attributes.items()
    )
    return list(open_graph(graph, folder).run({"x": np.ones(1, np.float32)})["y"].tolist())


def test_every_kind_of_attribute(tmp_path: Path) -> None:
    found = echo(
        tmp_path,
        whole=-(2**40),
        wholes=[1, 2**50],
        real=0.125,
        flag=0,
        text="naïve",
        reals=[1.5, -2.0],
        texts="p\x1f\x1fqr\x1f",
    )
    wanted = [-(2**40), 1, 2**50, 0.125, 0, *spelled("naïve", "p", "", "qr"), 1.5, -2.0]
    assert found == [float(item) for item in wanted]


def test_default_attributes(tmp_path: Path) -> None:
    found = echo(tmp_path, whole=1, wholes=[2])
    wanted = [1, 2, 0.5, 1, *spelled('say "no\\yes"', "a", "", "bcd"), 0.25, -1.5]
    assert found == [float(item) for item in wanted]


def test_whole_number_for_a_real_one(tmp_path: Path) -> None:
    assert echo(tmp_path, whole=1, wholes=[2], real=3)[2] == 3.0
    assert echo(tmp_path, whole=1, wholes=[2], reals=[3, 4])[-2:] == [3.0, 4.0]


def test_empty_texts(tmp_path: Path) -> None:
    assert echo(tmp_path, whole=1, wholes=[2], text="", texts="")[4:] == [0.0, 0.25, -1.5]


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"wholes": [1]}, "the attribute 'whole' is missing"),
        ({"whole": 1}, "the attribute 'wholes' is missing"),
        ({"whole": 1.5, "wholes": [1]}, "the attribute 'whole' has the wrong type"),
        ({"whole": "1", "wholes": [1]}, "the attribute 'whole' has the wrong type"),
        ({"whole": 1, "wholes": 1}, "the attribute 'wholes' has the wrong type"),
        ({"whole": 1, "wholes": [1], "real": "x"}, "the attribute 'real' has the wrong type"),
        ({"whole": 1, "wholes": [1], "text": 3}, "the attribute 'text' has the wrong type"),
        ({"whole": 1, "wholes": [1], "texts": [1]}, "the attribute 'texts' has the wrong type"),
        ({"whole": 1, "wholes": [1.5]}, "the attribute 'wholes' has the wrong type"),
        ({"whole": 1, "wholes": [1], "reals": 2.5}, "the attribute 'reals' has the wrong type"),
        ({"whole": 1, "wholes": [1], "flag": 0.5}, "the attribute 'flag' has the wrong type"),
    ],
)
def test_wrong_attributes(attributes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        echo(tmp_path, **attributes)
    assert said in str(caught.value.why)
    assert "trial::echo" in str(caught.value.why)


def test_wrong_rank(tmp_path: Path) -> None:
    engine = open_graph(
        "p (float[n, m] x) => (float[k] y, int64[k] i) { y, i = trial.positive(x) }", tmp_path
    )
    with pytest.raises(RunError, match=r"rank 2 \[2, 2\]; the kernel takes rank 1"):
        engine.run({"x": np.ones((2, 2), np.float32)})


def test_wrong_element_type(tmp_path: Path) -> None:
    graph = "p (double[n] x) => (double[k] y, int64[k] i) { y, i = trial.positive(x) }"
    with pytest.raises(BuildError) as caught:
        open_graph(graph, tmp_path)
    assert "double" in str(caught.value.why)


def test_operator_that_the_library_lacks(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="thrice"):
        open_graph("p (float[n] x) => (float[n] y) { y = trial.thrice(x) }", tmp_path)


def test_too_few_inputs(tmp_path: Path) -> None:
    with pytest.raises(BuildError):
        open_graph("p (float[n] x) => (float[n] y) { y = tinted.blend(x) }", tmp_path, ["tinted"])


def test_what_the_kernel_refuses(tmp_path: Path) -> None:
    engine = open_graph(
        "p (float[n] a, float[m] b) => (float[n] y) { y = tinted.blend(a, b) }",
        tmp_path,
        ["tinted"],
    )
    with pytest.raises(RunError, match=r"a has shape \[2\], b has shape \[3\]"):
        engine.run({"a": np.ones(2, np.float32), "b": np.ones(3, np.float32)})
    # It goes on working.
    y = engine.run({"a": np.ones(2, np.float32), "b": np.ones(2, np.float32)})["y"]
    np.testing.assert_array_equal(y, [1.5, 1.5])


WORKERS = "p (float[n] x) => (int64[n] y) {{ y = trial.workers{attributes}(x) }}"


def test_threads_are_those_of_the_session(tmp_path: Path) -> None:
    import onnxruntime

    model = model_of(WORKERS.format(attributes="")).SerializeToString()
    for threads in (1, 2, 3):
        options = onnxruntime.SessionOptions()
        options.register_custom_ops_library(str(library_path("trial")))
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {"x": np.zeros(24, np.float32)})
        assert len(set(y.tolist())) == threads
        # The same ones in every run: they are not made for it.
        (again,) = session.run(None, {"x": np.zeros(24, np.float32)})
        assert len({*y.tolist(), *again.tolist()}) <= threads


def test_error_in_a_worker(tmp_path: Path) -> None:
    engine = open_graph(WORKERS.format(attributes="<fails_at = 20>"), tmp_path)
    with pytest.raises(RunError, match="element 20 was to fail") as caught:
        engine.run({"x": np.zeros(24, np.float32)})
    assert "trial::workers" in str(caught.value.why)
    assert (engine.run({"x": np.zeros(8, np.float32)})["y"] > 0).all()


def test_from_many_threads(tmp_path: Path) -> None:
    engine = open_graph(
        "p (float[n] x) => (float[k] y) { z = trial.twice(x) y, i = trial.positive(z) }",
        tmp_path,
    )
    wrong: list[int] = []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        for size in range(50):
            x = random.standard_normal(100 * size).astype(np.float32)
            outputs = engine.run({"x": x})
            if not np.array_equal(outputs["y"], 2 * x[x > 0]):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_libraries_of_several_domains(tmp_path: Path) -> None:
    engine = open_graph(
        "p (float[n] x) => (float[n] y) { z = tinted.blend<share = 2.0>(x, x) y = trial.twice(z) }",
        tmp_path,
        ["tinted", "trial"],
    )
    x = np.linspace(-1, 1, 5, dtype=np.float32)
    np.testing.assert_allclose(engine.run({"x": x})["y"], 2 * (2 * x * x + x), rtol=1e-6)


def test_without_its_library(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="trial"):
        open_graph("p (float[n] x) => (float[n] y) { y = trial.twice(x) }", tmp_path, [])


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    onnx.save(model_of("p (float[n] x) => (float[n] y) { y = Identity(x) }"), tmp_path / "m.onnx")
    return tmp_path


def load_with(library: Path, folder: Path) -> None:
    target = Target("onnxruntime")
    artifact = Artifact("m.onnx", options={"libraries": [str(library)]})
    get_backend(target).load(folder, artifact, target)


def test_file_that_is_no_library(identity: Path) -> None:
    file = identity / "random.so"
    file.write_bytes(np.random.default_rng(0).bytes(10_000))
    with pytest.raises(OperatorError, match="no shared library of Linux"):
        load_with(file, identity)
    with pytest.raises(OperatorError, match="cannot be read"):
        load_with(identity / "absent.so", identity)


@pytest.mark.parametrize("share", [0.0001, 0.3, 0.99])
def test_library_that_was_cut_short(share: float, identity: Path) -> None:
    whole = library_path("trial").read_bytes()
    file = identity / "short.so"
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(OperatorError, match="cut short") as caught:
        load_with(file, identity)
    assert caught.value.exit_code == 2
    assert "modelport ops build" in str(caught.value.fix)


def test_library_of_another_processor(identity: Path) -> None:
    content = bytearray(library_path("trial").read_bytes())
    content[18] = 243  # RISC-V
    file = identity / "foreign.so"
    file.write_bytes(content)
    with pytest.raises(OperatorError, match="another processor"):
        load_with(file, identity)


def test_library_of_something_else(identity: Path) -> None:
    import _ctypes

    with pytest.raises(BuildError, match="does not take the library of operators"):
        load_with(Path(_ctypes.__file__), identity)


def test_kernel_wins_over_body(trial: dict[str, Operator], tmp_path: Path) -> None:
    import torch

    import modelport

    class Network(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return trial["marked"](x, factor=2.0) - trial["marked"](x, factor=3.0) * 10

    # Body and kernel are not what the reference is, on purpose: probes would tell.
    model = modelport.export(
        Network(), (torch.ones(2),), input_names=["x"], output_names=["y"], probes=False
    )
    content = onnx.load(model.save(tmp_path / "exported.onnx"))
    assert [(item.name, item.overload) for item in content.functions] == [
        ("marked", ""),
        ("marked", "1"),
    ]
    x = np.array([1.0, 5.0], np.float32)
    by_kernel = open_graph(content, tmp_path).run({"x": x})["y"]
    by_body = open_graph(content, tmp_path, []).run({"x": x})["y"]
    np.testing.assert_allclose(by_kernel, (2 * x + 1) - (3 * x + 1) * 10)
    np.testing.assert_allclose(by_body, (2 * x + 2) - (3 * x + 2) * 10)
