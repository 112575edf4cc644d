"""The library's operators in TensorRT for RTX, which takes no plugins: by their decompositions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import modelport
from modelport import Target
from modelport.backends import open_engine
from modelport.backends.adapters import adapters_of, with_adapters
from modelport.backends.base import Artifact
from modelport.deployment import Plan, Workspace
from modelport.ops.library import load

pytest.importorskip("tensorrt_rtx")
pytestmark = pytest.mark.slow

OPERATORS = torch.ops.modelport


class Detector(torch.nn.Module):
    """Boxes and scores of every cell, suppressed."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Conv2d(3, 8, 3, stride=4, padding=1)
        self.boxes, self.scores = torch.nn.Conv2d(8, 4, 1), torch.nn.Conv2d(8, 1, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = torch.relu(self.body(x))
        boxes = self.boxes(features).flatten(2)[0].T
        scores = self.scores(features).flatten()
        corners = boxes[:, :2] * 20
        boxes = torch.cat([corners, corners + boxes[:, 2:].abs() * 30 + 1], 1)
        kept = OPERATORS.nms(boxes, scores, iou_threshold=0.4)
        return boxes[kept], scores[kept]


class Deformed(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.offsets = torch.nn.Conv2d(3, 18, 3, padding=1)
        self.weight = torch.nn.Parameter(torch.randn(6, 3, 3, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        offsets = self.offsets(x) * 2
        return OPERATORS.deform_conv2d(x, self.weight, offsets, None, None, padding=[1, 1])


class Pooled(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        regions = torch.tensor([[0, 1, 1, 9, 9.5], [1, 2, 3, 15, 12.25]])
        return OPERATORS.roi_align(
            self.body(x), regions, pooled_height=3, pooled_width=4, sampling_ratio=2, aligned=True
        )


CASES = {
    "nms": (Detector, (1, 3, 48, 64), ["boxes", "scores"]),
    "deform_conv2d": (Deformed, (2, 3, 16, 20), ["y"]),
    "roi_align": (Pooled, (2, 3, 16, 20), ["y"]),
}


@pytest.mark.parametrize("name", CASES)
def test_operator_is_built_from_standard_ones(name: str, tmp_path: Path) -> None:
    load()
    make, shape, outputs = CASES[name]
    torch.manual_seed(0)
    module = make().eval()
    x = torch.rand(shape)
    model = modelport.export(
        module, (x,), input_names=["x"], output_names=outputs, capture="trace", opset=19
    )
    workspace = Workspace.create(tmp_path, model, [Target.parse("tensorrt-rtx:sm89")])
    with torch.no_grad():
        expected = module(x)
    for precision, atol in (("fp32", 1e-4), ("fp16", 5e-2)):
        target = Target.parse(f"tensorrt-rtx:sm89:{precision}")
        compiled = workspace.build(Plan(target))
        assert "inlined-body" in {finding.rule for finding in compiled.findings}
        assert (tmp_path / compiled.artifact.options["engine"]).stat().st_size > 0
        graph = Artifact(compiled.artifact.graph)
        engine = open_engine(
            tmp_path, with_adapters(graph, adapters_of(compiled.model.ir)), Target("onnxruntime")
        )
        made = engine.run({"x": x.numpy()})
        for output, tensor in zip(
            outputs, expected if isinstance(expected, tuple) else [expected], strict=True
        ):
            np.testing.assert_allclose(made[output], tensor.numpy(), rtol=1e-2, atol=atol)
