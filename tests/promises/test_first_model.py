"""M1: PyTorch model, ONNX, check, ONNX Runtime; the picture from both is the same."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import modelport
from modelport.files import images
from modelport.recipe import load_recipe

EXAMPLE = Path(__file__).parents[2] / "examples" / "srcnn"
SOURCE = str(EXAMPLE / "recipe.py")


@pytest.fixture(scope="module")
def recipe() -> modelport.Recipe:
    return load_recipe(SOURCE)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("m01") / "srcnn.port"
    modelport.deploy(SOURCE, path)
    return path


def low_resolution() -> np.ndarray:
    from PIL import Image
    from skimage import data

    picture = Image.fromarray(data.chelsea()[:300, :450])
    return np.asarray(picture.resize((150, 100), Image.Resampling.BICUBIC))


def test_network_is_srcnn_9_1_5(recipe: modelport.Recipe) -> None:
    shapes = {name: tuple(weight.shape) for name, weight in recipe.model.named_parameters()}
    assert shapes["conv1.weight"] == (64, 3, 9, 9)
    assert shapes["conv2.weight"] == (32, 64, 1, 1)
    assert shapes["conv3.weight"] == (3, 32, 5, 5)


def test_checkpoint_has_a_prefix_that_the_loader_takes_off() -> None:
    saved = torch.load(EXAMPLE / "srcnn.pth", weights_only=True)
    assert all(key.startswith("generator.") for key in saved["state_dict"])


def test_graph_is_valid_and_declares_its_dimensions(bundle: Path) -> None:
    assert modelport.check(bundle / "graphs" / "model.onnx").ok
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["signature"]["inputs"] == [
        {"name": "input", "dtype": "float32", "shape": ["batch", 3, "height", "width"]}
    ]
    assert manifest["signature"]["dimensions"]["height"] == {"min": 1, "max": 1024}


def test_verified_on_five_cases_of_other_shapes(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    (verification,) = manifest["verification"].values()
    shapes = {tuple(case["shapes"]["input"]) for case in verification["cases"]}
    assert len(verification["cases"]) >= 6
    assert len(shapes) >= 5
    assert all(output["ok"] for case in verification["cases"] for output in case["outputs"])


def test_pictures_from_both_are_the_same_bytes(bundle: Path, recipe: modelport.Recipe) -> None:
    picture = low_resolution()
    before = images.to_nchw(picture, "float32")
    with torch.no_grad():
        expected = recipe.model(torch.from_numpy(before)).numpy()
    expected = np.clip(np.rint(expected[0]), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    actual = images.from_nchw(modelport.load(bundle).run({"input": before})["output"])
    assert actual.shape == (300, 450, 3)
    difference = np.abs(actual.astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= difference.size / 10_000


@pytest.mark.parametrize("photograph", ["chelsea", "coffee"])
def test_better_than_bicubic_on_held_out_photographs(
    photograph: str, recipe: modelport.Recipe
) -> None:
    from PIL import Image
    from skimage import data
    from skimage.metrics import peak_signal_noise_ratio

    original = getattr(data, photograph)()
    height, width = (size // 3 * 3 for size in original.shape[:2])
    original = original[:height, :width]
    small = Image.fromarray(original).resize((width // 3, height // 3), Image.Resampling.BICUBIC)
    before = torch.from_numpy(images.to_nchw(np.asarray(small), "float32"))
    with torch.no_grad():
        bicubic = images.from_nchw(recipe.model.img_upsampler(before).numpy())
        enlarged = images.from_nchw(recipe.model(before).numpy())
    assert peak_signal_noise_ratio(original, enlarged) > peak_signal_noise_ratio(original, bicubic)
