"""The private parts of PyTorch are where they were."""

import torch

from modelport.ops import torch_private


def test_schema_of_an_overload() -> None:
    overload = torch.ops.aten.add.Tensor
    assert torch_private.is_overload(overload)
    assert not torch_private.is_overload(torch.add)
    named = {item.name: item for item in torch_private.arguments(overload)}
    assert list(named) == ["self", "other", "alpha"]
    assert named["alpha"].kwarg_only
    assert named["alpha"].default_value == 1
    assert [str(item.type) for item in torch_private.returns(overload)] == ["Tensor"]


def test_nothing_is_recorded_below_autograd() -> None:
    x = torch.ones(2, requires_grad=True)
    with torch_private.below_autograd()():
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad
