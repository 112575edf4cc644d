"""Steps before the model: from bytes to its inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelport.errors import UsageError
from modelport.pipeline.image_state import Frame, Window, step

if TYPE_CHECKING:
    import torch


@step
def decode_image(frame: Frame) -> None:
    """Decodes a PNG or JPEG file's bytes: uint8 [length] becomes uint8 [H, W, 3], RGB.

    In ONNX Runtime it is the operator ``DecodeImage`` of onnxruntime-extensions, whose library
    goes into the bundle. What is in a PNG comes out to the byte; JPEG leaves a decoder some
    freedom, and its bytes differ from Pillow's by up to 3 levels.
    """
    from modelport.pipeline.image_decoder import decode

    if frame.image.ndim != 1:
        raise UsageError(
            f"decode_image takes the bytes of a file, not {list(frame.image.shape)}",
            fix="leave it out where the input is a picture already, or put it first",
        )
    frame.begin(decode(frame.image))


@step
def resize(
    frame: Frame,
    size: int | Sequence[int],
    *,
    fit: str = "exact",
    mode: str = "bilinear",
    antialias: bool = True,
    fill: int = 114,
) -> None:
    """Resizes the picture's bytes.

    With ``antialias``, and for ``nearest``, the bytes are those of Pillow's ``Image.resize`` up to
    version 12, which resizes rows first (13 sometimes resizes columns first, and bytes then differ
    by a level). Without it, they are ``torch.nn.functional.interpolate`` in float32, rounded to
    even: the formula of OpenCV, whose ``INTER_LINEAR`` and ``INTER_CUBIC`` have fewer bits and
    differ by a level at times.

    Args:
        frame: The frame.
        size: [height, width]; one number for both, or, for ``shorter``, the length
            of the shorter side.
        fit: ``exact`` (the picture is stretched), ``shorter`` (as torchvision's ``Resize``), or
            ``letterbox`` (the picture fits inside, in the middle, with ``fill`` around it).
        mode: ``bilinear``, ``bicubic`` or ``nearest``.
        antialias: Whether the filter becomes wider where the picture becomes smaller.
        fill: The byte around a letterboxed picture.
    """
    import torch

    from modelport.ops.library.image_to_tensor.op import fitted_size, image_to_tensor

    image = frame.bytes_of_image("resize")
    window = whole_window(frame, "resize")
    sizes = sizes_of(size, fit)
    table = torch.arange(256, dtype=torch.float32).repeat(image.shape[-1], 1)
    options = {"size": sizes, "fit": fit, "mode": mode, "antialias": antialias, "fill": fill}
    planes = image_to_tensor(image, table, **options)
    made = planes.permute(0, 2, 3, 1).to(torch.uint8)
    frame.image = made if image.ndim == 4 else made[0]
    height, width = fitted_size(window.height, window.width, sizes, fit)
    frame.window = (
        letterboxed(height, width, sizes) if fit == "letterbox" else Window(0, 0, height, width)
    )


def sizes_of(size: int | Sequence[int], fit: str) -> list[int]:
    """A size in the format of the operator."""
    sizes = [size] if isinstance(size, int) else list(size)
    return sizes * 2 if len(sizes) == 1 and fit != "shorter" else sizes


def letterboxed(height: Any, width: Any, sizes: Sequence[int]) -> Window:
    """The rectangle of a picture that was resized into a larger one."""
    return Window((sizes[0] - height) // 2, (sizes[1] - width) // 2, height, width)


def whole_window(frame: Frame, name: str) -> Window:
    """The window of a picture before any step.

    Raises:
        UsageError: It was resized, cut or padded.
    """
    window = frame.placed(name)
    if frame.image is not frame.picture:
        raise UsageError(
            f"the step {name} comes after one that changed the picture's size or colours",
            fix=f"put {name} first, after decode_image",
        )
    return window


@step
def center_crop(frame: Frame, size: int | Sequence[int]) -> None:
    """Crops [height, width] out of the center, as torchvision's ``center_crop``.

    Args:
        frame: What is cut.
        size: [height, width]; one number for both.
    """
    from modelport.ops.library.image_to_tensor.op import center

    image = frame.bytes_of_image("center_crop")
    height, width = sizes_of(size, "exact")
    top, left = center(height, image.shape[-3]), center(width, image.shape[-2])
    frame.image = image[..., top : top + height, left : left + width, :]
    frame.window = cut_window(frame.window, top, left)


def cut_window(window: Window | None, top: Any, left: Any) -> Window | None:
    """A window after a crop of rows and columns before it."""
    if window is None:
        return None
    return Window(window.top - top, window.left - left, window.height, window.width, is_cut=True)


@step
def pad(
    frame: Frame,
    padding: Sequence[int] = (0, 0, 0, 0),
    *,
    multiple: int = 1,
    fill: int = 0,
) -> None:
    """Adds rows and columns of one byte around the picture.

    Args:
        frame: What is padded.
        padding: How many on the left, on top, on the right and at the bottom.
        multiple: The height and the width become multiples of it; what is missing is added on
            the right and at the bottom.
        fill: The byte.
    """
    import torch.nn.functional as F

    image = frame.bytes_of_image("pad")
    left, top, right, bottom = padding
    height, width = (
        side + more for side, more in zip(frame.seen, (top + bottom, left + right), strict=True)
    )
    down, across = (-(-side // multiple) * multiple - side for side in (height, width))
    frame.image = F.pad(image, (0, 0, left, right + across, top, bottom + down), value=fill)
    if frame.window is not None:
        frame.window = dataclasses.replace(
            frame.window, top=frame.window.top + top, left=frame.window.left + left
        )


@step
def to_float(frame: Frame, divisor: float = 255.0) -> None:
    """Bytes become float32, divided by a number: torchvision's ``ToTensor`` divides by 255."""
    import torch

    frame.image = frame.image.to(torch.float32) / divisor


@step
def normalize(frame: Frame, mean: Sequence[float], std: Sequence[float]) -> None:
    """(image - mean) / std for every channel, in float32: torchvision's ``Normalize``.

    Args:
        frame: What is normalised; floats.
        mean: A number for each channel, in the scale that `to_float` left.
        std: A number for each channel.
    """
    import torch

    if not frame.image.is_floating_point():
        raise UsageError("normalize takes floats", fix="put to_float before it")
    shape = (-1, 1, 1) if frame.is_planar else (-1,)
    less, by = (
        torch.tensor(list(item), dtype=torch.float32).reshape(shape) for item in (mean, std)
    )
    frame.image = (frame.image - less) / by


@step
def to_chw(frame: Frame) -> None:
    """[H, W, C] becomes [1, C, H, W], and [N, H, W, C] becomes [N, C, H, W]."""
    if frame.is_planar:
        raise UsageError("to_chw is there twice", fix="leave one out")
    image = frame.image if frame.image.ndim == 4 else frame.image[None]
    frame.image = image.permute(0, 3, 1, 2)
    frame.is_planar = True


@step
def bgr(frame: Frame) -> None:
    """RGB becomes BGR, for models that were trained on pictures as OpenCV reads them."""
    frame.image = frame.image.flip(-3 if frame.is_planar else -1)


@step
def rgb(frame: Frame) -> None:
    """BGR becomes RGB, for pictures that were read by OpenCV."""
    frame.image = frame.image.flip(-3 if frame.is_planar else -1)


@step
def warp_affine(frame: Frame, matrix: Sequence[Sequence[float]], size: Sequence[int]) -> None:
    """Moves the picture by an affine map: what ``cv2.warpAffine`` does, bilinearly, 0 outside.

    It samples at exact places in float32 and rounds to even; OpenCV rounds places to 1/32 of a
    pixel.

    Args:
        frame: What is moved.
        matrix: [2, 3]: a place (x, y) of the picture goes to matrix @ (x, y, 1).
        size: [height, width] of the result.
    """
    import torch
    import torch.nn.functional as F

    image = frame.bytes_of_image("warp_affine")
    pictures = (image if image.ndim == 4 else image[None]).permute(0, 3, 1, 2).to(torch.float32)
    forward = torch.tensor([*map(list, matrix), [0.0, 0.0, 1.0]], dtype=torch.float64)
    back = torch.tensor(torch.linalg.inv(forward)[:2].tolist(), dtype=torch.float32)
    height, width = size
    rows, columns = torch.meshgrid(
        torch.arange(height, dtype=torch.float32),
        torch.arange(width, dtype=torch.float32),
        indexing="ij",
    )
    coordinates = torch.stack([columns, rows, torch.ones_like(rows)], -1) @ back.T
    sides = torch.stack(
        [torch.scalar_tensor(side) for side in (pictures.shape[3], pictures.shape[2])]
    )
    grid = (2 * coordinates + 1) / sides - 1
    grid = grid[None].expand(pictures.shape[0], -1, -1, -1)
    made = F.grid_sample(pictures, grid, mode="bilinear", align_corners=False)
    made = made.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    frame.image = made if image.ndim == 4 else made[0]
    frame.window = None


def as_step_input(image: Any) -> torch.Tensor:
    """A picture of any kind as the tensor that the first step gets.

    Args:
        image: A tensor or array of bytes, a Pillow picture, or the bytes of a file.

    Raises:
        UsageError: It is none of these.
    """
    import numpy as np
    import torch

    if isinstance(image, torch.Tensor):
        tensor = image
    elif isinstance(image, bytes | bytearray):
        tensor = torch.frombuffer(bytearray(image), dtype=torch.uint8)
    else:
        tensor = torch.from_numpy(np.array(image))
    if tensor.dtype != torch.uint8:
        raise UsageError(
            f"the example picture has the dtype {str(tensor.dtype).removeprefix('torch.')}",
            fix="before the steps of preprocess a picture is bytes: uint8 [H, W, 3], or those of "
            "a PNG or JPEG file",
        )
    return tensor
