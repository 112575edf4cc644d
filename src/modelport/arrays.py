"""Arrays that all packages pass on: their types for annotations, and tensors as arrays and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Array: TypeAlias = NDArray[Any]
"""An array of any dtype and rank."""

Arrays: TypeAlias = dict[str, Array]
"""Arrays by the name of an input or output."""


def to_numpy(tensor: torch.Tensor) -> Array:
    """A tensor's values as a NumPy array of the same dtype (bfloat16 as in ml_dtypes)."""
    import torch

    tensor = tensor.detach().cpu().contiguous()
    if tensor.dtype is torch.bfloat16:
        import ml_dtypes

        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def from_numpy(array: Array) -> torch.Tensor:
    """The inverse of `to_numpy`; the values are copied."""
    import torch

    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(np.array(array))
