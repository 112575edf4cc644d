"""State of a picture between steps, and its position in the model's input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

from modelport.errors import UsageError

if TYPE_CHECKING:
    import torch

_Options = ParamSpec("_Options")


@dataclass(frozen=True)
class Window:
    """The rectangle of the whole picture in the model's input, in pixels of the input.

    Sizes are whole numbers, or PyTorch's symbols of them.

    Attributes:
        top: Row of its upper edge; below 0 where a crop cut it off.
        left: Column of its left edge.
        height: Its height.
        width: Its width.
        is_cut: Whether a crop cut something off.
    """

    top: Any
    left: Any
    height: Any
    width: Any
    is_cut: bool = False


class Frame:
    """State that steps read and change.

    Attributes:
        picture: The decoded picture before any step: uint8 [H, W, C] or [N, H, W, C].
        image: The picture after the steps so far: bytes or floats, with the channels last until
            `is_planar`.
        is_planar: Whether the image is [N, C, H, W].
        window: The rectangle of the picture in the image; None where that is not a rectangle.
        values: Outputs of the model and results of later steps, by name.
    """

    def __init__(self, image: torch.Tensor) -> None:
        self.image = image
        self.is_planar = False
        self.window: Window | None = None
        self.values: dict[str, torch.Tensor] = {}
        self.begin(image)

    def begin(self, picture: torch.Tensor) -> None:
        """Starts with a decoded picture."""
        self.picture = self.image = picture
        if picture.ndim >= 3:
            self.window = Window(0, 0, *picture.shape[-3:-1])

    @property
    def seen(self) -> tuple[Any, Any]:
        """Height and width of the image."""
        shape = self.image.shape
        return (shape[-2], shape[-1]) if self.is_planar else (shape[-3], shape[-2])

    def bytes_of_image(self, step: str) -> torch.Tensor:
        """The image, which must be bytes with the channels last.

        Raises:
            UsageError: It no longer is.
        """
        import torch

        if self.is_planar or self.image.dtype != torch.uint8 or self.image.ndim not in (3, 4):
            raise UsageError(
                f"the step {step} takes bytes with the channels last; what it gets is "
                f"{str(self.image.dtype).removeprefix('torch.')}{list(self.image.shape)}",
                fix=f"put {step} before to_float, normalize and to_chw, and after decode_image",
            )
        return self.image

    def placed(self, step: str) -> Window:
        """The rectangle of the picture in the image.

        Raises:
            UsageError: A step made it another shape than a rectangle.
        """
        if self.window is None:
            raise UsageError(
                f"the step {step} cannot know the position of the picture in the model's input",
                why="a function or warp_affine changed it",
                fix="use the steps resize, center_crop and pad",
            )
        return self.window

    def take(self, name: str, step: str) -> torch.Tensor:
        """Removes and returns a value by its name; a single value has any name.

        Raises:
            UsageError: There is none of this name, but several others.
        """
        if name not in self.values and len(self.values) == 1:
            name = next(iter(self.values))
        if name not in self.values:
            raise UsageError(
                f"the step {step} finds no {name!r}",
                why=f"there are: {', '.join(self.values) or 'none'}",
                fix="name the model's outputs with output_names, in their order, or name the one "
                "that the step reads",
            )
        return self.values.pop(name)


@dataclass(frozen=True)
class Step:
    """A named step before or after a model.

    Attributes:
        name: Its name.
        options: Its options.
        apply: Changes a frame.
    """

    name: str
    options: Mapping[str, Any]
    apply: Callable[[Frame], None] = field(repr=False)

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.name}({options})"


def step(
    function: Callable[Concatenate[Frame, _Options], None],
) -> Callable[_Options, Step]:
    """Decorator: turns a function of a frame and options into a factory of steps."""
    import inspect

    signature = inspect.signature(function)
    own = list(signature.parameters.values())[1:]

    @wraps(function)
    def make(*args: _Options.args, **kwargs: _Options.kwargs) -> Step:
        bound = signature.bind(None, *args, **kwargs)
        bound.apply_defaults()
        options = {name: value for name, value in bound.arguments.items() if name != "frame"}
        return Step(function.__name__, options, lambda frame: function(frame, *args, **kwargs))

    make.__signature__ = signature.replace(parameters=own, return_annotation=Step)  # type: ignore[attr-defined]
    return make
