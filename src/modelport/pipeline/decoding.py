"""Decoding pictures: Pillow in PyTorch, onnxruntime-extensions in ONNX Runtime."""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.errors import UsageError

if TYPE_CHECKING:
    import torch

DOMAIN = "com.microsoft.extensions"
"""Domain of the operators of onnxruntime-extensions that handle pictures."""

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
    """The node that stands for `decode` in a graph, as torch.onnx's symbolic functions go."""
    from torch.onnx import JitScalarType

    made = g.op(f"{DOMAIN}::DecodeImage", data, color_space_s="rgb")
    made.setType(JitScalarType.UINT8.tensor_type().with_sizes([None, None, 3]))
    return made


def library() -> Path:
    """The library of onnxruntime-extensions.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import onnxruntime_extensions
    except ImportError as error:
        raise UsageError(
            "decode_image needs the library of onnxruntime-extensions",
            fix="pip install 'modelport[images]'",
        ) from error
    return Path(onnxruntime_extensions.get_library_path())


@functools.cache
def _operator() -> Any:
    import torch

    @torch.library.custom_op(NAME, mutates_args=())
    def decode_image(data: torch.Tensor) -> torch.Tensor:
        import numpy as np
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(io.BytesIO(data.numpy().tobytes())) as image:
                return torch.from_numpy(np.array(image.convert("RGB")))
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise UsageError(
                f"{data.numel()} bytes are no PNG or JPEG file", why=str(error)
            ) from error

    @decode_image.register_fake
    def _(data: torch.Tensor) -> torch.Tensor:
        context = torch.library.get_ctx()
        height, width = context.new_dynamic_size(min=1), context.new_dynamic_size(min=1)
        return data.new_empty(height, width, 3)

    return decode_image
