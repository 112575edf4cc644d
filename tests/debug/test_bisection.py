from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest
import torch

import modelport
from modelport import UsageError, bisect, compare
from modelport.ops.library.my_add.op import my_add
from tests.support import Block, block_recipe, onnx_text

Write = Callable[[str], Path]
X = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)

CONSTANT = """g (float[2] x) => (float[2] y) {
    k = Constant<value = float {1.0}>() y = Add(x, k)
}"""
CHAIN = """g (float[N, 8] x) => (float[N, 8] y) {{
    one = Constant<value = float {{1.0}}>()
    a = Add(x, one)
    b = {op}(a)
    c = Mul(b, {factor})
    d = Softmax<axis = {axis}>(c)
    e = Sub(d, x)
    y = Tanh(e)
}}"""


def chain(op: str = "Sigmoid", factor: str = "b", axis: int = -1) -> str:
    return CHAIN.format(op=op, factor=factor, axis=axis)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    count = iter(range(100))
    return lambda body: onnx_text(tmp_path / f"model{next(count)}.onnx", body)


def test_models_that_agree(write: Write) -> None:
    result = bisect(write(chain()), write(chain()), all_nodes=True)
    assert result.ok
    assert result.verdict == "no node differs"
    assert [link.tensor for link in result.links] == ["a", "b", "c", "d", "e", "y"]
    assert all(link.own is not None and link.own.ok for link in result.links)


@pytest.mark.parametrize(
    ("wrong", "tensor", "says"),
    [
        (chain(op="HardSigmoid"), "b", "operator: HardSigmoid, the reference has Sigmoid"),
        (chain(factor="a"), "c", ""),
        (chain(axis=0), "d", "attribute axis: 0, the reference has -1"),
    ],
)
def test_the_first_wrong_node_is_named(write: Write, wrong: str, tensor: str, says: str) -> None:
    result = bisect(write(chain()), write(wrong))
    assert result.culprit is not None
    assert result.culprit.tensor == tensor
    assert "; ".join(result.culprit.differences) == says
    assert not result.ok
    # The error was followed to the end.
    assert result.links[-1].grown is not None
    assert not result.links[-1].grown.ok
    assert json.dumps(result.to_json(), allow_nan=False)


def test_two_faults_and_all_nodes(write: Write) -> None:
    result = bisect(write(chain()), write(chain(op="HardSigmoid", axis=0)), all_nodes=True)
    parts = [link.tensor for link in result.links if link.own is not None and not link.own.ok]
    assert parts == ["b", "d"]


def test_the_minimal_model_shows_the_difference(
    write: Write, tmp_path: Path, cli: Callable[..., object]
) -> None:
    result = bisect(write(chain()), write(chain(axis=0)), save=tmp_path / "culprit")
    assert result.culprit is not None
    graph = onnx.load(tmp_path / "culprit" / "candidate.onnx").graph
    assert [node.op_type for node in graph.node] == ["Softmax"]
    right = onnx.load(tmp_path / "culprit" / "reference.onnx").graph
    assert right.node[0].attribute[0].i == -1
    words = shlex.split(result.culprit.rerun)
    ran = cli(*words[1:], "--failures", tmp_path / "failures")
    assert ran.code == 1
    case = tmp_path / "culprit" / "case.npz"
    assert compare(tmp_path / "culprit" / "reference.onnx", cases=case).ok


def test_other_names_are_aligned_by_structure(write: Write) -> None:
    body = """g (float[N, 8] input) => (float[N, 8] output) {
        k = Constant<value = float {1.0}>()
        t1 = Add(input, k)
        t2 = Sigmoid(t1)
        t3 = Mul(t2, t2)
        t4 = Softmax<axis = 0>(t3)
        t5 = Sub(t4, input)
        output = Tanh(t5)
    }"""
    result = bisect(write(chain()), write(body))
    assert result.culprit is not None
    assert result.culprit.operator == "Softmax"
    assert result.culprit.partner == "d"


def test_a_folded_pair_of_nodes_is_no_culprit(write: Write) -> None:
    """A scale that moved into the weights changes an inner tensor, and nothing behind it."""
    body = """g (float[N, 2] x) => (float[N, 2] y) {{
        w = Constant<value = float[2, 2] {weights}>()
        s = Constant<value = float {{{scale}}}>()
        a = MatMul(x, w)
        b = Mul(a, s)
        y = {last}(b)
    }}"""
    right = write(body.format(weights="{1.0, 2.0, 3.0, 4.0}", scale="2.0", last="Relu"))
    folded = write(body.format(weights="{2.0, 4.0, 6.0, 8.0}", scale="1.0", last="Relu"))
    assert bisect(right, folded).ok
    wrong = write(body.format(weights="{2.0, 4.0, 6.0, 8.0}", scale="1.0", last="Tanh"))
    result = bisect(right, wrong)
    assert result.culprit is not None
    assert result.culprit.tensor == "y"


def test_an_extra_node_is_named_itself(write: Write) -> None:
    body = """g (float[4, 4] x) => (float[4, 4] y) {{
        {extra} z = Softmax<axis = 1>({given}) y = Neg(z)
    }}"""
    right = write(body.format(extra="", given="x"))
    wrong = write(body.format(extra="t = Transpose<perm = [1, 0]>(x)", given="t"))
    result = bisect(right, wrong)
    assert result.culprit is not None
    assert result.culprit.operator == "Transpose"
    assert result.culprit.tensor == "z"
    assert len(result.culprit.region) == 2


def test_a_shape_that_differs(write: Write) -> None:
    body = """g (float[2, 8] x) => (float[M, K] y) {{
        a = Transpose<perm = {perm}>(x) b = Neg(a) y = Abs(b)
    }}"""
    result = bisect(write(body.format(perm="[1, 0]")), write(body.format(perm="[0, 1]")))
    assert result.culprit is not None
    assert result.culprit.operator == "Transpose"
    assert "shape [2, 8], expected [8, 2]" in result.culprit.error.verdict.reason


def test_a_candidate_that_does_not_run_as_a_whole(write: Write) -> None:
    body = """g (float[4, 8] x) => (float[4, 4] y) {{
        a = Transpose<perm = {perm}>(x) b = Relu(a) y = MatMul(x, b)
    }}"""
    result = bisect(write(body.format(perm="[1, 0]")), write(body.format(perm="[0, 1]")))
    assert result.culprit is not None
    assert result.culprit.operator == "Transpose"
    assert any("MatMul" in why for why in result.not_run.values())
    assert result.notes or (result.outputs is not None and result.outputs.failure)


FUNCTION = """<ir_version: 10, opset_import: ["" : 18, "mine" : 1]>
g (float[N, 8] x) => (float[N, 8] y) {{ a = Neg(x) b = mine.Twist(a) y = {last}(b) }}
<domain: "mine", opset_import: ["" : 18]>
Twist (v) => (w) {{ s = {inner}(v) w = Mul(s, v) }}"""


@pytest.mark.parametrize(
    ("inner", "last", "operator"), [("Tanh", "Abs", "mine::Twist"), ("Sigmoid", "Neg", "Neg")]
)
def test_it_works_through_functions(tmp_path: Path, inner: str, last: str, operator: str) -> None:
    for name, text in (
        ("right", FUNCTION.format(inner="Sigmoid", last="Abs")),
        ("wrong", FUNCTION.format(inner=inner, last=last)),
    ):
        model = onnx.parser.parse_model(text)
        (tmp_path / f"{name}.onnx").write_bytes(model.SerializeToString())
    result = bisect(tmp_path / "right.onnx", tmp_path / "wrong.onnx", save=tmp_path / "culprit")
    assert result.culprit is not None
    assert result.culprit.operator == operator
    case = tmp_path / "culprit" / "case.npz"
    assert not compare(tmp_path / "culprit" / "candidate.onnx", cases=case).ok


class Twist(torch.autograd.Function):
    """An operator that ONNX does not have, and that nobody has a kernel for."""

    @staticmethod
    def forward(ctx: object, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sign(x) + 0.5

    @staticmethod
    def symbolic(g: object, x: object) -> object:
        return g.op("mine::Twist", x).setType(x.type())


class Twisted(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Twist.apply(x)


def test_it_works_through_operators_without_a_kernel(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(8, 8), Twisted(), torch.nn.LayerNorm(8), torch.nn.Linear(8, 4)
    )
    recipe = modelport.Recipe(net, (torch.randn(3, 8),), capture="trace")
    model = modelport.export(recipe, probes=False)
    assert any(node.domain == "mine" for node in model.ir.graph)
    right = bisect(recipe, model)
    assert right.culprit is None
    assert any("does not run as a whole" in note for note in right.notes)
    assert any("Twist" in name for name in right.not_run)
    node = next(node for node in model.ir.graph if node.op_type == "LayerNormalization")
    node.attributes["epsilon"] = type(node.attributes["epsilon"])(
        "epsilon", node.attributes["epsilon"].type, 0.1
    )
    wrong = bisect(recipe, model)
    assert wrong.culprit is not None
    assert wrong.culprit.operator == "LayerNormalization"
    assert wrong.culprit.module is not None
    assert wrong.culprit.module.path == "2"


class Added(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return my_add(x, x.flip(-1), alpha=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["LayerNormalization", "my_add"])
def test_it_works_through_declared_operators(wrong: str, tmp_path: Path) -> None:
    """Its kernel is built, and runs on both sides."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(8, 8), Added(), torch.nn.LayerNorm(8))
    recipe = modelport.Recipe(net, (torch.randn(3, 8),))
    model = modelport.export(recipe, probes=False)
    assert bisect(recipe, model, cases=1).ok
    node = next(node for node in model.ir.graph if node.op_type == wrong)
    name = "epsilon" if wrong == "LayerNormalization" else "alpha"
    node.attributes[name] = onnx_ir.Attr(name, onnx_ir.AttributeType.FLOAT, 0.6)
    result = bisect(recipe, model, cases=1, save=tmp_path / "culprit")
    assert not result.not_run
    assert result.culprit is not None
    assert result.culprit.node == node.name
    case = tmp_path / "culprit" / "case.npz"
    assert not compare(tmp_path / "culprit" / "candidate.onnx", cases=case).ok


@pytest.mark.parametrize("capture", [pytest.param("dynamo", marks=pytest.mark.slow), "trace"])
def test_a_pytorch_model_and_a_wrong_graph_of_it(capture: str) -> None:
    recipe = block_recipe(capture=capture)
    model = modelport.export(block_recipe(model=Block(), capture=capture), probes=False)
    assert bisect(recipe, model).ok
    conv = next(node for node in model.ir.graph if node.op_type == "Conv")
    weight = conv.inputs[1]
    turned = np.ascontiguousarray(weight.const_value.numpy().swapaxes(-1, -2))
    weight.const_value = onnx_ir.tensor(turned, name=weight.name)
    result = bisect(recipe, model)
    assert result.culprit is not None
    assert result.culprit.node == conv.name
    assert result.culprit.place.startswith(str(Path(__file__).parent.parent / "support.py"))
    assert "transposed" in "; ".join(result.culprit.differences)


class Baked(torch.nn.Module):
    """Tracing bakes in the branch that the example takes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 4)
        self.branch = Branch()
        self.last = torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.branch(self.first(x)))


class Branch(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.sum() > 0 else x - 1


def test_a_capture_that_is_wrong_itself_is_found_by_module() -> None:
    torch.manual_seed(0)
    recipe = modelport.Recipe(Baked(), (torch.ones(2, 4),), capture="trace")
    model = modelport.export(recipe, probes=False)
    assert bisect(recipe, model, cases=[{"x": np.ones((2, 4), np.float32)}]).ok
    result = bisect(recipe, model, cases=[{"x": -3 * np.ones((2, 4), np.float32)}])
    flipped = bisect(recipe, model, cases=[{"x": 3 * np.ones((2, 4), np.float32)}])
    (found,) = [item for item in (result, flipped) if item.culprit is not None]
    assert found.culprit.module is not None
    assert found.culprit.module.path == "branch"
    assert "modules alone" in "; ".join(found.notes)


def test_the_case_on_which_they_differ_is_chosen(write: Write) -> None:
    # Relu and Abs differ below zero alone.
    body = "g (float[N, 3] x) => (float[N, 3] y) {{ a = {op}(x) y = Add(a, a) }}"
    cases = [{"x": np.ones((2, 3), np.float32)}, {"x": -np.ones((2, 3), np.float32)}]
    result = bisect(write(body.format(op="Relu")), write(body.format(op="Abs")), cases=cases)
    assert result.case.name == "generated-1"
    assert result.culprit is not None
    assert result.culprit.tensor == "a"


def test_sequences_and_branches_are_run_as_a_whole(write: Write) -> None:
    body = """g (float[4, 2] x, bool flag) => (float[4, 2] y) {{
        parts = SplitToSequence<axis = 0>(x)
        whole = ConcatFromSequence<axis = 0>(parts)
        z = If (flag) <
            then_branch = one () => (float[4, 2] r) {{ r = {op}(whole) }},
            else_branch = two () => (float[4, 2] s) {{ s = Neg(whole) }}
        >
        y = Add(z, x)
    }}"""
    cases = [{"x": X[:, :2].copy(), "flag": np.array(True)}]
    right, wrong = write(body.format(op="Relu")), write(body.format(op="Abs"))
    assert bisect(right, right, cases=cases, all_nodes=True).ok
    result = bisect(right, wrong, cases=cases)
    assert result.culprit is not None
    assert result.culprit.operator == "If"


def test_random_nodes_are_left_out(write: Write) -> None:
    body = """g (float[4, 8] x) => (float[4, 8] y) {
        r = RandomNormalLike(x) s = Mul(r, x) y = Neg(s)
    }"""
    result = bisect(write(body), write(body), all_nodes=True)
    assert result.culprit is None


def test_a_small_budget_gives_the_same_answer(write: Write) -> None:
    right = """g (float[N, 8] x) => (float[N, 8] y) {
        a = Sin(x) b = Cos(a) c = Add(a, b) d = Exp(c) e = Sub(d, a) y = Tanh(e)
    }"""
    wrong = right.replace("Sub(d, a)", "Sub(d, b)")
    cases = [{"x": np.ones((20_000, 8), np.float32) * np.linspace(0, 1, 8, dtype=np.float32)}]
    small = bisect(write(right), write(wrong), cases=cases, budget=1, all_nodes=True)
    large = bisect(write(right), write(wrong), cases=cases, all_nodes=True)
    assert small.culprit is not None
    assert large.culprit is not None
    assert small.culprit.tensor == large.culprit.tensor == "e"
    assert [link.to_json() for link in small.links] == [link.to_json() for link in large.links]


def test_one_model_on_two_targets(write: Write) -> None:
    for targets in (None, "onnxruntime", "onnxruntime,onnxruntime:cpu"):
        result = bisect(write(chain()), targets=targets, all_nodes=True)
        assert result.ok
        assert len(result.links) == 6
        assert ("without" in result.reference) == (targets != "onnxruntime,onnxruntime:cpu")
    two = bisect(block_recipe(), targets=["onnxruntime", "onnxruntime"], cases=1)
    assert two.ok
    assert "PyTorch" not in two.reference


def test_a_bundle_stands_for_its_graph(bundle: Path, recipe_file: Path) -> None:
    assert bisect(recipe_file, bundle, cases=1).ok


def test_wrong_use(write: Write, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        bisect(tmp_path / "nothing.onnx")
    odd = onnx.load(write(CONSTANT))
    odd.graph.node[0].attribute[0].name = "valuv"
    (tmp_path / "odd.onnx").write_bytes(odd.SerializeToString())
    with pytest.raises(UsageError, match="not a valid model"):
        bisect(tmp_path / "odd.onnx")
    with pytest.raises(UsageError, match="budget of 0"):
        bisect(write(chain()), budget=0)
    with pytest.raises(modelport.ModelportError, match="missing: x"):
        bisect(write(chain()), cases=[{"wrong": X}])
