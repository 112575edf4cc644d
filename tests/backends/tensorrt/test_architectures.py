"""Real architectures become engines for every generation of GPUs, in fp32 and fp16."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

import modelport
from modelport import BuildError, Model
from tests.backends.tensorrt.recipes import RECIPES

pytest.importorskip("tensorrt_rtx")

WITHOUT_PRODUCTS = ("srcnn-fixed", "srcnn", "unet", "detection-head")
"""Those that sm75 takes in fp32: it has no float32 matrix products."""
KEPT_PRODUCTS = ("tagger",)
"""Those that keep a float32 matrix product in fp16, so that sm75 does not take them at all."""
ALWAYS = ("srcnn",)


@functools.cache
def exported(name: str) -> Model:
    # That the graph is the model is proven elsewhere.
    return modelport.export(RECIPES[name](), probes=False)


def marks(name: str, always: tuple[str, ...] = ()) -> list[pytest.MarkDecorator]:
    return [] if name in always else [pytest.mark.slow]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", [pytest.param(n, marks=marks(n, ALWAYS)) for n in RECIPES])
def test_engine_for_three_generations(name: str, precision: str, tmp_path: Path) -> None:
    target = f"tensorrt-rtx:{precision}:sm86:sm89:sm120"
    built = modelport.compile(exported(name), tmp_path / "m.engine", target=target).record
    assert built.capabilities == ("sm86", "sm89", "sm120")
    assert built.size == (tmp_path / "m.engine").stat().st_size
    assert bool(built.profiles) == (name != "srcnn-fixed")
    dtypes = {dtype for layer in built.layers for dtype in layer.dtypes}
    assert {"fp32": "float32", "fp16": "float16"}[precision] in dtypes
    if precision == "fp32":
        assert "float16" not in dtypes


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("name", [pytest.param(n, marks=marks(n)) for n in RECIPES])
def test_sm75_where_it_can(name: str, precision: str, tmp_path: Path) -> None:
    target = f"tensorrt-rtx:{precision}:sm75"
    can = name in WITHOUT_PRODUCTS if precision == "fp32" else name not in KEPT_PRODUCTS
    if can:
        modelport.compile(exported(name), tmp_path / "m.engine", target=target)
        return
    with pytest.raises(BuildError, match="cannot build the engine") as caught:
        modelport.compile(exported(name), tmp_path / "m.engine", target=target)
    assert "sm75 have no float32 matrix product" in str(caught.value.why)
    assert not list(tmp_path.iterdir())
