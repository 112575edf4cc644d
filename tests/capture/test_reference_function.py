from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

from modelport import ExportError, RunError
from modelport.capture import bind_inputs, torch_reference
from modelport.capture.reference_function import draws_by_chance, evaluating, flat_outputs
from tests.support import Block


def test_reference_computes_what_the_model_computes() -> None:
    block = Block()
    x = torch.randn(2, 3, 5, 7)
    run = torch_reference(block, bind_inputs(block, (torch.zeros(1, 3, 4, 4),)), ["y"])
    with torch.no_grad():
        np.testing.assert_array_equal(run({"x": x.numpy()})["y"], block(x).numpy())


def test_reference_evaluates_and_puts_every_mode_back() -> None:
    net = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(3), torch.nn.Dropout())
    net.train()
    net[1].eval()
    modes = [module.training for module in net.modules()]
    before = net[1].running_mean.clone()
    run = torch_reference(net, bind_inputs(net, (torch.ones(2, 3),)), ["y"])
    x = np.random.default_rng(0).random((4, 3), np.float32)
    np.testing.assert_array_equal(run({"input": x})["y"], run({"input": x})["y"])
    assert [module.training for module in net.modules()] == modes
    assert torch.equal(net[1].running_mean, before)


def test_modes_come_back_after_an_error() -> None:
    net = torch.nn.Sequential(torch.nn.Dropout())
    net.train()
    with contextlib.suppress(ValueError), evaluating(net):
        assert not net[0].training
        raise ValueError
    assert net.training
    assert net[0].training


def test_model_that_refuses_its_input_is_a_run_error_with_the_shape() -> None:
    block = Block()
    run = torch_reference(block, bind_inputs(block, (torch.zeros(1, 3, 4, 4),)), ["y"])
    with pytest.raises(RunError, match=r"the PyTorch model fails on x \[1, 2, 4, 4\]") as caught:
        run({"x": np.zeros((1, 2, 4, 4), np.float32)})
    assert caught.value.__cause__ is not None


def test_exported_program_is_run() -> None:
    program = torch.export.export(Block(), (torch.zeros(2, 3, 4, 4),))
    run = torch_reference(program, bind_inputs(program.module(), (torch.zeros(2, 3, 4, 4),)), ["y"])
    x = torch.randn(2, 3, 4, 4)
    with torch.no_grad():
        np.testing.assert_allclose(run({"x": x.numpy()})["y"], Block()(x).numpy(), atol=1e-6)


@pytest.mark.parametrize("names", [["y"], ["y", "z", "rest"]])
def test_another_number_of_outputs_is_an_error(names: list[str]) -> None:
    def pair(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, x + 1

    run = torch_reference(pair, bind_inputs(pair, (torch.zeros(2),)), names)
    with pytest.raises(ExportError, match=rf"2 tensors on x \[2\].*{len(names)} outputs"):
        run({"x": np.zeros(2, np.float32)})


def test_chance_is_told_from_what_a_model_remembers() -> None:
    class Counting(torch.nn.Module):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return x + self.calls

    def sampling(x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand_like(x)

    x = {"x": np.zeros(64, np.float32)}
    for model, expected in ((Counting(), False), (sampling, True), (torch.exp, False)):
        bound = bind_inputs(lambda x: x, (torch.zeros(64),))
        state = torch.random.get_rng_state()
        assert draws_by_chance(torch_reference(model, bound, ["y"]), x) is expected
        assert torch.equal(torch.random.get_rng_state(), state)


def test_outputs_are_flat_and_in_order() -> None:
    result = {"b": torch.ones(1), "a": [torch.zeros(2), None, 3, 1.5]}
    flat = flat_outputs(result)
    assert [tuple(tensor.shape) for tensor in flat] == [(1,), (2,), (), ()]
    assert flat[2].item() == 3
