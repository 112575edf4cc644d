"""Pictures: uint8 HWC RGB at the border, NCHW floats of 0..255 inside."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np

from modelport.arrays import Array
from modelport.errors import UsageError

SUFFIXES = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
MAX_PIXELS = 1 << 27
"""Of one picture; a file of some kilobytes can say that it has billions."""


def to_bytes(array: Array) -> Array:
    """Floats of 0..255 as bytes: rounded to even, then clipped.

    Args:
        array: Any shape.

    Returns:
        uint8, the same shape.
    """
    clipped: Array = np.clip(np.rint(array), 0, 255)
    return clipped.astype(np.uint8)


def from_nchw(array: Array) -> Array:
    """The first picture of a batch.

    Args:
        array: [N, C, H, W] with C of 1 or 3, values 0..255.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UsageError: The array does not have the shape of pictures.
    """
    if not looks_like_pictures(array.shape):
        raise UsageError(
            f"an array of shape {list(array.shape)} is not a picture", fix="expected [N, 1|3, H, W]"
        )
    picture = to_bytes(array[0]).transpose(1, 2, 0)
    return np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))


def to_nchw(picture: Array, dtype: str, channels: int = 3) -> Array:
    """A picture as a batch of one.

    Args:
        picture: uint8 [H, W, 3].
        dtype: The dtype wanted; values stay 0..255.
        channels: 3, or 1 for luma (ITU-R BT.601 weights).

    Returns:
        [1, C, H, W].
    """
    if channels == 1:
        picture = to_bytes(picture @ np.array([0.299, 0.587, 0.114]))[..., None]
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None]).astype(dtype)


def looks_like_pictures(shape: tuple[int | str, ...] | None) -> bool:
    """Return True if a shape is [N, 1|3, H, W]."""
    return shape is not None and len(shape) == 4 and shape[1] in (1, 3)


def read(path: str | os.PathLike[str]) -> Array:
    """Reads a PNG or JPEG file.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        UsageError: The file does not exist or is not an image.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}") from None
    except OSError as error:
        raise UsageError(f"{path} is not a readable picture", why=str(error)) from error
    return decode(data, str(path))


def decode(data: bytes, where: str = "") -> Array:
    """The picture in the bytes of a PNG or JPEG file.

    Args:
        data: The bytes.
        where: Where they come from, for messages.

    Returns:
        uint8 [H, W, 3], RGB.

    Raises:
        UsageError: The bytes are not an image.
    """
    from PIL import Image, UnidentifiedImageError

    what = where or f"a file of {len(data)} bytes"
    try:
        # No other decoder is reached: some of Pillow's start programs.
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UsageError(
                    f"{what} has {image.width} x {image.height} pixels",
                    why=f"pictures have {MAX_PIXELS:,} at most",
                    fix="make it smaller",
                )
            return np.array(image.convert("RGB"))
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        SyntaxError,
        ValueError,
    ) as error:
        raise UsageError(f"{what} is not a readable picture", why=str(error)) from error


def encode(picture: Array) -> bytes:
    """A picture as the bytes of a PNG file.

    Args:
        picture: uint8 [H, W, 3], RGB.
    """
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def write(path: str | os.PathLike[str], picture: Array) -> None:
    """Writes a PNG or JPEG file.

    Args:
        path: Where to write; the suffix says the format.
        picture: uint8 [H, W, 3], RGB.

    Raises:
        UsageError: The file cannot be written.
    """
    from PIL import Image

    try:
        Image.fromarray(picture).save(Path(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write the picture {path}", why=str(error)) from error
