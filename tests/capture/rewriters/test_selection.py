import pytest
import torch

from modelport import Target, UsageError
from modelport.capture.rewriters import (
    common_target,
    register_rewrite,
    registrations,
    rewriting,
)
from modelport.capture.rewriters.conditions import Conditions, Situation


@pytest.fixture(autouse=True)
def nothing_stays_registered():
    yield
    for entry in registrations():
        if not entry.shipped:
            entry.remove()


def answer(text):
    return lambda ctx, x: text


def chosen(target=None, opset=18, capture="dynamo"):
    with rewriting(target=target, opset=opset, capture=capture):
        return torch.neg(torch.ones(1))


def register(text, **conditions):
    return register_rewrite("torch.neg", answer(text), **conditions)


def test_a_backend_is_more_specific_than_every_one():
    register("any")
    register("tensorrt", target="tensorrt")
    register("half", target="tensorrt:fp16")
    assert chosen() == chosen("onnxruntime") == "any"
    assert chosen("tensorrt") == chosen("tensorrt:cuda") == "tensorrt"
    assert chosen("tensorrt:cuda:fp16") == chosen("tensorrt:fp16") == "half"


def test_a_rewrite_for_one_backend_leaves_the_others_alone():
    register("tensorrt", target=("tensorrt", "openvino"))
    assert chosen("tensorrt") == chosen("openvino") == "tensorrt"
    assert torch.is_tensor(chosen())
    assert torch.is_tensor(chosen("onnxruntime"))


def test_a_narrower_range_of_opsets_is_more_specific():
    register("old")
    register("from 18", opset=18)
    register("18 to 20", opset=(18, 20))
    register("19", opset=range(19, 20))
    assert [chosen(opset=opset) for opset in (17, 18, 19, 20, 21)] == [
        "old",
        "18 to 20",
        "19",
        "18 to 20",
        "from 18",
    ]


def test_a_library_version_is_a_condition_and_the_more_specific_one():
    register("any")
    register("torch 1", library="torch<2")
    register("absent", library="no-such-package>=1")
    register("torch 2", library=("torch>=2.10,<3", "numpy>=1.20"))
    assert chosen() == "torch 2"


def test_the_way_of_capture_is_a_condition():
    register("any")
    register("trace", capture="trace")
    assert chosen(capture="trace") == "trace"
    assert chosen() == "any"


def test_ambiguity_names_both():
    register("one", target="tensorrt")
    register("two", target="tensorrt")
    with pytest.raises(UsageError) as caught:
        chosen("tensorrt")
    assert caught.value.where.count("test_selection.py:") == 2
    assert "torch.neg" in caught.value.what
    assert torch.is_tensor(chosen("onnxruntime"))


def test_narrower_in_different_respects_is_ambiguous():
    register("backend", target="tensorrt")
    register("opset", opset=18)
    with pytest.raises(UsageError, match="none is more specific"):
        chosen("tensorrt")
    register("both", target="tensorrt", opset=18)
    assert chosen("tensorrt") == "both"


def test_two_paths_to_one_place_are_one():
    register_rewrite("torch.nn.functional.relu", answer("one"))
    register_rewrite("torch.nn.modules.activation.F.relu", answer("two"))
    with pytest.raises(UsageError, match="none is more specific"), rewriting():
        pass


def test_a_users_rewrite_is_preferred_to_a_shipped_one():
    register_rewrite("torch.roll", lambda ctx, *args: "mine")
    with rewriting():
        assert torch.roll(torch.ones(1), 1) == "mine"
    with rewriting() as active:
        pass
    assert [record.shipped for record in active if record.name == "torch.roll"] == [False]


@pytest.mark.parametrize(
    "conditions",
    [
        {"target": "tensorrt:fp17"},
        {"opset": "18"},
        {"opset": (20, 18)},
        {"opset": range(3, 3)},
        {"opset": True},
        {"library": "torch >= two"},
        {"capture": "magic"},
    ],
)
def test_conditions_that_cannot_be_read(conditions):
    with pytest.raises(UsageError):
        register("never", **conditions)


def test_an_unknown_capture_is_wrong_use():
    with pytest.raises(UsageError, match="magic"):
        chosen(capture="magic")


def test_conditions_say_what_they_are():
    conditions = Conditions.parse("tensorrt", (18, 20), "torch>=2", "trace")
    assert str(conditions) == "target tensorrt, opset 18 to 20, torch>=2, capture trace"
    assert str(Conditions()) == "always"
    assert conditions.hold(Situation(Target("tensorrt"), 19, "trace"))


def test_one_capture_serves_targets_that_get_the_same_rewrites():
    targets = [Target.parse(text) for text in ("onnxruntime", "tensorrt:sm89")]
    # What comes with modelport keeps the results: TensorRT's share of it does no harm elsewhere.
    assert common_target(targets) == targets[1]
    with register_rewrite("torch.relu", torch.relu, target=["onnxruntime", "tensorrt"]):
        assert common_target(targets) == targets[1]
    with (
        register_rewrite("torch.relu", torch.relu, target="tensorrt"),
        pytest.raises(
            UsageError, match=r"torch\.relu is rewritten for tensorrt.* and not for onnx"
        ),
    ):
        common_target(targets)
