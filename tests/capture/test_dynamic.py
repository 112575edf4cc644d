from __future__ import annotations

from typing import Any

import pytest
import torch

from modelport import Dim, Recipe, UsageError
from modelport.capture import bind_inputs
from modelport.capture.dynamic import DynamicDims, dynamic_dims, to_torch_shapes

TorchDim = torch.export.Dim


class Net(torch.nn.Module):
    def forward(self, image: torch.Tensor, extra: object = None, *, mask: object = None) -> object:
        return image, extra, mask


IMAGE, MASK = torch.zeros(1, 3, 8, 10), torch.zeros(1, 10)


def read(args: tuple[Any, ...] = (IMAGE,), kwargs: Any = None, **forms: Any) -> DynamicDims:
    recipe = Recipe(Net(), args, kwargs or {}, **forms)
    return dynamic_dims(recipe, bind_inputs(Net(), args, kwargs))


def refusal(*args: Any, **forms: Any) -> str:
    with pytest.raises(UsageError) as caught:
        read(*args, **forms)
    return str(caught.value)


def test_nothing_is_dynamic_by_default() -> None:
    assert read() == {}


@pytest.mark.parametrize("form", ["dynamic", "dynamic_axes"])
def test_dict_gives_names(form: str) -> None:
    assert read(**{form: {"image": {0: "batch", 2: "height"}}}) == {
        "image": {0: Dim("batch"), 2: Dim("height")}
    }


@pytest.mark.parametrize("form", ["dynamic", "dynamic_axes"])
def test_list_gives_axes_names_of_their_place(form: str) -> None:
    assert read(**{form: {"image": [0, 2]}}) == {"image": {0: Dim("image_0"), 2: Dim("image_2")}}


def test_negative_axes_count_from_the_back() -> None:
    assert read(dynamic={"image": {-1: "width"}}) == {"image": {3: Dim("width")}}
    assert read(dynamic={"image": [-2]}) == {"image": {2: Dim("image_2")}}


def test_one_axis_given_from_both_ends_is_told() -> None:
    assert "axis" in refusal(dynamic={"image": {3: "width", -1: "breadth"}})


def test_ranges_are_kept() -> None:
    height = Dim("height", 4, 16)
    assert read(dynamic={"image": {2: height}}) == {"image": {2: height}}


def test_example_outside_of_a_range_is_told() -> None:
    message = refusal(dynamic={"image": {2: Dim("height", 9, 16)}})
    assert "size 8 on axis 2" in message
    assert "height in 9..16" in message


def test_two_ranges_for_a_name_are_told() -> None:
    forms = {"image": {3: Dim("width", 2, 20)}, "mask": {1: Dim("width", 2, 30)}}
    message = refusal((IMAGE,), {"mask": MASK}, dynamic=forms)
    assert "'width' has two ranges" in message


def test_one_range_for_a_name_at_two_places_is_good() -> None:
    width = Dim("width", 2, 20)
    forms = {"image": {3: width}, "mask": {1: Dim("width", 2, 20)}}
    assert read((IMAGE,), {"mask": MASK}, dynamic=forms) == {
        "image": {3: width},
        "mask": {1: width},
    }


@pytest.mark.parametrize("form", ["dynamic", "dynamic_axes"])
def test_unknown_input_is_told(form: str) -> None:
    message = refusal(**{form: {"picture": {0: "batch"}}})
    assert "'picture', which is no input" in message
    assert "image" in message


def test_names_of_outputs_are_let_be_as_torch_does() -> None:
    assert read(dynamic_axes={"image": [0], "y": [0]}, output_names=["y"]) == {
        "image": {0: Dim("image_0")}
    }


@pytest.mark.parametrize("axis", [4, -5, "batch", 1.0])
def test_axis_that_there_is_not_is_told(axis: Any) -> None:
    assert "no axis" in refusal(dynamic={"image": {axis: "n"}})


@pytest.mark.parametrize("given", [3.5, object(), ["batch"]])
def test_dimension_that_cannot_be_read_is_told(given: Any) -> None:
    assert "cannot read the dynamic dimension" in refusal(dynamic={"image": {0: given}})


def test_dimensions_of_torch_keep_names_and_ranges() -> None:
    forms = {"image": {0: TorchDim("batch"), 2: TorchDim("height", min=4, max=16)}}
    for form in ({"dynamic": forms}, {"dynamic_shapes": forms}):
        came = read(**form)["image"]
        assert came[2] == Dim("height", 4, 16)
        assert came[0].name == "batch"
        assert came[0].max is None
        assert came[0].min <= 1


def test_hints_of_torch() -> None:
    forms = {
        "image": {
            0: TorchDim.DYNAMIC,
            1: TorchDim.STATIC,
            2: TorchDim.AUTO,
            3: TorchDim.DYNAMIC(min=2, max=12),
        }
    }
    came = read(dynamic_shapes=forms)["image"]
    assert set(came) == {0, 2, 3}
    assert came[3] == Dim("image_3", 2, 12)


@pytest.mark.parametrize(
    "shapes",
    [
        ({0: TorchDim("batch")},),
        [{0: TorchDim("batch")}],
        {"image": {0: TorchDim("batch")}},
        ((TorchDim("batch"), None, None, None),),
        {"image": [TorchDim("batch"), None, None, None]},
        {"image": {0: "batch"}},
    ],
)
def test_every_structure_of_dynamic_shapes(shapes: Any) -> None:
    (dim,) = read(dynamic_shapes=shapes)["image"].items()
    assert dim[0] == 0
    assert dim[1].name == "batch"


def test_dynamic_shapes_of_nested_inputs_keywords_and_none() -> None:
    args = (IMAGE, {"parts": [MASK, MASK + 1], "nothing": None})
    nested = {"parts": [None, {1: TorchDim("width")}], "nothing": None}
    by_name = {"image": None, "extra": nested, "mask": {0: TorchDim("batch")}}
    by_place = (None, nested, {0: TorchDim("batch")})
    for shapes in (by_name, by_place):
        came = read(args, {"mask": MASK}, dynamic_shapes=shapes)
        assert {
            name: {axis: dim.name for axis, dim in axes.items()} for name, axes in came.items()
        } == {
            "extra_parts_1": {1: "width"},
            "mask": {0: "batch"},
        }


def test_dynamic_shapes_of_gathered_arguments_are_nested_as_torch_has_them() -> None:
    class Gathering(torch.nn.Module):
        def forward(self, image: torch.Tensor, *parts: object, **named: object) -> object:
            return image, parts, named

    args, kwargs = (IMAGE, MASK, MASK + 1), {"mask": MASK}
    bound = bind_inputs(Gathering(), args, kwargs)
    parts = (None, {1: TorchDim("width")})
    by_name = {"image": None, "parts": parts, "named": {"mask": {0: TorchDim("batch")}}}
    for shapes in (by_name, tuple(by_name.values())):
        recipe = Recipe(Gathering(), args, kwargs, dynamic_shapes=shapes)
        came = dynamic_dims(recipe, bound)
        assert {name: list(axes) for name, axes in came.items() if axes} == {
            "parts_1": [1],
            "mask": [0],
        }


def test_shapes_for_torch_fit_what_gathers_its_arguments() -> None:
    class Gathering(torch.nn.Module):
        def forward(self, image: torch.Tensor, *parts: torch.Tensor) -> object:
            return image, [part * 2 for part in parts]

    args = (IMAGE, MASK, MASK + 1)
    bound = bind_inputs(Gathering(), args)
    shapes = to_torch_shapes({"parts_1": {1: Dim("width")}}, bound)
    program = torch.export.export(Gathering(), args, dynamic_shapes=shapes)
    assert len(program.range_constraints) == 1


def test_none_in_place_of_an_input() -> None:
    came = read((IMAGE, None), dynamic_shapes=({2: TorchDim("height")}, None))
    assert came["image"][2].name == "height"


def test_sizes_in_dynamic_shapes_are_static() -> None:
    assert read(dynamic_shapes={"image": {0: 1, 2: TorchDim("height")}})["image"].keys() == {2}


@pytest.mark.parametrize(
    "shapes",
    [
        3,
        "image",
        {"picture": {0: TorchDim("batch")}},
        ({0: TorchDim("batch")}, None, None, None),
        {"image": {4: TorchDim("batch")}},
    ],
)
def test_dynamic_shapes_that_do_not_fit_are_told(shapes: Any) -> None:
    assert refusal(dynamic_shapes=shapes)


@pytest.mark.parametrize("nested", [[None], {"parts": [{0: TorchDim("batch")}]}, {"other": None}])
def test_dynamic_shapes_of_another_structure_are_told(nested: Any) -> None:
    args = (IMAGE, {"parts": [MASK, MASK]})
    assert refusal(args, dynamic_shapes=(None, nested))
