"""Bundles for the C++ side, and the program that opens them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import modelport
from tests.runtime.driver import Driver
from tests.support import onnx_text

ROWS = """rows (float[n, 6] x) => (float[n, 4] y, float[n, 6] z)
<float[6, 4] w = {
    0.5, -1, 2, 0.25, 1, 1, -2, 3, 0.125, 4, -0.5, 1.5,
    2, 2, -1, 0.75, -3, 1, 0.5, 2, 1, -1, 1, -1
}>
{
    m = MatMul(x, w)
    y = Tanh(m)
    z = Relu(x)
}"""
"""A model whose requests can be put together."""


@pytest.fixture(
    scope="session",
    params=[
        "release",
        pytest.param("address", marks=pytest.mark.slow),
        pytest.param("thread", marks=pytest.mark.slow),
        pytest.param("clang", marks=pytest.mark.slow),
    ],
)
def variant(request: pytest.FixtureRequest) -> str:
    """The build that tests run on."""
    return str(request.param)


@pytest.fixture
def driver(variant: str, tmp_path: Path) -> Iterator[Driver]:
    """The tests' program; it must end cleanly."""
    folder = tmp_path / "driver"
    folder.mkdir()
    with Driver(variant, folder) as running:
        yield running


@pytest.fixture(scope="session")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of `ROWS`."""
    folder = tmp_path_factory.mktemp("rows")
    path = folder / "rows.port"
    modelport.deploy(str(onnx_text(folder / "rows.onnx", ROWS)), path)
    return path
