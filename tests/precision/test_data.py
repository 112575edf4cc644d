"""Calibration data: every form gives the same cases, again and again, and bad ones are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelport import UsageError
from modelport.precision.data import CalibrationData
from modelport.signature import Signature, TensorSpec

RNG = np.random.default_rng(0)
ROWS = RNG.standard_normal((5, 3, 4, 6)).astype(np.float32)
OPEN = Signature((TensorSpec("x", "float32", ("n", 3, 4, 6)),), ())
TWO = Signature(
    (TensorSpec("x", "float32", ("n", 3, 4, 6)), TensorSpec("ids", "int64", ("n", 2))), ()
)


def twice(source: object, signature: Signature = OPEN) -> list[np.ndarray]:
    data = CalibrationData(source, signature)  # type: ignore[arg-type]
    first, second = ([case["x"] for case in data] for _ in range(2))
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    return first


def generate():
    for row in ROWS:
        yield row[None]


def folder_of_arrays(folder: Path) -> Path:
    for place, row in enumerate(ROWS):
        np.save(folder / f"{place}.npy", row[None])
    return folder


def one_file(folder: Path) -> Path:
    np.savez(folder / "all.npz", x=ROWS)
    return folder / "all.npz"


def compressed(folder: Path) -> Path:
    np.savez_compressed(folder / "all.npz", x=ROWS[:, None], more=np.zeros(3))
    return folder / "all.npz"


def function(folder: Path) -> str:
    np.save(folder / "rows.npy", ROWS)
    (folder / "data.py").write_text(
        "import numpy, pathlib\n\n\ndef cases():\n"
        "    for row in numpy.load(pathlib.Path(__file__).parent / 'rows.npy'):\n"
        "        yield {'x': row[None]}\n"
    )
    return f"{folder / 'data.py'}:cases"


@pytest.mark.parametrize(
    "make",
    [
        folder_of_arrays,
        one_file,
        compressed,
        function,
        lambda _: [row[None] for row in ROWS],
        lambda _: [(row[None],) for row in ROWS],
        lambda _: generate(),
        lambda _: generate,
    ],
)
def test_forms_give_the_same_cases(tmp_path: Path, make: object) -> None:
    found = twice(make(tmp_path))  # type: ignore[operator]
    assert len(found) == 5
    for case, row in zip(found, ROWS, strict=True):
        np.testing.assert_array_equal(case, row[None])


def test_a_fixed_batch_takes_so_many_rows(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", x=ROWS[:4])
    fixed = Signature((TensorSpec("x", "float32", (2, 3, 4, 6)),), ())
    found = twice(tmp_path / "all.npz", fixed)
    np.testing.assert_array_equal(np.concatenate(found), ROWS[:4])


def test_several_inputs_go_by_name(tmp_path: Path) -> None:
    ids = RNG.integers(0, 9, (5, 2))
    np.savez(tmp_path / "all.npz", ids=ids, x=ROWS)
    data = list(CalibrationData(tmp_path / "all.npz", TWO))
    np.testing.assert_array_equal(np.concatenate([case["ids"] for case in data]), ids)
    folder = tmp_path / "folder"
    folder.mkdir()
    np.savez(folder / "0.npz", ids=ids[:1], x=ROWS[:1])
    (case,) = CalibrationData(folder, TWO)
    np.testing.assert_array_equal(case["x"], ROWS[:1])
    np.save(folder / "1.npy", ROWS[:1])
    with pytest.raises(UsageError, match="one array, but the model takes 2 inputs"):
        list(CalibrationData(folder, TWO))


def test_pictures_are_brought_to_the_inputs_size(tmp_path: Path) -> None:
    level = np.full((9, 13, 3), (10, 120, 250), np.uint8)
    Image.fromarray(level).save(tmp_path / "a.png")
    (tmp_path / "deeper").mkdir()
    Image.fromarray(level[:4, :6]).save(tmp_path / "deeper" / "b.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    found = twice(tmp_path)
    assert [case.shape for case in found] == [(1, 3, 4, 6)] * 2
    np.testing.assert_allclose(found[0][0, :, 0, 0], [10, 120, 250])
    np.testing.assert_allclose(found[1][0, :, 3, 5], [10, 120, 250])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "absent", "no such file"),
        (lambda folder: folder, "there are no calibration data in"),
        (lambda folder: _written(folder / "a.npz", b"PK nothing"), "cannot read the calibration"),
        (lambda folder: _saved(folder / "a.npz", y=ROWS), "has no array 'x'"),
        (lambda folder: _saved(folder / "a.npz", x=ROWS[:, :2]), "do not fit the model"),
        (lambda folder: _saved(folder / "a.npz", x=ROWS[:0]), "there are no calibration data"),
        (lambda folder: _saved(folder / "a.npz", x=np.asfortranarray(ROWS)), "case by case"),
        (lambda folder: [ROWS[:1] * np.inf], "NaN or infinite values"),
    ],
)
def test_bad_data_is_refused(tmp_path: Path, make: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        list(CalibrationData(make(tmp_path), OPEN))  # type: ignore[operator]


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _saved(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path
