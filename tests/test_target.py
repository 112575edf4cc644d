from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport import Target, UsageError
from modelport.target import DEVICES, PRECISIONS, PROVIDERS


def test_defaults_are_cpu_and_fp32() -> None:
    target = Target.parse("onnxruntime")
    assert (target.backend, target.device, target.precision) == ("onnxruntime", "cpu", "fp32")
    assert target.provider is None
    assert target.compute_capabilities == ()


@pytest.mark.parametrize(
    "tokens", list(itertools.permutations(("cuda", "tensorrt", "fp16", "sm89")))
)
def test_tokens_come_in_any_order(tokens: tuple[str, ...]) -> None:
    target = Target.parse(":".join(("onnxruntime", *tokens)))
    assert target == Target("onnxruntime", "cuda", "tensorrt", "fp16", ("sm89",))


def test_several_compute_capabilities_keep_their_order() -> None:
    assert Target.parse("tensorrt:sm90:fp16:sm89").compute_capabilities == ("sm90", "sm89")


@pytest.mark.parametrize("text", ["onnxruntime:gpu", "onnxruntime:", "onnxruntime:sm8", "a::fp16"])
def test_unknown_token_is_named_with_the_vocabulary(text: str) -> None:
    with pytest.raises(UsageError, match="unknown token") as caught:
        Target.parse(text)
    for word in (*DEVICES, *PROVIDERS, *PRECISIONS):
        assert word in str(caught.value)


@pytest.mark.parametrize("text", ["", ":cpu"])
def test_missing_backend_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="names no backend"):
        Target.parse(text)


@pytest.mark.parametrize("tokens", [("cpu", "cuda"), ("fp16", "int8"), ("dnnl", "dnnl")])
def test_two_values_of_one_kind_are_an_error(tokens: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match=f"{tokens[0]}, {tokens[1]}"):
        Target.parse(":".join(("onnxruntime", *tokens)))


def test_vocabularies_are_disjoint() -> None:
    words = [*DEVICES, *PROVIDERS, *PRECISIONS]
    assert len(words) == len(set(words))


@given(
    st.builds(
        Target,
        st.sampled_from(["onnxruntime", "tensorrt", "mine"]),
        st.sampled_from(DEVICES),
        st.none() | st.sampled_from(PROVIDERS),
        st.sampled_from(PRECISIONS),
        st.lists(st.sampled_from(["sm75", "sm89", "sm120"]), unique=True).map(tuple),
    )
)
def test_text_of_a_target_reads_as_the_target(target: Target) -> None:
    assert Target.parse(str(target)) == target
    assert Target.parse(target) is target
