"""What the tests of this folder share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from modelport.bundle import Manifest
from modelport.bundle.checksums import record_files

Change = Callable[[Manifest], Manifest]


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
