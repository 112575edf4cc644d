"""What int8 must hold on networks of the size that people deploy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import modelport
from tests.models.resnet import resnet50
from tests.models.vit import vit_s16
from tests.precision.memory import cases
from tests.precision.unseen import worst_cosine


@pytest.mark.slow
@pytest.mark.parametrize(("make", "least"), [(resnet50, 0.999), (vit_s16, 0.998)])
def test_int8_is_near_on_unseen_images(make: Callable[[], torch.nn.Module], least: float) -> None:
    net = make().eval()
    image = torch.zeros(1, 3, 224, 224)
    model = modelport.export(net, (image,), input_names=["image"], probes=False)
    result = modelport.quantize(model, lambda: cases(80), max_drop=1 - least)
    assert result.table.cases == 64
    assert worst_cosine(net, result.model) >= least
    assert set(result.kept) <= set(result.sensitivity)


@pytest.mark.slow
def test_memory_of_calibrating_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "resnet50.onnx"
    image = torch.zeros(1, 3, 224, 224)
    modelport.export(resnet50(), (image,), input_names=["image"], probes=False).save(path)

    def peak(what: str, count: int) -> float:
        command = [sys.executable, "-m", "tests.precision.memory", str(path), what, str(count)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return float(done.stdout.split()[-1])

    # Of a thousand images, all but the first hundred are as those: what is kept does not grow.
    few, more = peak("calibrate", 20), peak("calibrate", 100)
    assert more <= 2 * peak("run", 1) + 300
    assert more <= few + 30
