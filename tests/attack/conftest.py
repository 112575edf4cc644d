"""What attacks share: a sound bundle, and a machine that knows nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelport
from tests.runtime.conftest import driver, variant
from tests.support import onnx_text

__all__ = ["driver", "variant"]

GRAPH = "g (float[n, 3] x) => (float[n, 3] y) { a = Relu(x) y = Add(a, a) }"


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle without code."""
    folder = tmp_path_factory.mktemp("sound")
    return modelport.deploy(str(onnx_text(folder / "m.onnx", GRAPH)), folder / "m.port").path
