"""Short-time Fourier transforms: convolutions with the waves of all frequencies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from modelport.ir.constants import constant
from modelport.ir.values import input_of, rank
from modelport.passes.dft import FLOATS, wave_angles
from modelport.passes.expand import Expansion, Writer


class ExpandSpectrogram(Expansion):
    """`STFT` of real signals, with steps, window and length of the frames as constants."""

    operators = ("STFT",)
    lacking = "short-time Fourier transforms of signals of any length"
    instead = "convolutions with the waves of all frequencies"

    def expand(self, node: ir.Node, write: Writer) -> Sequence[ir.Value | None] | None:
        """Writes the convolution."""
        signal, step = node.inputs[0], constant(node.inputs[1])
        window, given = constant(input_of(node, 2)), constant(input_of(node, 3))
        if signal is None or signal.shape is None or rank(signal) != 3 or step is None:
            return None
        if signal.shape[2] != 1 or signal.dtype not in FLOATS:
            return None
        if window is None and (given is None or input_of(node, 2) is not None):
            return None
        assert signal.dtype is not None
        length = int(given) if given is not None else len(window)  # type: ignore[arg-type]
        onesided = node.attributes.get_int("onesided", 1)
        angles = wave_angles(length, length // 2 + 1 if onesided else length).T
        weights = np.ones(length) if window is None else window.astype(np.float64)
        waves = np.concatenate([np.cos(angles) * weights, -np.sin(angles) * weights])
        kernels = waves[:, None].astype(signal.dtype.numpy())
        turned = write("Transpose", signal, perm=[0, 2, 1])
        seen = write("Conv", turned, kernels, strides=[int(step)], kernel_shape=[length])
        split = write("Reshape", seen, [0, 2, len(angles), -1])
        return [write("Transpose", split, perm=[0, 3, 2, 1])]
