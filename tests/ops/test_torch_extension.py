"""Operators as a plain C++ extension of PyTorch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import RunCli

pytestmark = pytest.mark.slow  # Compiling against PyTorch's headers takes a minute.


def test_extension_installs_and_computes_without_modelport(cli: RunCli, tmp_path: Path) -> None:
    assert cli("ops", "new", "rowtest::gain", "--into", tmp_path).code == 0
    built = cli("ops", "build", tmp_path / "gain", "--extension", "-o", tmp_path / "out")
    assert built.code == 0, built.err
    package = tmp_path / "out" / "rowtest_extension"
    target = tmp_path / "installed"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation"]
    subprocess.run([*install, "--no-deps", "--target", target, package], check=True)
    script = (
        "import sys; sys.modules['modelport'] = None\n"
        "import torch, rowtest_ops\n"
        "x = torch.randn(5, 3, dtype=torch.float64)\n"
        "y = rowtest_ops.gain(x.t(), factor=3.0)\n"
        "torch.testing.assert_close(y, (3 * x.t()).clamp(min=0))\n"
        "try:\n"
        "    rowtest_ops.gain(x.int())\n"
        "except TypeError as error:\n"
        "    assert 'rowtest::gain has no kernel' in str(error)\n"
        "else:\n"
        "    raise AssertionError('an int32 tensor was taken')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(target)}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment, cwd=tmp_path)


def test_an_extension_does_not_overwrite(cli: RunCli, tmp_path: Path) -> None:
    cli("ops", "new", "rowtest::gain", "--into", tmp_path)
    (tmp_path / "out" / "rowtest_extension").mkdir(parents=True)
    built = cli("ops", "build", tmp_path / "gain", "--extension", "-o", tmp_path / "out")
    assert built.code == 2
    assert "is there already" in built.err
