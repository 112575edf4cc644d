from __future__ import annotations

from pathlib import Path

import pytest

from modelport import OperatorError, UsageError
from modelport.ops.scaffold import load_folder, write_folder


def test_new_folder(tmp_path: Path) -> None:
    folder = write_folder("folders::fresh", tmp_path)
    assert folder == tmp_path / "fresh"
    names = {path.name for path in folder.iterdir()}
    assert names == {"op.py", "kernel.cpp", "kernel.cu", "test_fresh.py"}
    (operator,) = load_folder(folder)
    assert operator.qualified_name == "folders::fresh"
    assert sorted(operator.kernels) == ["cpu", "cuda"]
    # Of a folder of folders, all of them.
    write_folder("folders::other", tmp_path)
    found = load_folder(tmp_path)
    assert [item.qualified_name for item in found] == ["folders::fresh", "folders::other"]


def test_folder_that_is_there(tmp_path: Path) -> None:
    write_folder("folders::there", tmp_path)
    (tmp_path / "there" / "op.py").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        write_folder("folders::there", tmp_path)
    assert (tmp_path / "there" / "op.py").read_text() == "mine"
    with pytest.raises(UsageError, match="cannot write"):
        write_folder("folders::nowhere", tmp_path / "absent")
    with pytest.raises(OperatorError, match="not the name of an operator"):
        write_folder("nameless", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"there"}


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("", UsageError, "declares no operator"),
        ("1 / 0", OperatorError, "ZeroDivisionError"),
        ("def broken(", OperatorError, "SyntaxError"),
        ("import nothing_of_this_name", OperatorError, "nothing_of_this_name"),
        ("import modelport\nmodelport.operator('a')(len)", OperatorError, "'a' is not the name"),
    ],
)
def test_declaration_that_fails(
    text: str, error: type[Exception], said: str, tmp_path: Path
) -> None:
    (tmp_path / "op.py").write_text(text)
    with pytest.raises(error, match=said):
        load_folder(tmp_path)


def test_where_a_declaration_fails(tmp_path: Path) -> None:
    (tmp_path / "op.py").write_text("x = 0\n\n1 / x\n")
    with pytest.raises(OperatorError) as caught:
        load_folder(tmp_path)
    assert caught.value.where == f"{tmp_path / 'op.py'}:3"


def test_no_folder_of_operators(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        load_folder(tmp_path / "absent")
    with pytest.raises(UsageError, match="has no operators"):
        load_folder(tmp_path)
