from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from modelport import OperatorError
from modelport.ops.schema import join_texts, schema_of


def test_signature_becomes_schema() -> None:
    def reference(
        x: Tensor,
        mask: Tensor | None,
        rest: list[Tensor],
        *,
        count: int,
        scale: float = 1e-5,
        deep: bool = True,
        mode: str = 'a "b" \\ c',
        sizes: list[int] = (1, -2),  # type: ignore[assignment]
        names: list[str] = ("p", "q"),  # type: ignore[assignment]
        weights: list[float] = (0.5,),  # type: ignore[assignment]
    ) -> tuple[Tensor, Tensor]: ...

    schema = schema_of("points::knn", reference)
    assert (schema.domain, schema.name) == ("points", "knn")
    assert [(item.name, item.kind) for item in schema.inputs] == [
        ("x", "In"),
        ("mask", "Opt"),
        ("rest", "List"),
    ]
    assert [item.name for item in schema.attributes if item.required] == ["count"]
    assert schema.outputs == ("output_0", "output_1")
    # PyTorch's own parser reads it back.
    parsed = torch._C.parse_schema(schema.to_torch())
    defaults = {item.name: item.default_value for item in parsed.arguments if item.kwarg_only}
    assert defaults == {
        "count": None,
        "scale": 1e-5,
        "deep": True,
        "mode": 'a "b" \\ c',
        "sizes": [1, -2],
        "names": None,  # its language has no lists of texts as defaults
        "weights": [0.5],
    }
    assert schema.defaults["names"] == ["p", "q"]
    assert len(parsed.returns) == 2


def test_what_may_be_left_out_in_pytorch() -> None:
    def reference(a: Tensor, b: Tensor | None, c: Tensor, d: Tensor | None) -> Tensor: ...

    assert schema_of("t::r", reference).to_torch() == (
        "r(Tensor a, Tensor? b, Tensor c, Tensor? d=None) -> Tensor"
    )


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_default_that_is_not_finite(value: float) -> None:
    def reference(x: Tensor, *, limit: float = value) -> Tensor: ...

    schema = schema_of("t::r", reference)
    torch._C.parse_schema(schema.to_torch())
    assert str(schema.defaults["limit"]) == str(value)


def no_inputs() -> Tensor: ...
def optional_first(x: Tensor | None) -> Tensor: ...
def number_as_input(x: Tensor, k: int) -> Tensor: ...
def unannotated(x) -> Tensor: ...  # type: ignore[no-untyped-def]
def starred(*xs: Tensor) -> Tensor: ...
def list_in_front(xs: list[Tensor], y: Tensor) -> Tensor: ...
def odd_attribute(x: Tensor, *, k: dict[str, int]) -> Tensor: ...
def list_of_lists(x: Tensor, *, k: list[list[int]]) -> Tensor: ...
def no_result(x: Tensor): ...  # type: ignore[no-untyped-def]
def number_as_result(x: Tensor) -> int: ...
def any_number_of_results(x: Tensor) -> tuple[Tensor, ...]: ...
def empty_result(x: Tensor) -> tuple[()]: ...
def wrong_default(x: Tensor, *, k: int = 1.5) -> Tensor: ...  # type: ignore[assignment]
def none_as_default(x: Tensor, *, k: float = None) -> Tensor: ...  # type: ignore # noqa: RUF013
def flag_as_number(x: Tensor, *, k: int = True) -> Tensor: ...
def wrong_item(x: Tensor, *, k: list[int] = [1, "a"]) -> Tensor: ...  # type: ignore[list-item] # noqa: B006
def unknown_name(x: "Tensr") -> Tensor: ...  # type: ignore[name-defined] # noqa: F821, UP037
def unknown_member(x: "torch.Tensr") -> Tensor: ...  # type: ignore[name-defined] # noqa: UP037
def not_python(x: "Tensor |") -> Tensor: ...  # type: ignore[syntax] # noqa: F722


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (no_inputs, "no first input"),
        (optional_first, "no first input"),
        (number_as_input, "'k' is not a tensor"),
        (unannotated, "'x' is not a tensor"),
        (starred, "'xs' is not a tensor"),
        (list_in_front, "list of tensors before"),
        (odd_attribute, "'k' has no type that ONNX knows"),
        (list_of_lists, "'k' has no type that ONNX knows"),
        (no_result, "annotated nothing"),
        (number_as_result, "annotated int"),
        (any_number_of_results, "annotated tuple"),
        (empty_result, "annotated tuple"),
        (wrong_default, "default of the attribute 'k' is 1.5"),
        (none_as_default, "default of the attribute 'k' is None"),
        (flag_as_number, "default of the attribute 'k' is True"),
        (wrong_item, "default of the attribute 'k' is [1, 'a']"),
        (unknown_name, "annotations of t::r cannot be read"),
        (unknown_member, "annotations of t::r cannot be read"),
        (not_python, "annotations of t::r cannot be read"),
    ],
)
def test_signature_that_is_no_schema(reference: Any, said: str) -> None:
    with pytest.raises(OperatorError) as caught:
        schema_of("t::r", reference)
    assert said in str(caught.value)
    # The place is that of the function, so that it is found.
    assert caught.value.where == f"{__file__}:{reference.__code__.co_firstlineno}"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "name", ["knn", "a::b::c", "a::", "::b", "a-b::c", "1a::b", "a::b.default"]
)
def test_name_that_is_none(name: str) -> None:
    with pytest.raises(OperatorError, match="is not the name of an operator"):
        schema_of(name, no_inputs)


def test_texts_that_cannot_be_joined() -> None:
    assert join_texts(["a", "", "b"]) == "a\x1f\x1fb\x1f"
    with pytest.raises(OperatorError, match=r"U\+001F"):
        join_texts(["a\x1fb"])
