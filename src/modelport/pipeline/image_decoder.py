"""Decoding pictures: Pillow in PyTorch, onnxruntime-extensions in ONNX Runtime."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from modelport.files import images
from modelport.ops.onnxruntime_extensions import DOMAIN

if TYPE_CHECKING:
    import torch

NAME = "modelport::decode_image"
"""The operator's name in PyTorch."""


def decode(data: torch.Tensor) -> torch.Tensor:
    """The picture of a file's bytes.

    Args:
        data: uint8 [length]: a PNG or JPEG file; what follows its end does not matter.

    Returns:
        uint8 [H, W, 3], RGB.
    """
    decoded: torch.Tensor = _operator()(data)
    return decoded


def symbolic(g: Any, data: Any) -> Any:
    """The ONNX node of `decode`, as a symbolic function of torch.onnx."""
    made = g.op(f"{DOMAIN}::DecodeImage", data, color_space_s="rgb")
    made.setType(data.type().with_sizes([None, None, 3]))
    return made


@functools.cache
def _operator() -> Any:
    import torch

    @torch.library.custom_op(NAME, mutates_args=(), schema="(Tensor data) -> Tensor")
    def decode_image(data: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(images.decode(data.numpy().tobytes()))

    @decode_image.register_fake
    def _(data: torch.Tensor) -> torch.Tensor:
        context = torch.library.get_ctx()
        height, width = context.new_dynamic_size(min=1), context.new_dynamic_size(min=1)
        return data.new_empty(height, width, 3)

    return decode_image
