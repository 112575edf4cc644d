"""M9: a C++ kernel behind a custom node of ONNX Runtime.

The example: Foo = X + Y in a domain of one's own; inputs of different dtypes, optional inputs,
several outputs; KNNQuery(nsample, xyz, offset, new_xyz?, new_offset?) -> idx with -1 as
placeholder, dist. Foo's graph is written by hand, the kernel is the author's only C++.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

import modelport
from modelport import Operator
from modelport.conformance import prove_operator
from modelport.ops.library.knn_query.op import knn_query
from modelport.ops.library_store import library_path
from modelport.ops.scaffold import load_folder
from tests.operators.graphs import model_of, open_graph

OP = """
import modelport
from torch import Tensor


@modelport.operator("mission::Foo", kernels=["kernel.cpp"])
def Foo(X: Tensor, Y: Tensor) -> Tensor:
    return X + Y


@Foo.shapes
def _(X, Y):
    return X


@Foo.cases
def _(draw):
    shape = [draw.size(), draw.size()]
    return (draw.tensor(shape), draw.tensor(shape)), {}
"""

KERNEL = """
#include <modelport/kernel.h>

void Foo(Context& ctx, In<float> X, In<float> Y, Out<float> Z) {
  check(X.shape() == Y.shape(), "X has shape ", X.shape(), ", Y has shape ", Y.shape());
  const float *x = X.data(), *y = Y.data();
  float* z = Z.alloc(X.shape());
  ctx.parallel_for(X.size(), 1 << 14, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) z[i] = x[i] + y[i];
  });
}
"""


@pytest.fixture(scope="module")
def foo(tmp_path_factory: pytest.TempPathFactory) -> Operator:
    folder = tmp_path_factory.mktemp("foo")
    (folder / "op.py").write_text(OP)
    (folder / "kernel.cpp").write_text(KERNEL)
    (operator,) = load_folder(folder)
    return operator


def graph() -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    shape = ["n", 5]
    made = helper.make_graph(
        [helper.make_node("Foo", ["X", "Y"], ["Z"], domain="mission")],
        "foo",
        [value("X", TensorProto.FLOAT, shape), value("Y", TensorProto.FLOAT, shape)],
        [value("Z", TensorProto.FLOAT, shape)],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mission", 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=9)


@pytest.mark.usefixtures("foo")
def test_foo_in_a_session_of_onnx_runtime_alone() -> None:
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(library_path("mission")))
    session = onnxruntime.InferenceSession(
        graph().SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    random = np.random.default_rng(0)
    for rows in (3, 0, 20_000):
        x, y = random.standard_normal((2, rows, 5)).astype(np.float32)
        np.testing.assert_array_equal(session.run(None, {"X": x, "Y": y})[0], x + y)


def test_foo_is_the_same_everywhere(foo: Operator) -> None:
    prove_operator(foo, cases=6, exports=1).require()


def test_foo_deployed(foo: Operator, tmp_path: Path) -> None:
    class Network(torch.nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return torch.relu(foo(x, y))

    recipe = modelport.Recipe(
        Network(),
        args=(torch.randn(2, 5), torch.randn(2, 5)),
        input_names=["x", "y"],
        output_names=["z"],
        dynamic={"x": {0: "n"}, "y": {0: "n"}},
        capture="trace",
    )
    result = modelport.deploy(recipe, tmp_path / "foo.port")
    random = np.random.default_rng(0)
    x, y = random.standard_normal((2, 9, 5)).astype(np.float32)
    z = modelport.load(result.path).run({"x": x, "y": y})["z"]
    np.testing.assert_array_equal(z, np.maximum(x + y, 0))


@pytest.mark.usefixtures("trial")
def test_inputs_of_different_dtypes_some_optional_and_two_outputs(tmp_path: Path) -> None:
    made = """g (float[n] a, double[n] c, int64[n] e) => (float[n] y, int32[m] there) {
        y, there = trial.pick(a, none, c, none, e)
    }"""
    x = np.array([1.5, -2.0], np.float32)
    inputs = {"a": x, "c": x.astype(np.float64) * 2, "e": np.array([10, 20])}
    model = model_of(made)
    node = model.graph.node[0]
    node.input[1] = node.input[3] = ""
    outputs = open_graph(model, tmp_path).run(inputs)
    np.testing.assert_array_equal(outputs["y"], 3 * x + [10, 20])
    assert outputs["there"].tolist() == [1, 0, 1, 0, 1]


class Neighbours(torch.nn.Module):
    """The model around KNNQuery: the neighbours of every query, or of the points themselves."""

    def __init__(self, nsample: int) -> None:
        super().__init__()
        self.nsample = nsample

    def forward(
        self,
        xyz: torch.Tensor,
        offset: torch.Tensor,
        new_xyz: torch.Tensor | None = None,
        new_offset: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        idx, dist = knn_query(xyz, offset, new_xyz, new_offset, nsample=self.nsample)
        return idx, dist


def clouds(sizes: list[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    points = np.random.default_rng(seed).normal(size=(sum(sizes), 3)).astype(np.float32)
    return points, np.cumsum(sizes).astype(np.int32)


def expected_distances(xyz, offset, new_xyz, new_offset, nsample: int) -> np.ndarray:
    """By all differences in float64, cloud by cloud."""
    rows, begin, start = [], 0, 0
    for end, stop in zip(offset, new_offset, strict=True):
        wide, queries = xyz[begin:end].astype(np.float64), new_xyz[start:stop].astype(np.float64)
        every = np.sort(np.linalg.norm(queries[:, None] - wide[None], axis=2), axis=1)[:, :nsample]
        missing = nsample - every.shape[1]
        rows.append(np.pad(every, ((0, 0), (0, missing)), constant_values=np.inf))
        begin, start = end, stop
    return np.concatenate(rows)


def deploy_neighbours(inputs: dict[str, np.ndarray], nsample: int, path: Path) -> modelport.Engine:
    def ends(like: np.ndarray) -> Callable[..., np.ndarray]:
        """Draws where clouds end: anywhere, but the last at the number of points."""
        count = int(like[-1])
        return lambda random, shape: np.sort(
            np.append(random.integers(0, count, shape[0] - 1), count)
        ).astype(np.int32)

    recipe = modelport.Recipe(
        Neighbours(nsample),
        args=tuple(map(torch.from_numpy, inputs.values())),
        input_names=list(inputs),
        output_names=["idx", "dist"],
        values={name: ends(array) for name, array in inputs.items() if "offset" in name},
    )
    modelport.deploy(recipe, path)
    return modelport.load(path)


def test_knn_query_among_the_points_themselves(tmp_path: Path) -> None:
    xyz, offset = clouds([40, 3, 60], seed=0)
    engine = deploy_neighbours({"xyz": xyz, "offset": offset}, 5, tmp_path / "self.port")
    outputs = engine.run({"xyz": xyz, "offset": offset})
    expected = expected_distances(xyz, offset, xyz, offset, 5)
    np.testing.assert_allclose(outputs["dist"], expected, rtol=1e-4, atol=1e-6)
    # The nearest is the point itself; the cloud of three has no fourth and fifth neighbour.
    np.testing.assert_array_equal(outputs["idx"][:, 0], np.arange(103))
    assert (outputs["idx"][40:43, 3:] == -1).all()
    assert (outputs["idx"][:40] < 40).all()


def test_knn_query_to_other_points(tmp_path: Path) -> None:
    xyz, offset = clouds([50, 30], seed=1)
    new_xyz, new_offset = clouds([7, 0], seed=2)
    inputs = {"xyz": xyz, "offset": offset, "new_xyz": new_xyz, "new_offset": new_offset}
    engine = deploy_neighbours(inputs, 4, tmp_path / "other.port")
    outputs = engine.run(inputs)
    expected = expected_distances(xyz, offset, new_xyz, new_offset, 4)
    np.testing.assert_allclose(outputs["dist"], expected, rtol=1e-4, atol=1e-6)
    found = np.linalg.norm(xyz[outputs["idx"]] - new_xyz[:, None], axis=2)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
