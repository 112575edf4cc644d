"""Requests of many threads are run together: none is lost, none gets another one's answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import modelport
from tests.runtime.driver import Driver, Refused
from tests.runtime.test_engine import failing


@pytest.mark.parametrize(("threads", "batch", "delay"), [(8, 8, 500), (3, 1, 0), (4, 5, 0)])
def test_every_request_has_its_own_answer(
    driver: Driver, rows: Path, threads: int, batch: int, delay: int
) -> None:
    driver.load(rows)
    assert driver.ask("submit", threads, 400, batch, delay) == "400 0"


@pytest.mark.slow
def test_none_of_many_requests_is_lost_or_swapped(driver: Driver, rows: Path) -> None:
    driver.load(rows)
    assert driver.ask("submit", 8, 100_000, 16, 200) == "100000 0"


def test_refused_inputs_come_through_the_future(
    driver: Driver, deployed: modelport.Deployment
) -> None:
    driver.load(deployed.path)
    inputs = {"image": np.ones((1, 3, 65, 8), np.float32)}
    driver.give(inputs)
    with pytest.raises(modelport.RunError) as there:
        modelport.load(deployed.path).run(inputs)
    with pytest.raises(Refused) as here:
        driver.ask("answer", 4, 100)
    assert (here.value.kind, str(here.value)) == ("RunError", str(there.value))


class Pick(torch.nn.Module):
    """An element of each row by its number, which may be none."""

    def forward(self, x: torch.Tensor, i: torch.Tensor) -> torch.Tensor:
        return x.gather(1, i[:, None])


def test_a_failing_request_fails_alone(driver: Driver, tmp_path: Path) -> None:
    args = (torch.ones(2, 3), torch.zeros(2, dtype=torch.int64))
    dynamic = {"x": {0: "n"}, "i": {0: "n"}}
    recipe = modelport.Recipe(
        Pick(), args, input_names=["x", "i"], dynamic=dynamic, capture="trace"
    )
    path = tmp_path / "pick.port"
    modelport.deploy(recipe, path)
    driver.load(path)
    # One row in four has an index that is not there.
    told = driver.ask("poison", 64, 8, 20_000)
    assert told == "16 failed, 48 right"


def test_a_request_larger_than_a_batch_runs_alone(
    driver: Driver, deployed: modelport.Deployment
) -> None:
    driver.load(deployed.path)
    driver.give({"image": np.ones((5, 3, 18, 20), np.float32)})
    assert driver.ask("answer", 2, 0) == "5x3x18x20"


def test_a_model_without_a_common_axis_is_refused(driver: Driver, tmp_path: Path) -> None:
    driver.load(failing(tmp_path))
    driver.give({"x": np.ones((2, 3), np.float32), "i": np.array([1], np.int64)})
    with pytest.raises(Refused, match="cannot be put together: 'x'") as caught:
        driver.ask("answer", 2, 0)
    assert caught.value.kind == "UsageError"
    assert driver.ask("answer", 1, 0) == "1x3"


@pytest.mark.parametrize(("batch", "delay"), [(0, 5), (4, -1)])
def test_an_impossible_batch_is_refused(driver: Driver, rows: Path, batch: int, delay: int) -> None:
    driver.load(rows)
    with pytest.raises(Refused, match="is not possible") as caught:
        driver.ask("answer", batch, delay)
    assert caught.value.kind == "UsageError"
