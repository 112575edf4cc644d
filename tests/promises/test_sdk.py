"""M17: the deployed model from C++ in a few lines, and from Python without PyTorch.

The example: SRCNN enlarges a photograph from PNG to PNG, in C++ as in Python.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import modelport
from tests.conftest import RunCli
from tests.runtime.driver import Driver
from tests.runtime.native_build import ROOT, environment, sdk

EXAMPLES = ROOT / "examples" / "srcnn"
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import numpy as np
import modelport
engine = modelport.load(sys.argv[1])
np.save(sys.argv[3], engine.run({"x": np.load(sys.argv[2])})["y"])
"""


@pytest.fixture(scope="module")
def srcnn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("srcnn") / "srcnn.port"
    return modelport.deploy(EXAMPLES / "recipe.py", path).path


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photograph") / "small.png"
    command = [sys.executable, str(EXAMPLES / "photograph.py"), str(path)]
    subprocess.run(command, check=True)
    return path


def test_photograph_is_enlarged_in_cpp_as_in_python(
    srcnn: Path, photograph: Path, tmp_path: Path, cli: RunCli
) -> None:
    program = sdk("release").parent / "library" / "bundle" / "examples" / "upscale"
    made, reference = tmp_path / "cpp.png", tmp_path / "python.png"
    command = [str(program), str(srcnn), str(photograph), str(made)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ran = cli("run", srcnn, "--input", f"input=@{photograph}", "--output", f"output=@{reference}")
    assert ran.code == 0, ran.err
    pictures = [np.asarray(Image.open(path)) for path in (made, reference)]
    assert pictures[0].shape == (300, 450, 3)
    np.testing.assert_array_equal(*pictures)


def test_wrong_use_of_the_example_is_told(srcnn: Path, photograph: Path, tmp_path: Path) -> None:
    program = sdk("release").parent / "library" / "bundle" / "examples" / "upscale"
    for words in ([], [tmp_path / "none.port", photograph, "x.png"], [srcnn, srcnn, "x.png"]):
        command = list(map(str, [program, *words]))
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 2
        assert done.stderr.strip()
    assert not (tmp_path / "x.png").exists()


class Conv(torch.nn.Module):
    """The example of the mission: a convolution 3x3 from one channel to one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 1, 3, padding=1)
        torch.nn.init.constant_(self.conv.weight, 1.0)
        torch.nn.init.constant_(self.conv.bias, 0.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


def test_convolution_runs_in_cpp_and_in_python_without_torch(tmp_path: Path) -> None:
    path = tmp_path / "conv.port"
    recipe = modelport.Recipe(
        Conv(),
        (torch.ones(1, 1, 3, 3),),
        input_names=["x"],
        output_names=["y"],
        dynamic={"x": {0: "batch", 2: "height", 3: "width"}},
        capture="trace",
    )
    modelport.deploy(recipe, path)
    x = np.ones((2, 1, 3, 3), np.float32)
    # Sums of the neighbours that there are.
    reference = np.broadcast_to(np.float32([[4, 6, 4], [6, 9, 6], [4, 6, 4]]), (2, 1, 3, 3))

    with Driver("release", tmp_path) as driver:
        driver.load(path)
        np.testing.assert_array_equal(driver.run({"x": x})["y"], reference)

    np.save(tmp_path / "x.npy", x)
    command = [sys.executable, "-c", WITHOUT_TORCH, path, tmp_path / "x.npy", tmp_path / "y.npy"]
    subprocess.run(list(map(str, command)), check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), reference)
