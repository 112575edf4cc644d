"""Fusion of the common preprocessing steps, from a picture's bytes to a normalised tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelport.pipeline.image_state import Frame, Step, Window
from modelport.pipeline.preprocess import letterboxed, sizes_of, whole_window

_POINTWISE = ("to_float", "normalize", "to_chw", "bgr", "rgb")


def fuse(steps: Sequence[Step], channels: int) -> list[Step]:
    """Puts ``resize``, ``center_crop`` and what follows up to ``to_chw`` into one step.

    What follows works on every byte alone, so that a table of 256 numbers for each channel holds
    all of it: the result is the same to the bit.

    Args:
        steps: The steps.
        channels: Channels of the picture.

    Returns:
        The steps, of which a run may be replaced by one.
    """
    names = [item.name for item in steps]
    if "resize" not in names:
        return list(steps)
    begin = names.index("resize")
    middle = begin + 1 + (names[begin + 1 : begin + 2] == ["center_crop"])
    end = middle
    while end < len(steps) and steps[end].name in _POINTWISE:
        end += 1
    run = steps[middle:end]
    # A table returns floats, and the operator puts the channels first.
    if not {"to_float", "to_chw"} <= {item.name for item in run}:
        return list(steps)
    cropped = middle > begin + 1
    if cropped and steps[begin].options["fit"] == "letterbox":
        return list(steps)
    crop = sizes_of(steps[begin + 1].options["size"], "exact") if cropped else [0, 0]
    return [*steps[:begin], _fused(steps[begin], crop, run, channels), *steps[end:]]


def _fused(resize: Step, crop: list[int], run: Sequence[Step], channels: int) -> Step:
    import torch

    values = torch.arange(256, dtype=torch.uint8)[:, None, None].repeat(1, 1, channels)
    probe = Frame(values)
    for item in run:
        item.apply(probe)
    table = probe.image[0, :, :, 0].contiguous()
    turned = sum(item.name in ("bgr", "rgb") for item in run) % 2 == 1
    resize_options = resize.options
    options: dict[str, Any] = {
        "size": sizes_of(resize_options["size"], resize_options["fit"]),
        "crop": crop,
        "reverse": turned,
        **{name: resize_options[name] for name in ("fit", "mode", "antialias", "fill")},
    }

    def apply(frame: Frame) -> None:
        from modelport.ops.library.image_to_tensor.op import center, fitted_size, image_to_tensor

        image = frame.bytes_of_image("resize")
        window = whole_window(frame, "resize")
        size = options["size"]
        height, width = fitted_size(window.height, window.width, size, options["fit"])
        if options["fit"] == "letterbox":
            frame.window = letterboxed(height, width, size)
        elif any(crop):
            top, left = center(crop[0], height), center(crop[1], width)
            frame.window = Window(-top, -left, height, width, is_cut=True)
        else:
            frame.window = Window(0, 0, height, width)
        frame.image = image_to_tensor(image, table, **options)
        frame.is_planar = True

    return Step("image_to_tensor", options, apply)
