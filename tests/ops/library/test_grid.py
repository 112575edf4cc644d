"""grid against torch_cluster's way to count, in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from modelport import OperatorError
from modelport.conformance import prove_operator
from modelport.ops.library.grid.op import grid
from tests.ops.library.agreement import drawn


def grid_cluster(pos, size, start, end) -> np.ndarray:
    """As the sources of torch_cluster have it."""
    pos, size = pos.numpy(), size.numpy()
    start = pos.min(0) if start is None else start.numpy()
    end = pos.max(0) if end is None else end.numpy()
    counts = ((end - start) / size).astype(np.int64) + 1
    strides = np.concatenate([[1], counts.cumprod()])[: len(size)]
    return (((pos - start) / size).astype(np.int64) * strides).sum(1)


def test_everything_that_comes_of_it() -> None:
    prove_operator(grid, cases=12, exports=1).require()


def test_reference_and_kernel_are_torch_clusters() -> None:
    compared = 0
    for inputs, _ in drawn(grid, 60):
        if len(inputs[0]) == 0:
            continue
        expected = grid_cluster(*inputs)
        for given in (grid.reference, grid):
            actual = given(*inputs)
            assert actual.dtype == torch.int64
            np.testing.assert_array_equal(actual.numpy(), expected)
        compared += 1
    assert compared > 30


def test_the_example_of_torch_cluster() -> None:
    # Of its README: pos [[0, 0], [11, 9], [2, 8], [2, 2], [8, 3]] in voxels of 5 by 5.
    pos = torch.tensor([[0.0, 0.0], [11.0, 9.0], [2.0, 8.0], [2.0, 2.0], [8.0, 3.0]])
    assert grid(pos, torch.tensor([5.0, 5.0])).tolist() == [0, 5, 3, 0, 1]


@pytest.mark.parametrize("points", [1, 3, 100_003])
def test_many_points_on_several_threads(points: int) -> None:
    pos = torch.randn(points, 3, generator=torch.Generator().manual_seed(0))
    size = torch.tensor([0.5, 1.0, 0.25])
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        actual = grid(pos, size)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(actual.numpy(), grid_cluster(pos, size, None, None))


def test_points_outside_of_the_grid() -> None:
    pos = torch.tensor([[-0.9, 0.0], [-1.5, 0.5], [7.0, 2.0]])
    size, start, end = torch.ones(2), torch.zeros(2), torch.tensor([3.0, 3.0])
    assert grid(pos, size, start, end).tolist() == [0, -1, 15]


def test_bad_inputs() -> None:
    pos = torch.rand(4, 3)
    with pytest.raises(OperatorError, match="points have 3 coordinates, size has 2"):
        grid(pos, torch.ones(2))
    with pytest.raises(OperatorError, match="points have 3 coordinates, end has 1"):
        grid(pos, torch.ones(3), None, torch.ones(1))
    with pytest.raises(OperatorError, match="along axis 1; it must be above 0"):
        grid(pos, torch.tensor([1.0, 0.0, 1.0]))
    with pytest.raises(OperatorError, match="takes rank 2"):
        grid(pos[0], torch.ones(3))
