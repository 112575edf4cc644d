"""Thirty planted faults: bisect names the node, or says why it can only name the one behind it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

import modelport
from modelport import bisect
from tests.debug.faults import FAULTS, Fault
from tests.models.resnet import resnet50
from tests.models.tagger import tagger
from tests.models.vit import vit_s16

BUILDERS: dict[str, tuple[Callable[[], torch.nn.Module], Callable[[], torch.Tensor], str]] = {
    "resnet": (resnet50, lambda: _picture(), "dynamo"),
    "vit": (vit_s16, lambda: _picture(), "dynamo"),
    "lstm": (tagger, lambda: torch.randint(0, 20000, (2, 12)), "trace"),
}
IN_EVERY_RUN = ("lstm-axis-0", "lstm-transposed-0", "lstm-overflow-0")
AGAINST_PYTORCH = ("resnet-epsilon-20", "vit-axis-10", "vit-epsilon-11", "lstm-permutation-1")

FUSED = ("resnet-reflection-2", "resnet-reflection-12")
"""The reference pads inside of its Conv, the candidate by a Pad before it: no tensor of the
reference lies between the two, so that the Conv is named, and the Pad as what runs with it."""


def _picture() -> torch.Tensor:
    return torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))


@cache
def recipe(name: str) -> modelport.Recipe:
    build, example, capture = BUILDERS[name]
    torch.manual_seed(0)
    return modelport.Recipe(build(), (example(),), capture=capture, name=name)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The ONNX file of a model, exported once."""
    folder = tmp_path_factory.mktemp("faultless")

    def path(name: str) -> Path:
        found = folder / f"{name}.onnx"
        if not found.exists():
            modelport.export(recipe(name), probes=False).save(found)
        return found

    return path


def test_there_are_thirty() -> None:
    assert len({str(fault) for fault in FAULTS}) == len(FAULTS) == 30


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, id=str(fault), marks=[] if str(fault) in IN_EVERY_RUN else slow)
        for fault in FAULTS
        for slow in [pytest.mark.slow]
    ],
)
def test_bisect_names_the_planted_node(fault: Fault, exported: Callable[[str], Path]) -> None:
    reference = modelport.Model.load(exported(fault.model))
    candidate = modelport.Model.load(exported(fault.model))
    planted = fault.plant(reference, candidate, recipe(fault.model).model, fault.index)
    result = bisect(reference, candidate, cases=1)
    assert result.culprit is not None
    assert not result.ok
    if str(fault) in FUSED:
        assert planted in result.culprit.region
        behind = next(node for node in candidate.ir.graph if node.name == result.culprit.node)
        assert planted in [value.producer().name for value in behind.inputs[:1]]
    else:
        assert result.culprit.node == planted


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, id=str(fault)) for fault in FAULTS if str(fault) in AGAINST_PYTORCH],
)
def test_bisect_names_the_planted_node_beside_pytorch(
    fault: Fault, exported: Callable[[str], Path]
) -> None:
    original = recipe(fault.model)
    candidate = modelport.Model.load(exported(fault.model))
    planted = fault.plant(candidate, candidate, original.model, fault.index)
    result = bisect(original, candidate, cases=1)
    assert result.culprit is not None
    assert result.culprit.node == planted
    assert result.culprit.module is not None
    module = original.model.get_submodule(result.culprit.module.path)
    assert isinstance(module, torch.nn.Module)
    assert result.culprit.place.partition(":")[0].endswith(".py")
