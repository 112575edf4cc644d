from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from modelport import UsageError
from modelport.files import images
from modelport.files.arrays import read_tensor, write_tensor
from modelport.signature import TensorSpec

ANY = TensorSpec("x", "float32", ("n", "m"))
IMAGE = TensorSpec("x", "float32", ("batch", 3, "h", "w"))


def test_npy_gives_the_array_back(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_tensor(tmp_path / "a.npy", "x", array)
    came = read_tensor(tmp_path / "a.npy", ANY)
    np.testing.assert_array_equal(came, array)
    assert came.dtype == np.float32


def test_bfloat16_comes_back_where_it_is_the_inputs_dtype(tmp_path: Path) -> None:
    array = np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16)
    spec = TensorSpec("x", "bfloat16", ("n", "m"))
    for name in ("a.npy", "a.npz"):
        write_tensor(tmp_path / name, "x", array)
        came = read_tensor(tmp_path / name, spec)
        assert came.dtype == array.dtype
        np.testing.assert_array_equal(came, array)


def test_npz_has_the_array_under_the_outputs_name(tmp_path: Path) -> None:
    write_tensor(tmp_path / "a.npz", "result", np.arange(3))
    with np.load(tmp_path / "a.npz") as loaded:
        assert loaded.files == ["result"]
        assert loaded["result"].tolist() == [0, 1, 2]


def test_npz_is_read_by_the_inputs_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", first=np.zeros(2), x=np.ones(2))
    assert read_tensor(tmp_path / "a.npz", ANY).tolist() == [1, 1]


def test_npz_with_a_single_array_needs_no_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", whatever=np.ones(2))
    assert read_tensor(tmp_path / "a.npz", ANY).tolist() == [1, 1]


def test_npz_without_the_array_says_what_it_has(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", first=np.zeros(2), second=np.ones(2))
    with pytest.raises(UsageError, match="first, second"):
        read_tensor(tmp_path / "a.npz", ANY)


def test_empty_npz_is_a_usage_error(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz")
    with pytest.raises(UsageError):
        read_tensor(tmp_path / "a.npz", ANY)


@pytest.mark.parametrize("channels", [1, 3])
def test_picture_becomes_a_batch_of_one(tmp_path: Path, channels: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    images.write(tmp_path / "a.png", picture)
    came = read_tensor(tmp_path / "a.png", TensorSpec("x", "float32", (1, channels, "h", "w")))
    assert came.shape == (1, channels, 4, 5)
    assert came.dtype == np.float32
    if channels == 3:
        np.testing.assert_array_equal(came[0].transpose(1, 2, 0), picture)


def test_picture_for_another_input_is_a_usage_error(tmp_path: Path) -> None:
    images.write(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(UsageError, match="is a picture, but the input is x: float32"):
        read_tensor(tmp_path / "a.png", ANY)


def test_output_is_written_as_a_picture(tmp_path: Path) -> None:
    array = np.array([[[[0.4, 300.0]], [[1.6, -3.0]], [[2.0, 4.0]]]], np.float32)
    write_tensor(tmp_path / "a.PNG", "y", array)
    assert images.read(tmp_path / "a.PNG").tolist() == [[[0, 2, 2], [255, 0, 4]]]


def test_output_that_is_no_picture_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a picture"):
        write_tensor(tmp_path / "a.png", "y", np.zeros((2, 2)))
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize("name", ["a.txt", "a", "nowhere/a.npy"])
def test_file_that_cannot_be_written_is_a_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        write_tensor(tmp_path / name, "y", np.zeros(2))


def test_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_tensor(tmp_path / "none.npy", ANY)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(UsageError, match="cannot read"):
        read_tensor(tmp_path / "a.npy", ANY)


def test_pickled_object_in_an_npz_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}], object))
    with pytest.raises(UsageError):
        read_tensor(tmp_path / "a.npz", ANY)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("keep", [0, 4, 60, -4])
def test_damaged_file_is_a_usage_error(tmp_path: Path, name: str, keep: int) -> None:
    write_tensor(tmp_path / name, "x", np.random.default_rng(0).random(50))
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:keep])
    with pytest.raises(UsageError, match="cannot read"):
        read_tensor(tmp_path / name, ANY)


def test_changed_byte_inside_an_npz_is_a_usage_error(tmp_path: Path) -> None:
    write_tensor(tmp_path / "a.npz", "x", np.zeros(50))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[300] ^= 1
    (tmp_path / "a.npz").write_bytes(bytes(data))
    with pytest.raises(UsageError, match="cannot read"):
        read_tensor(tmp_path / "a.npz", ANY)
