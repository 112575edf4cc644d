"""A command that installs an extra names packages that pip finds, from a clone as from a wheel."""

from __future__ import annotations

import importlib.metadata
import shlex
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from modelport.extras import install_command

EXTRAS = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]


@pytest.mark.parametrize("extra", EXTRAS)
def test_packages_are_those_of_pyproject(extra: str) -> None:
    words = shlex.split(install_command(extra))
    assert words[:2] == ["pip", "install"]
    named = {(item.name, item.specifier) for item in map(Requirement, words[2:])}
    assert named == {(item.name, item.specifier) for item in map(Requirement, EXTRAS[extra])}


def test_without_metadata_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", missing)
    assert install_command("sign") == "pip install 'modelport[sign]'"
