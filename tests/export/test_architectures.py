"""Real architectures, exported with dynamic batch, and equal to eager."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils import _pytree as pytree

import modelport
from modelport import Dim
from tests.export.corpus.entry import integers, randn
from tests.export.corpus.judge import make_feeds, named_leaves, open_session
from tests.models.decoder import decoder
from tests.models.detector import detection_head
from tests.models.resnet import resnet50
from tests.models.tagger import tagger
from tests.models.unet import unet
from tests.models.vit import vit_s16

Tensors = tuple[Any, ...]

LARGEST_ERROR = 1e-4
"""Root mean square of the error over that of eager's output."""


@dataclass(frozen=True)
class Architecture:
    """A model, and sizes to export and to verify it at.

    Attributes:
        build: Makes the model.
        inputs: Makes inputs from the model and sizes.
        example: Sizes to export with.
        checks: Sizes to verify at, none of which is the example's.
        dynamic: Dynamic dimensions by input.
        nodes: Operators that the graph must have.
    """

    build: Callable[[], nn.Module]
    inputs: Callable[..., Tensors]
    example: tuple[int, ...]
    checks: Sequence[tuple[int, ...]]
    dynamic: dict[str, dict[int, Any]]
    nodes: tuple[str, ...] = ()


def pictures(_: nn.Module, n: int, height: int, width: int) -> Tensors:
    """Smooth random images of very different contrast, float32 [n, 3, height, width]."""
    coarse = randn(n, 3, 7, 7, seed=n) * torch.linspace(0.3, 3, n)[:, None, None, None]
    smooth = functional.interpolate(coarse, (height, width), mode="bilinear")
    return (smooth + 0.1 * randn(n, 3, height, width),)


def sentences(_: nn.Module, n: int, length: int) -> Tensors:
    return (integers(20000, n, length),)


def continuation(model: Any, n: int, new: int, past: int) -> Tensors:
    return integers(8000, n, new), model.random_past(n, past, seed=past)


def feature_maps(_: nn.Module, n: int, size: int) -> Tensors:
    return tuple(randn(n, 256, size // s, size // s, seed=s).relu() for s in (8, 16, 32))


PAST = {f"past_{layer}_{part}": {0: "batch", 2: "past"} for layer in range(8) for part in range(2)}
MULTIPLES = {0: "batch", 2: Dim("height", min=16), 3: Dim("width", min=16)}

ARCHITECTURES = {
    "resnet50": Architecture(
        resnet50, pictures, (2, 96, 96), [(1, 96, 96), (3, 96, 96)], {"image": {0: "batch"}}
    ),
    "tagger": Architecture(
        tagger,
        sentences,
        (2, 12),
        [(1, 12), (5, 7), (3, 1), (2, 64)],
        {"tokens": {0: "batch", 1: "length"}},
        nodes=("LSTM",),
    ),
    "vit-s16": Architecture(
        vit_s16, pictures, (2, 224, 224), [(1, 224, 224), (3, 224, 224)], {"image": {0: "batch"}}
    ),
    "unet": Architecture(
        unet,
        pictures,
        (2, 128, 128),
        [(1, 256, 256), (3, 64, 112)],
        {"image": MULTIPLES},
    ),
    "decoder": Architecture(
        decoder,
        continuation,
        (2, 4, 6),
        [(1, 1, 9), (3, 5, 1), (2, 2, 40), (5, 4, 6)],
        {"tokens": {0: "batch", 1: "new"}, **PAST},
    ),
    "detection-head": Architecture(
        detection_head,
        feature_maps,
        (2, 640),
        [(1, 640), (3, 640)],
        {name: {0: "batch"} for name in ("fine", "middle", "coarse")},
        nodes=("NonMaxSuppression",),
    ),
}
ALWAYS = ("resnet50", "tagger")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ALWAYS else pytest.mark.slow)
        for name in ARCHITECTURES
    ],
)
def test_export_equals_eager_at_other_sizes(name: str) -> None:
    case = ARCHITECTURES[name]
    model = case.build()
    exported = modelport.export(
        model, case.inputs(model, *case.example), dynamic=case.dynamic, capture="auto"
    )
    assert not [found for found in exported.findings if found.severity == "error"]
    graph = onnx_ir.serde.serialize_model(exported.ir)
    operators = {node.op_type for node in exported.ir.graph.all_nodes()}
    assert operators.issuperset(case.nodes)
    session = open_session(graph)
    for sizes in (case.example, *case.checks):
        inputs = case.inputs(model, *sizes)
        actual = session.run(None, make_feeds(session, named_leaves(model, inputs, {})))
        with torch.no_grad():
            expected = [tensor.numpy() for tensor in pytree.tree_leaves(model(*inputs))]
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert one.shape == other.shape
            assert one.dtype == other.dtype
            assert relative_error(one, other) <= LARGEST_ERROR, f"at {sizes}"


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_outputs_depend_on_the_input(name: str) -> None:
    """Random weights must not make a comparison easy: outputs vary, and are of a sane size."""
    case = ARCHITECTURES[name]
    model = case.build()
    with torch.no_grad():
        output = pytree.tree_leaves(model(*case.inputs(model, *case.example)))[0]
    assert output.shape[0] >= 2
    assert 1e-2 < output.std() < 1e3
    assert (output[0] - output[1]).std() > 1e-2 * output.std()


def relative_error(actual: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> float:
    """Root mean square of the difference over that of what is expected."""
    difference = actual.astype(np.float64) - expected.astype(np.float64)
    size = float(np.sqrt(np.mean(expected.astype(np.float64) ** 2)))
    return float(np.sqrt(np.mean(difference**2))) / max(size, 1e-12)
