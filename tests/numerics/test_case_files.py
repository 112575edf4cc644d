from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelport import UsageError
from modelport.numerics import generated_cases, read_case, read_cases, write_case

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_a_case_comes_back(tmp_path: Path) -> None:
    words = np.array(["a", "long text"], object)
    path = write_case(tmp_path / "new" / "one.npz", {"x": X, "odd/name:0": words}, {"y": X * 2})
    case, outputs = read_case(path)
    assert case.name == "one"
    np.testing.assert_array_equal(case.inputs["x"], X)
    assert case.inputs["odd/name:0"].tolist() == words.tolist()
    np.testing.assert_array_equal(outputs["y"], X * 2)


def test_what_the_candidate_gave_is_not_read_back(tmp_path: Path) -> None:
    path = write_case(tmp_path / "one.npz", {"x": X}, {"y": X}, {"y": X + 1})
    assert "candidate:y" in np.load(path).files
    case, outputs = read_case(path)
    assert set(case.inputs) == {"x"}
    np.testing.assert_array_equal(outputs["y"], X)


def test_plain_archives_are_inputs(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", x=X)
    np.savez(tmp_path / "a.npz", x=X + 1)
    cases = read_cases(tmp_path)
    assert [case.name for case, _ in cases] == ["a", "b"]
    np.testing.assert_array_equal(cases[1][0].inputs["x"], X)


def test_a_folder_without_cases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no case"):
        read_cases(tmp_path)


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("bad") / "case.npz"
    path.write_bytes(data)
    with pytest.raises(UsageError, match="cannot read the case"):
        read_case(path)


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([object()], object))
    with pytest.raises(UsageError, match="cannot read the case"):
        read_case(tmp_path / "a.npz")


def test_a_generator_gets_the_seed() -> None:
    def cases(rng: np.random.Generator) -> Iterator[dict[str, np.ndarray]]:
        while True:
            yield {"x": rng.standard_normal(3)}

    first, again, other = (generated_cases(cases, "f", seed) for seed in (1, 1, 2))
    assert len(first) == 100
    assert "seed 1" in first[0].origin
    np.testing.assert_array_equal(first[5].inputs["x"], again[5].inputs["x"])
    assert not np.array_equal(first[5].inputs["x"], other[5].inputs["x"])


@pytest.mark.parametrize("made", [[], [3], [{"x": [1.0]}], [{1: X}], [{"x": X}, None]])
def test_a_generator_of_something_else_is_refused(made: list[Any]) -> None:
    with pytest.raises(UsageError, match="the generator of cases mine gave"):
        generated_cases(lambda _: made, "mine", 0)


def test_a_generator_that_fails_is_refused() -> None:
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        generated_cases(lambda _: [{"x": X} for _ in [1 / 0]], "mine", 0)


@pytest.mark.parametrize(
    ("field", "value"), [(10, b"\x63\x00"), (8, b"\x01\x00")], ids=["compression", "encrypted"]
)
def test_archives_that_cannot_be_unpacked_are_refused(
    tmp_path: Path, field: int, value: bytes
) -> None:
    path = write_case(tmp_path / "one.npz", {"x": X}, {})
    data = bytearray(path.read_bytes())
    # The field lies in the entry, two bytes earlier than in the directory.
    for signature, place in ((b"PK\x01\x02", field), (b"PK\x03\x04", field - 2)):
        begin = data.index(signature) + place
        data[begin : begin + 2] = value
    path.write_bytes(data)
    with pytest.raises(UsageError, match="cannot read the case"):
        read_case(path)
