"""knn_query against SciPy's k-d tree, and against sorted distances where there are ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree

from modelport import OperatorError
from modelport.conformance import prove_operator
from modelport.ops.library.knn_query.op import knn_query
from tests.ops.library.agreement import drawn, require_agreement


def ends(*sizes: int) -> torch.Tensor:
    return torch.tensor(sizes, dtype=torch.int32).cumsum(0).int()


def points(seed: int, count: int) -> torch.Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(seed))


def check(
    idx: torch.Tensor, dist: torch.Tensor, xyz: np.ndarray, queries: np.ndarray, begin: int
) -> None:
    """One cloud against SciPy: the distances, and that each index is at its distance."""
    k = idx.shape[1]
    expected, _ = cKDTree(xyz).query(queries, k=range(1, k + 1))
    np.testing.assert_allclose(dist.numpy(), expected, rtol=1e-5, atol=1e-6)
    found = idx.numpy() >= 0
    assert np.array_equal(found, np.isfinite(expected))
    places = np.where(found, idx.numpy() - begin, 0)
    own = np.linalg.norm(xyz[places].astype(float) - queries[:, None].astype(float), axis=2)
    np.testing.assert_allclose(np.where(found, own, np.inf), expected, rtol=1e-5, atol=1e-6)
    ordered = np.sort(np.where(found, places, -1 - np.arange(k)), axis=1)
    assert np.all(np.diff(ordered, axis=1) > 0)


def test_everything_that_comes_of_it() -> None:
    prove_operator(knn_query, cases=16, exports=1).require()


def test_reference_and_kernel_are_scipys() -> None:
    for inputs, attributes in drawn(knn_query, 40):
        xyz, offset, *other = inputs
        queries, query_ends = other or (xyz, offset)
        for given in (knn_query.reference, knn_query):
            idx, dist = given(*inputs, **attributes)
            assert (idx.dtype, dist.dtype) == (torch.int32, xyz.dtype)
            begin = first = 0
            for end, last in zip(offset.tolist(), query_ends.tolist(), strict=True):
                if end > begin and last > first:
                    arrays = xyz[begin:end].numpy(), queries[first:last].numpy()
                    check(idx[first:last], dist[first:last], *arrays, begin)
                else:
                    assert bool((idx[first:last] == -1).all())
                begin, first = end, last


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", ["cube", "sphere", "line", "far cluster"])
def test_thousands_of_points(shape: str, threads: int) -> None:
    xyz = points(0, 9000)
    if shape == "sphere":
        xyz = torch.nn.functional.normalize(xyz - 0.5, dim=1)
    elif shape == "line":
        xyz[:, 1:] = 0
    elif shape == "far cluster":
        xyz[1:] /= 1000
        xyz[0] = 1e6
    offset = ends(5000, 0, 4000)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        idx, dist = knn_query(xyz, offset, nsample=16)
    finally:
        torch.set_num_threads(before)
    check(idx[:5000], dist[:5000], xyz[:5000].numpy(), xyz[:5000].numpy(), 0)
    check(idx[5000:], dist[5000:], xyz[5000:].numpy(), xyz[5000:].numpy(), 5000)


def test_the_first_of_equally_far_points_comes_first() -> None:
    axis = torch.arange(9.0)
    grid = torch.cartesian_prod(axis, axis, axis)
    xyz = torch.cat([grid, grid])[torch.randperm(1458, generator=torch.Generator().manual_seed(1))]
    for nsample in (1, 8, 27, 100):
        idx, dist = knn_query(xyz, ends(1458), nsample=nsample)
        squares = (xyz[:, None] - xyz[None]).square().sum(2)
        # The square and the place in one number that sorts by both.
        order = (squares * 2048 + torch.arange(1458)).argsort(dim=1)[:, :nsample]
        assert torch.equal(idx, order.int())
        assert torch.equal(dist, squares.gather(1, order).sqrt())


def test_many_points_at_one_place() -> None:
    idx, dist = knn_query(torch.zeros(20_000, 3), ends(20_000), nsample=16)
    assert torch.equal(idx, torch.arange(16, dtype=torch.int32).expand(20_000, 16))
    assert not dist.any()


def test_missing_neighbours() -> None:
    xyz = torch.tensor([[0.0, 0, 0], [3, 4, 0], [1, 0, 0]])
    idx, dist = knn_query(xyz, ends(2, 0, 1), torch.zeros(3, 3), ends(1, 1, 1), nsample=3)
    assert idx.tolist() == [[0, 1, -1], [-1, -1, -1], [2, -1, -1]]
    none = float("inf")
    assert dist.tolist() == [[0, 5, none], [none, none, none], [1, none, none]]


def test_what_is_not_finite_is_nobodys_neighbour() -> None:
    xyz = points(0, 200)
    xyz[7, 1], xyz[50, 0], xyz[90, 2], xyz[91] = float("nan"), float("inf"), -float("inf"), 3e38
    for given in (knn_query, knn_query.reference):
        idx, _ = given(xyz, ends(200), nsample=199)
        assert bool((idx[[7, 50, 90]] == -1).all())
        assert not bool(torch.isin(idx, torch.tensor([7, 50, 90], dtype=torch.int32)).any())
        assert idx[91].tolist() == [91] + [-1] * 198
        assert idx[0, :196].min() >= 0
        assert idx[0, 196:].tolist() == [-1] * 3


def test_onnxruntime_with_queries_and_without() -> None:
    require_agreement(knn_query, (points(0, 70), ends(30, 40)), nsample=8)
    require_agreement(knn_query, (points(0, 70), ends(30, 40), points(1, 9), ends(0, 9)), nsample=8)


@pytest.mark.parametrize(
    ("inputs", "nsample", "said"),
    [
        ((points(0, 4), ends(2, 1)), 2, "offset ends at 3; there are 4 points"),
        ((points(0, 4), torch.tensor([3, 2, 4]).int()), 2, r"offset\[1\] is 2, after 3"),
        ((points(0, 4), ends(4), points(1, 2)), 2, "only one is given"),
        ((points(0, 4), ends(4), points(1, 2), ends(1, 1)), 2, "new_offset has 2"),
        ((points(0, 4), ends(4), points(1, 2), ends(3)), 2, "new_offset ends at 3"),
        ((points(0, 4), ends(4)), 0, "nsample is 0"),
        ((torch.zeros(4, 2), ends(4)), 2, r"the points are \[n, 3\]"),
        ((torch.zeros(4, 3, 1), ends(4)), 2, "takes rank 2"),
        ((points(0, 4), ends(4).long()), 2, "no cpu kernel for"),
    ],
)
def test_bad_inputs(inputs: Any, nsample: int, said: str) -> None:
    with pytest.raises(OperatorError, match=said):
        knn_query(*inputs, nsample=nsample)
