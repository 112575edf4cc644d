"""Whatever was done to a bundle, C++ too gives a clear error or the right answer.

`make fuzz` runs many: MODELPORT_FUZZ is how many.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

import modelport
from modelport.errors import ModelportError
from tests.bundle.mutations import change_field, mutate
from tests.runtime.driver import Driver, Refused
from tests.support import snapshot

CASES = int(os.environ.get("MODELPORT_FUZZ", "300"))
KINDS = ("UsageError", "BundleError", "OperatorError", "BuildError", "RunError")
X = {"x": np.linspace(-1, 1, 6, dtype=np.float32)[None]}


def test_damaged_bundles_are_refused_or_right(variant: str, rows: Path, tmp_path: Path) -> None:
    whole = snapshot(rows)
    right = modelport.load(rows, threads=1).run(X)
    folder, temporary, own = (tmp_path / name for name in ("bundles", "temporary", "driver"))
    for made in (temporary, own):
        made.mkdir()
    refused = 0
    variables = {"TMPDIR": str(temporary), "MODELPORT_CACHE": str(tmp_path / "cache")}
    with Driver(variant, own, **variables) as driver:
        for seed in range(CASES):
            folder.mkdir()
            what = mutate(whole, folder / "a.port", seed)
            before = snapshot(folder)
            came = answer(driver, folder / "a.port")
            if isinstance(came, Refused):
                assert came.kind in KINDS, f"seed {seed} ({what}): {came}"
                assert str(came).strip()
                refused += 1
            elif "sealed" not in what:  # else somebody made another bundle
                np.testing.assert_array_equal(came["y"], right["y"], f"seed {seed} ({what})")
            assert snapshot(folder) == before, f"seed {seed} ({what}) wrote files"
            shutil.rmtree(folder)
    assert refused > CASES / 3
    assert list(temporary.iterdir()) == []
    assert not Path("/tmp/evil.txt").exists()


def answer(driver: Driver, path: Path) -> dict[str, np.ndarray] | Refused:
    """What a bundle computes, or why not."""
    try:
        driver.load(path)
        return driver.run(X)
    except Refused as error:
        return error


def test_both_sides_open_the_same(driver: Driver, rows: Path, tmp_path: Path) -> None:
    """What Python refuses is refused, and nothing else."""
    whole = snapshot(rows)
    draw = random.Random(0)
    both = {True: 0, False: 0}
    for index in range(80):
        files = dict(whole)
        what = change_field(files, draw)
        path = tmp_path / f"{index}.port"
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        there, here = opens(modelport.load, path), opens(driver.load, path)
        assert there == here, what
        both[here] += 1
    assert min(both.values()) > 3


def opens(load: Callable[[Path], object], path: Path) -> bool:
    try:
        load(path)
    except (ModelportError, Refused):
        return False
    return True
