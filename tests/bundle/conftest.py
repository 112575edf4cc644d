"""Bundles that the tests of this folder share."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import modelport
from modelport.bundle import Manifest
from modelport.bundle.checksums import record_files
from modelport.ops.build.cache import cache_folder

Change = Callable[[Manifest], Manifest]


@pytest.fixture(scope="session")
def native(trial_names: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a library of operators. It is not to be changed."""
    assert "tinted::blend" in trial_names

    class Network(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ops.tinted.blend(x, x, share=0.5) * 2

    recipe = modelport.Recipe(
        Network(),
        args=(torch.randn(2, 5, generator=torch.Generator().manual_seed(0)),),
        input_names=["x"],
        output_names=["y"],
        dynamic={"x": [0]},
        capture="trace",
        name="native",
    )
    return modelport.deploy(recipe, tmp_path_factory.mktemp("native") / "native.port").path


@pytest.fixture
def code(native: Path, tmp_path: Path) -> Path:
    """A copy of the bundle with a library of operators."""
    return Path(shutil.copytree(native, tmp_path / "native.port"))


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another user's machine: nothing was built there, and no key is known."""
    cache = tmp_path / "other cache"
    cache.mkdir()
    # What compilers made is kept, so that it is made once.
    for name in ("objects", "operators"):
        (cache_folder() / name).mkdir(parents=True, exist_ok=True)
        (cache / name).symlink_to(cache_folder() / name)
    monkeypatch.setenv("MODELPORT_CACHE", str(cache))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    return tmp_path


@pytest.fixture
def reseal() -> Callable[..., None]:
    """Changes a bundle's manifest, or its files, and gives it checksums that fit."""

    def change(
        bundle: Path, to: Change = lambda manifest: manifest, *, record: bool = True
    ) -> None:
        path = bundle / "manifest.json"
        manifest = Manifest.parse(path.read_bytes(), "")
        if record:
            path.unlink()
            manifest = dataclasses.replace(manifest, files=record_files(bundle))
        path.write_bytes(to(manifest).render())

    return change
