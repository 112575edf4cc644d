from __future__ import annotations

import numpy as np
import pytest
import torch

from modelport import UsageError
from modelport.arrays import from_numpy, to_numpy
from modelport.capture import bind_inputs


class Pair(torch.nn.Module):
    def forward(
        self, x: torch.Tensor, pair: object = None, *, scale: torch.Tensor | None = None
    ) -> object:
        return x, pair, scale


X = torch.arange(6.0).reshape(2, 3)


def test_names_are_the_parameters() -> None:
    bound = bind_inputs(Pair(), (X,), {"scale": torch.ones(1)})
    assert bound.names == ("x", "scale")


def test_single_tensor_stands_for_itself() -> None:
    assert bind_inputs(Pair(), X).names == ("x",)


def test_nested_inputs_are_named_by_their_path() -> None:
    nested = {"left": [X, X + 1], "right": (X + 2,)}
    bound = bind_inputs(Pair(), (X, nested))
    assert bound.names == ("x", "pair_left_0", "pair_left_1", "pair_right_0")
    assert torch.equal(bound.tensors["pair_left_1"], X + 1)


def test_input_names_take_the_place_of_the_first_ones() -> None:
    assert bind_inputs(Pair(), (X, [X, X]), None, ["image"]).names == ("image", "pair_0", "pair_1")


def test_arguments_that_are_no_tensors_have_no_name() -> None:
    bound = bind_inputs(Pair(), (X, [None, X, True, "text"]))
    assert bound.names == ("x", "pair_1")


def test_variable_arguments_are_counted() -> None:
    class Many(torch.nn.Module):
        def forward(self, *parts: torch.Tensor) -> torch.Tensor:
            return sum(parts)

    assert bind_inputs(Many(), (X, X)).names == ("parts_0", "parts_1")


def test_too_many_input_names_are_told() -> None:
    with pytest.raises(UsageError, match="3 input names for 1 tensor input"):
        bind_inputs(Pair(), (X,), None, ["a", "b", "c"])


def test_names_must_differ() -> None:
    with pytest.raises(UsageError, match="two inputs have the name 'x'"):
        bind_inputs(Pair(), (X, X), None, ["x", "x"])


@pytest.mark.parametrize("args", [(), (X, X, X, X)])
def test_inputs_that_do_not_fit_the_model_are_told(args: tuple[torch.Tensor, ...]) -> None:
    with pytest.raises(UsageError, match=r"do not fit Pair.forward"):
        bind_inputs(Pair(), args)


def test_unknown_keyword_is_told() -> None:
    with pytest.raises(UsageError, match=r"do not fit Pair.forward"):
        bind_inputs(Pair(), (X,), {"zoom": X})


def test_call_puts_arrays_in_the_tensors_places() -> None:
    bound = bind_inputs(Pair(), (X, [None, X]), {"scale": torch.ones(1)})
    x, pair, scale = bound.call(Pair(), {"pair_1": np.full((1, 2), 7.0, np.float32)})
    assert torch.equal(x, X)
    assert pair[0] is None
    assert pair[1].tolist() == [[7.0, 7.0]]
    assert torch.equal(scale, torch.ones(1))


@pytest.mark.parametrize(
    "dtype",
    ["float32", "float64", "float16", "bfloat16", "int64", "int32", "int8", "uint8", "bool"],
)
def test_dtypes_go_to_numpy_and_back(dtype: str) -> None:
    tensor = torch.tensor([0, 1, 2]).to(getattr(torch, dtype))
    array = to_numpy(tensor)
    assert array.dtype.name == dtype
    assert array.astype(np.float32).tolist() == tensor.float().tolist()
    back = from_numpy(array)
    assert back.dtype == tensor.dtype
    assert torch.equal(back, tensor)


def test_tensors_with_gradients_or_strides_become_arrays() -> None:
    assert to_numpy(X.clone().requires_grad_()).shape == (2, 3)
    np.testing.assert_array_equal(to_numpy(X.T), X.numpy().T)


def test_values_are_copied_from_numpy() -> None:
    array = np.zeros(3, np.float32)
    tensor = from_numpy(array)
    array[0] = 5.0
    assert tensor.tolist() == [0.0, 0.0, 0.0]
    assert from_numpy(np.broadcast_to(np.float32(2.0), (2, 2))).tolist() == [[2.0, 2.0]] * 2
