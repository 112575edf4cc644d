"""How near a model in lower precision is to the network in PyTorch, on images not calibrated on."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch

import modelport
from modelport.numerics.metrics import cosine
from modelport.precision import widen
from tests.precision.support import run

COUNT = 8


def worst_cosine(net: torch.nn.Module, model: modelport.Model) -> float:
    """The least cosine between both outputs, on images of 224 by 224."""
    rng = np.random.default_rng(1)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = widen(model).save(Path(folder) / "model.onnx")
        for _ in range(COUNT):
            image = rng.standard_normal((1, 3, 224, 224), np.float32)
            with torch.no_grad():
                wanted = net(torch.from_numpy(image)).numpy()
            (came,) = run(path, {"image": image})
            found.append(cosine(wanted.astype(np.float64), came.astype(np.float64)))
    return min(found)
