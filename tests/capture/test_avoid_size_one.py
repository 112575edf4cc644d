"""A batch of one, as most examples have it, is no longer taken for what broadcasts."""

from __future__ import annotations

import torch
from torch import Tensor

import modelport
from modelport.capture.avoid_size_one import without_ones
from modelport.capture.dynamic import dynamic_dims
from modelport.capture.inputs import bind_inputs
from tests.capture.test_symbolic_int import Windows


class Pair(torch.nn.Module):
    """Takes its inputs in equal numbers, or one of them alone."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.cat([x.expand_as(y) * 2, y], 1)


def test_example_of_one_image_gives_a_graph_for_any_number() -> None:
    shapes = [(3, 8, 12), (2, 12, 8), (1, 16, 4), (4, 4, 4), (2, 8, 20)]
    recipe = modelport.Recipe(
        Windows().eval(),
        torch.rand(1, 8, 8, 3),
        dynamic={"x": [0, 1, 2]},
        cases=[(torch.rand(*shape, 3),) for shape in shapes],
        capture="dynamo",
    )
    assert modelport.export(recipe).provenance["capture"]["strategy"] == "dynamo"


def example_sizes(
    model: torch.nn.Module, x: Tensor, y: Tensor, **dims: modelport.Dim
) -> list[list[int]]:
    """Sizes of what is captured; both inputs have the axes 0 and 1 dynamic."""
    batch = dims.get("batch", modelport.Dim("batch"))
    recipe = modelport.Recipe(
        model, (x, y), dynamic={"x": {0: batch, 1: "width"}, "y": {0: batch, 1: "width"}}
    )
    bound = bind_inputs(model, recipe.args)
    larger = without_ones(model, bound, dynamic_dims(recipe, bound))
    return [list(tensor.shape) for tensor in larger.tensors.values()]


def test_only_dimensions_of_one_are_enlarged_to_a_size_that_nothing_else_has() -> None:
    model = Pair()
    assert example_sizes(model, torch.rand(1, 5), torch.rand(1, 5)) == [[2, 5], [2, 5]]
    assert example_sizes(model, torch.rand(1, 2), torch.rand(1, 2)) == [[3, 2], [3, 2]]
    assert example_sizes(model, torch.rand(4, 5), torch.rand(4, 5)) == [[4, 5], [4, 5]]


def test_what_the_range_or_the_model_refuses_stays() -> None:
    one = modelport.Dim("batch", max=1)
    assert example_sizes(Pair(), torch.rand(1, 5), torch.rand(1, 5), batch=one) == [[1, 5]] * 2

    class Single(torch.nn.Module):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return x.reshape(1, -1) + y.reshape(1, -1)[:, : int(x[0, 0]) * 0 + x.shape[1]]

    assert example_sizes(Single(), torch.rand(1, 5), torch.rand(1, 5)) == [[1, 5]] * 2
