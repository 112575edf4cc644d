"""Whatever was done to a bundle, it gives a clear error or the right answer.

`make fuzz` runs many: MODELPORT_FUZZ is how many.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import modelport
from modelport import ModelportError
from modelport.bundle import Manifest
from modelport.bundle.edit import strip
from modelport.cli import main
from tests.bundle.mutations import mutate
from tests.support import onnx_text, snapshot

CASES = int(os.environ.get("MODELPORT_FUZZ", "300"))
BLOCKS = 10
X = {"x": np.array([[-1.5, 0, 2.5]], np.float32)}
RIGHT = np.array([[0, 0, 5]], np.float32)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a very small bundle."""
    folder = tmp_path_factory.mktemp("whole")
    graph = "g (float[n, 3] x) => (float[n, 3] y) { a = Relu(x) y = Add(a, a) }"
    path = modelport.deploy(str(onnx_text(folder / "m.onnx", graph)), folder / "m.port").path
    strip(path, parts=["report"])
    files = snapshot(path)
    cases = Manifest.parse(files["manifest.json"], "").cases
    assert cases
    np.testing.assert_array_equal(modelport.load(path).run(X)["y"], RIGHT)
    return files


def answer(path: Path) -> np.ndarray | None:
    """What a bundle computes; None where it is refused."""
    try:
        return modelport.load(path, threads=1).run(X)["y"]
    except ModelportError:
        return None


@pytest.mark.parametrize("block", range(BLOCKS))
def test_damaged_bundle_is_refused_or_right(
    whole: dict[str, bytes], tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("MODELPORT_CACHE", str(tmp_path / "cache"))
    refused = 0
    for seed in range(block * CASES // BLOCKS, (block + 1) * CASES // BLOCKS):
        path = tmp_path / "bundles" / "a.port"
        path.parent.mkdir()
        what = mutate(whole, path, seed)
        before = snapshot(tmp_path)
        try:
            assert main(["bundle", "info", str(path)]) in (0, 2)
            if seed % 5 == 0:
                assert main(["bundle", "selftest", str(path)]) in (0, 1, 2)
            came = answer(path)
        except Exception as error:
            raise AssertionError(f"seed {seed} ({what}): {error!r}") from error
        assert snapshot(tmp_path) == before, f"seed {seed} ({what}) wrote files"
        refused += came is None
        # Whoever forges the graph with its checksum has made another bundle.
        if came is not None and "sealed" not in what:
            np.testing.assert_array_equal(came, RIGHT, err_msg=f"seed {seed} ({what})")
        shutil.rmtree(path.parent)
    assert refused > CASES / BLOCKS / 3
    assert not Path("/tmp/evil.txt").exists()
