"""A recipe's steps and its model as one module, which is captured and verified as a whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelport.errors import UsageError
from modelport.pipeline.fuse_preprocess import fuse
from modelport.pipeline.image_state import Frame, Step
from modelport.pipeline.preprocess import as_step_input
from modelport.pipeline.synthetic_images import draw_file, draw_picture
from modelport.recipe import Recipe
from modelport.signature import Dim

if TYPE_CHECKING:
    import torch

IMAGE = "image"
"""The default name of the picture among the inputs."""

_SIDES = (16, 4096)
_FILE_LENGTH = 1 << 10


def assemble(recipe: Recipe) -> Recipe:
    """Joins a recipe's steps and its model to one module.

    Args:
        recipe: A recipe; its first example input is a picture: bytes [H, W, C], or those of a
            file where the first step is ``decode_image``.

    Returns:
        The recipe of that module; without steps, the recipe itself.

    Raises:
        UsageError: A step does not fit its input, or the model is not a PyTorch module.
    """
    if not recipe.preprocess and not recipe.postprocess:
        return recipe
    import torch

    model = recipe.model
    if isinstance(model, torch.export.ExportedProgram):
        model = model.module()
    if not isinstance(model, torch.nn.Module):
        raise UsageError(
            f"{recipe.title} has steps before or after the model, which must be a PyTorch module "
            f"then; it is a {type(recipe.model).__name__}",
            fix="give the module, or leave preprocess and postprocess out",
        )
    if not recipe.args:
        raise UsageError("there is no example picture", fix="give it as the first of args")
    args = (as_step_input(recipe.args[0]), *recipe.args[1:])
    channels = args[0].shape[-1] if args[0].ndim >= 3 else 3
    module = _module(recipe, model, channels)
    name = (recipe.input_names or [IMAGE])[0]
    with torch.no_grad():
        outputs = module.named(*args, **recipe.kwargs)
    if recipe.result is not None:
        recipe.result.require_outputs(list(outputs))
    return dataclasses.replace(
        recipe,
        model=module,
        args=args,
        cases=[(as_step_input(case[0]), *case[1:]) for case in recipe.cases],
        input_names=[name, *list(recipe.input_names or [])[1:]],
        output_names=list(outputs),
        name=recipe.title,
        preprocess=(),
        postprocess=(),
        **_sizes_and_values(recipe, name, args[0]),
    )


def _sizes_and_values(recipe: Recipe, name: str, picture: torch.Tensor) -> dict[str, Any]:
    """Sizes and values of pictures that the recipe does not set: any size, drawn as pictures."""
    values_by_name: dict[str, Any] = {}
    if not (recipe.dynamic or recipe.dynamic_axes or recipe.dynamic_shapes):
        if picture.ndim == 1:
            values_by_name["dynamic"] = {name: {0: Dim("length", _FILE_LENGTH)}}
        else:
            sides = {
                picture.ndim - 3: Dim("height", *_SIDES),
                picture.ndim - 2: Dim("width", *_SIDES),
            }
            batch = {0: Dim("batch")} if picture.ndim == 4 else {}
            values_by_name["dynamic"] = {name: batch | sides}
    rule = draw_file if picture.ndim == 1 else draw_picture
    values_by_name["values"] = {name: rule, **recipe.values}
    return values_by_name


def _module(recipe: Recipe, model: torch.nn.Module, channels: int) -> Any:
    """The module; its class is made here, as PyTorch is imported late."""
    import torch

    before = fuse([_as_step(item, _on_image) for item in recipe.preprocess], channels)
    after = [_as_step(item, _on_values) for item in recipe.postprocess]
    names = list(recipe.output_names or ())

    class Assembled(torch.nn.Module):
        """Module of steps before a model, the model, and steps behind it."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def named(self, image: torch.Tensor, *others: Any, **more: Any) -> dict[str, torch.Tensor]:
            frame = Frame(image)
            for item in before:
                item.apply(frame)
            inputs = frame.image if isinstance(frame.image, tuple) else (frame.image,)
            frame.values = _named(self.model(*inputs, *others, **more), names)
            for item in after:
                item.apply(frame)
            return frame.values

        def forward(
            self, image: torch.Tensor, *others: Any, **more: Any
        ) -> tuple[torch.Tensor, ...]:
            return tuple(self.named(image, *others, **more).values())

    return Assembled().train(model.training)


def _as_step(item: Any, calling: Callable[[Any], Callable[[Frame], None]]) -> Step:
    if isinstance(item, Step):
        return item
    if not callable(item):
        raise UsageError(
            f"{item!r} is not a step", fix="a step of modelport.pipeline.steps, or a function"
        )
    return Step(getattr(item, "__name__", type(item).__name__), {}, calling(item))


def _on_image(function: Any) -> Callable[[Frame], None]:
    """A function of the image that returns another image, or a tuple of the model's inputs."""

    def apply(frame: Frame) -> None:
        frame.image = function(frame.image)
        frame.window = None

    return apply


def _on_values(function: Any) -> Callable[[Frame], None]:
    """A function of the values, in their order, that returns tensors, or a dict of them by name."""

    def apply(frame: Frame) -> None:
        frame.values = _named(function(*frame.values.values()), list(frame.values))

    return apply


def _named(outputs: Any, names: Sequence[str]) -> dict[str, torch.Tensor]:
    if isinstance(outputs, Mapping):
        return dict(outputs)
    listed = list(_flat(outputs))
    output_names = [*names, *(f"output_{index}" for index in range(len(names), len(listed)))]
    return dict(zip(output_names, listed, strict=False))


def _flat(outputs: Any) -> Iterator[torch.Tensor]:
    if isinstance(outputs, list | tuple):
        for item in outputs:
            yield from _flat(item)
    else:
        yield outputs
