"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from modelport import UsageError
from modelport.files.replacement import put_in_place, replacing, write_text, written


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with replacing(path) as made:
        assert made.name == path.name
        made.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert tree(tmp_path) == {"a.txt"}


def test_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as made:
            made.write_text("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert path.read_text() == "old"
    assert tree(tmp_path) == {"a.txt"}


def test_who_has_the_old_file_open_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with path.open() as opened:
        write_text(path, "new")
        assert opened.read() == "old"
    assert path.read_text() == "new"


def test_folder_replaces_a_folder_that_holds_something(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir()
    (path / "old").touch()
    with replacing(path) as made:
        made.mkdir()
        (made / "new").touch()
    assert tree(tmp_path) == {"a", "a/new"}


@pytest.mark.parametrize("folder_first", [True, False])
def test_file_and_folder_replace_one_another(folder_first: bool, tmp_path: Path) -> None:
    path = tmp_path / "a"
    for folder in (folder_first, not folder_first):
        with replacing(path) as made:
            made.mkdir() if folder else made.touch()
        assert path.is_dir() is folder
        assert tree(tmp_path) == {"a"}


def test_files_beside_go_along(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    (tmp_path / "m.onnx.data").write_text("old")
    with replacing(path) as made:
        made.write_text("model")
        made.with_name("m.onnx.data").write_text("new")
    assert path.read_text() == "model"
    assert (tmp_path / "m.onnx.data").read_text() == "new"
    assert tree(tmp_path) == {"m.onnx", "m.onnx.data"}


def test_two_writers_at_once_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with replacing(path) as one, replacing(path) as other:
        one.write_text("one")
        other.write_text("other")
    assert path.read_text() == "one"
    assert tree(tmp_path) == {"a.txt"}


def test_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_text(tmp_path / "a.txt", "")
    with replacing(tmp_path / "b") as made:
        made.mkdir()
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "a.txt")}
    assert modes["plain"] == modes["a.txt"]
    (tmp_path / "folder").mkdir()
    assert (tmp_path / "b").stat().st_mode == (tmp_path / "folder").stat().st_mode


def test_link_is_replaced_and_not_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "made").touch()
    put_in_place(tmp_path / "made", tmp_path / "link")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").is_dir()


def test_error_says_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write .*a\.txt: No such file"):
        write_text(tmp_path / "missing" / "a.txt", "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="Permission denied"), written(tmp_path / "a"):
        raise AssertionError


def test_folder_of_a_user_is_never_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").touch()
    with pytest.raises(UsageError, match="it is a folder"):
        write_text(tmp_path / "mine", "new")
    (tmp_path / "link").symlink_to("mine")
    with pytest.raises(UsageError, match="it is a folder"):
        write_text(tmp_path / "link", "new")
    assert tree(tmp_path) == {"mine", "mine/photo.png", "link"}
