"""TensorRT's headers are found, and those of another version are refused before compiling."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from modelport import OperatorError
from modelport.backends.tensorrt.plugins import find_headers, headers

VERSION = """
#define TRT_MAJOR_ENTERPRISE {major}
#define TRT_MINOR_ENTERPRISE 3
#define NV_TENSORRT_MAJOR TRT_MAJOR_ENTERPRISE //!< major
#define NV_TENSORRT_MINOR TRT_MINOR_ENTERPRISE
#define NV_TENSORRT_PATCH 2
"""


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TENSORRT_INCLUDE_DIR", "TENSORRT_ROOT", "TRT_ROOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(headers, "installed_major", lambda: None)


def folder_of(major: int, parent: Path) -> Path:
    folder = parent / "include"
    folder.mkdir()
    (folder / "NvInferVersion.h").write_text(VERSION.format(major=major))
    return folder


def test_the_folder_that_is_named(
    nowhere: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TENSORRT_INCLUDE_DIR", str(folder_of(10, tmp_path)))
    found = find_headers()
    assert (str(found), found.major) == ("10.3.2", 10)


def test_an_unpacked_archive(
    nowhere: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder_of(11, tmp_path)
    monkeypatch.setenv("TENSORRT_ROOT", str(tmp_path))
    assert find_headers().major == 11


def test_none(nowhere: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TENSORRT_INCLUDE_DIR", str(tmp_path))
    with pytest.raises(OperatorError, match="no headers of TensorRT") as raised:
        find_headers()
    assert "NvInferRuntime.h" in str(raised.value.fix)


def test_too_old(nowhere: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TENSORRT_INCLUDE_DIR", str(folder_of(8, tmp_path)))
    with pytest.raises(OperatorError, match=r"of TensorRT 8\.3\.2"):
        find_headers()


def test_without_a_version(nowhere: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TENSORRT_INCLUDE_DIR", str(tmp_path))
    (tmp_path / "NvInferVersion.h").write_text("#define NV_TENSORRT_MAJOR SOMETHING\n")
    with pytest.raises(OperatorError, match="does not say which version"):
        find_headers()


@pytest.mark.parametrize(
    ("package", "installed"), [("tensorrt", "11.1.0"), ("tensorrt-cu13", "11")]
)
def test_another_major_version_than_the_one_that_is_installed(
    package: str, installed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def version(name: str) -> str:
        if name == package:
            return installed
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setenv("TENSORRT_INCLUDE_DIR", str(folder_of(10, tmp_path)))
    with pytest.raises(OperatorError, match=r"of TensorRT 10\.3\.2, installed is TensorRT 11"):
        find_headers()
