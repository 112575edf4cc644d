from __future__ import annotations

from pathlib import Path

import pytest

from modelport import Operator, OperatorError
from modelport.ops.ctypes_library import NativeLibrary
from modelport.ops.elf_check import platform_name
from modelport.ops.library_store import collect_libraries, library_path, open_library, place_library

Trial = dict[str, Operator]


def test_kernels_of_a_library(trial: Trial) -> None:
    library = open_library("trial")
    assert open_library("trial") is library
    kernels = [item for item in library.kernels if item.operator == "pick"]
    (pick,) = kernels
    assert pick.parameters == (
        *("In<float32>", "Opt<int32>", "In<float64>", "Opt<uint8>", "Opt<int64>"),
        *("Out<float32>", "Out<int32>"),
    )
    assert pick.dtypes == ("float32", "int32", "float64", "uint8", "int64")
    assert pick.output_dtypes == ("float32", "int32")
    assert {item.device for item in library.kernels} == {"cpu"}
    twice = [item for item in library.kernels if item.operator == "twice"]
    assert {item.dtypes[0] for item in twice} == set(trial["twice"].dtypes[0])
    (positive,) = (item for item in library.kernels if item.operator == "positive")
    assert positive.parameters[0] == "In<float32,1>"


def test_libraries_beside_a_graph(trial: Trial, tmp_path: Path) -> None:
    nodes = [
        ("", "Add"),
        ("trial", "pick"),
        ("trial", "twice"),
        ("tinted", "blend"),
        ("no", "body"),
    ]
    own = f"operators/{platform_name()}"
    assert collect_libraries(nodes, tmp_path) == [f"{own}/tinted.so", f"{own}/trial.so"]
    assert (tmp_path / own / "trial.so").read_bytes() == library_path("trial").read_bytes()
    assert collect_libraries([("", "Add")], tmp_path / "nothing") == []
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no shared library"),
        (b"not a library", "no shared library"),
        (b"\x7fELF", "cut short"),
    ],
)
def test_file_that_is_no_library(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "some.so"
    file.write_bytes(content)
    with pytest.raises(OperatorError) as caught:
        NativeLibrary(file)
    assert said in str(caught.value.why)
    assert caught.value.where == str(file)
    assert caught.value.exit_code == 2


def test_library_of_something_else(tmp_path: Path) -> None:
    import _ctypes

    with pytest.raises(OperatorError, match="is not a library of operators"):
        NativeLibrary(Path(_ctypes.__file__))


@pytest.mark.usefixtures("trial")
def test_library_that_was_cut_short(tmp_path: Path) -> None:
    whole = library_path("tinted").read_bytes()
    (tmp_path / "short.so").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OperatorError, match="cut short"):
        NativeLibrary(tmp_path / "short.so")


def test_a_library_in_use_is_replaced_and_not_written_over(tmp_path: Path) -> None:
    library, folder = tmp_path / "a.so", tmp_path / "operators"
    folder.mkdir()
    library.write_bytes(b"older")
    placed = place_library(library, folder)
    with placed.open("rb") as used:
        library.write_bytes(b"newer")
        assert place_library(library, folder) == placed
        assert used.read() == b"older"
    assert placed.read_bytes() == b"newer"
    assert list(folder.iterdir()) == [placed]
