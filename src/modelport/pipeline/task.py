"""Typed interface of a model: a picture in, a result out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelport.arrays import Array
from modelport.errors import RunError
from modelport.files import images
from modelport.pipeline.results import Answer, Result

if TYPE_CHECKING:
    from modelport.backends import Engine


def answer(engine: Engine, result: Result, image: Any, **others: Array) -> Answer:
    """Runs a model on a picture.

    Args:
        engine: The model.
        result: What its answers mean.
        image: A path, the bytes of a file, uint8 [H, W, 3], or a Pillow picture.
        **others: Further inputs, by name.

    Returns:
        The result.

    Raises:
        RunError: The model does not take pictures, or not such ones.
        UsageError: The file is not an image.
    """
    spec = engine.signature.inputs[0]
    rank = len(spec.shape or ())
    if spec.dtype != "uint8" or rank not in (1, 3, 4):
        raise RunError(
            f"the model takes {spec}, which is not an image", fix="pass arrays by name: engine.run"
        )
    array, shown = _as_file(image) if rank == 1 else _as_picture(image)
    outputs = engine.run({spec.name: array[None] if rank == 4 else array, **others})
    return result.read(outputs, shown)


def _as_file(image: Any) -> tuple[Array, Array]:
    if isinstance(image, bytes | bytearray):
        data = bytes(image)
    elif isinstance(image, str | os.PathLike):
        images.read(image)  # says what is wrong with it
        data = Path(image).read_bytes()
    else:
        data = images.encode(_as_picture(image)[0])
    return np.frombuffer(data, np.uint8), images.decode(data)


def _as_picture(image: Any) -> tuple[Array, Array]:
    if isinstance(image, str | os.PathLike):
        array = images.read(image)
    elif isinstance(image, bytes | bytearray):
        array = images.decode(bytes(image))
    else:
        array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3:
        raise RunError(
            f"the picture is {array.dtype.name}{list(array.shape)}, expected uint8 [H, W, 3]"
        )
    return np.ascontiguousarray(array), array


def task_of(declared: Mapping[str, Any] | None) -> Any:
    """Function of `Engine` that reads a picture, from a manifest; None without a declared task."""
    if not declared:
        return None
    result = Result.from_json(declared)

    def task(engine: Engine, image: Any, **others: Array) -> Answer:
        return answer(engine, result, image, **others)

    return task
