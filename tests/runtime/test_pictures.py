"""From a PNG file's bytes to a picture, in C++."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import numpy as np
import pytest

import modelport
from modelport.files import images
from tests.runtime.driver import Driver, Refused
from tests.runtime.native_build import ROOT

pytestmark = pytest.mark.slow
VARIANT = "release"


@pytest.fixture(scope="module")
def upscaler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SRCNN, from a file's bytes."""
    pytest.importorskip("onnxruntime_extensions")
    path = tmp_path_factory.mktemp("srcnn") / "srcnn.port"
    modelport.deploy(str(ROOT / "examples" / "srcnn" / "recipe_png.py"), path)
    return path


def test_a_png_becomes_a_picture(upscaler: Path, tmp_path: Path) -> None:
    library = Path(sysconfig.get_config_var("LIBDIR")) / sysconfig.get_config_var("INSTSONAME")
    if not sysconfig.get_config_var("Py_ENABLE_SHARED") or not library.is_file():
        pytest.skip("this Python has no shared library")
    engine = modelport.load(upscaler)
    (taken,) = engine.signature.inputs
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    inputs = {taken.name: np.frombuffer(images.encode(pixels), np.uint8)}
    expected = engine.run(inputs)
    with Driver(VARIANT, tmp_path, LD_PRELOAD=str(library)) as driver:
        driver.load(upscaler)
        made = driver.run(inputs)
    assert made.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(made[name], array)


def test_the_way_out_is_told(upscaler: Path, tmp_path: Path) -> None:
    with (
        Driver(VARIANT, tmp_path) as driver,
        pytest.raises(Refused, match="LD_PRELOAD=libpython") as caught,
    ):
        driver.load(upscaler)
    assert caught.value.kind == "BuildError"
