from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with ``nets.py`` in it."""
    shutil.copyfile(Path(__file__).with_name("nets.py"), tmp_path / "nets.py")
    monkeypatch.chdir(tmp_path)
    return tmp_path
