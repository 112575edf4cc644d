"""Assignments to ``weight.data`` in a model's code are followed while ``torch.export`` runs it.

torch refuses them or, in its strict mode, ends the whole process (torch 2.13 and 2.14). Models that
merge their branches into one convolution in every run are written so.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from modelport.capture.torch_private.dispatch import tree_map
from modelport.capture.torch_private.fakes import is_fake

_DATA: Any = torch.Tensor.data
_READ, _WRITE = _DATA.__get__, _DATA.__set__


class AssignmentsFollowed(TorchFunctionMode):
    """Within, what reads a traced tensor after ``tensor.data = value`` reads the value."""

    def __init__(self) -> None:
        super().__init__()
        # The tensors are kept so that no other gets the identity of one of them.
        self._values: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Notes what is assigned, and gives it to whoever reads."""
        if func == _WRITE and is_fake(args[0]):
            self._values[id(args[0])] = (args[0], self._value(args[1]).detach())
            return None
        if func == _READ and is_fake(args[0]):
            return self._value(args[0]).detach()
        if self._values:
            args, kwargs = tree_map(self._value, (args, kwargs))
        return func(*args, **(kwargs or {}))

    def _value(self, read: Any) -> Any:
        return self._values.get(id(read), (read, read))[1]
