from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from modelport import UsageError
from modelport.files import images


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20))
def test_bytes_are_rounded_then_clipped(values: list[float]) -> None:
    # Python's round goes to even, as IEEE 754 does.
    wanted = [min(255, max(0, round(value))) for value in values]
    came = images.to_bytes(np.array(values))
    assert came.dtype == np.uint8
    assert came.tolist() == wanted


def test_halves_go_to_even() -> None:
    values = np.array([0.5, 1.5, 2.5, 254.5, 255.5, -0.5], np.float32)
    assert images.to_bytes(values).tolist() == [0, 2, 2, 254, 255, 0]


@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from(["float32", "uint8", "float64"]))
def test_picture_to_nchw_and_back_is_the_picture(height: int, width: int, dtype: str) -> None:
    rng = np.random.default_rng(height * 10 + width)
    picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    batch = images.to_nchw(picture, dtype)
    assert batch.shape == (1, 3, height, width)
    assert batch.dtype == dtype
    assert batch[0, 2, height - 1, 0] == picture[height - 1, 0, 2]
    np.testing.assert_array_equal(images.from_nchw(batch), picture)


def test_luma_has_the_weights_of_bt601() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]]], np.uint8)
    luma = images.to_nchw(colours, "float32", channels=1)
    assert luma.shape == (1, 1, 1, 4)
    assert luma[0, 0, 0].tolist() == [76, 150, 29, 9]


def test_one_channel_becomes_grey() -> None:
    grey = images.from_nchw(np.full((1, 1, 2, 3), 7.0))
    assert grey.shape == (2, 3, 3)
    assert (grey == 7).all()


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 2, 4, 4), (1, 4, 4, 3), (4,)])
def test_other_shapes_are_no_pictures(shape: tuple[int, ...]) -> None:
    assert not images.looks_like_pictures(shape)
    with pytest.raises(UsageError, match="not a picture"):
        images.from_nchw(np.zeros(shape))


def test_symbolic_shapes_of_pictures() -> None:
    assert images.looks_like_pictures(("batch", 3, "height", "width"))
    assert not images.looks_like_pictures(("batch", "channels", "height", "width"))
    assert not images.looks_like_pictures(None)


def test_png_gives_back_the_bytes_in_rgb(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    images.write(tmp_path / "a.png", picture)
    np.testing.assert_array_equal(images.read(tmp_path / "a.png"), picture)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), picture)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_other_modes_are_read_as_rgb(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 2)).save(tmp_path / "a.png")
    assert images.read(tmp_path / "a.png").shape == (2, 4, 3)


def test_unreadable_pictures_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        images.read(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UsageError, match="not a readable picture"):
        images.read(tmp_path / "text.png")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    images.write(tmp_path / "cut.png", noise)
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:3000])
    with pytest.raises(UsageError, match="not a readable picture"):
        images.read(tmp_path / "cut.png")


def test_picture_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        images.write(tmp_path / "nowhere" / "a.png", np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(UsageError, match="cannot write"):
        images.write(tmp_path / "a.unknown", np.zeros((2, 2, 3), np.uint8))
