"""The examples: from a picture to an answer, and the answer is right."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import modelport
from modelport.files import images

EXAMPLES = Path(__file__).parents[2] / "examples"
SHAPES = ("square", "disc", "cross")


@pytest.fixture(scope="module")
def draw() -> Any:
    sys.path.insert(0, str(EXAMPLES / "shapes"))
    try:
        from shapes import draw
    finally:
        sys.path.remove(str(EXAMPLES / "shapes"))
    return draw


def deploy(name: str, folder: Path) -> Any:
    deployment = modelport.deploy(str(EXAMPLES / name), folder / "model.port")
    assert all(item.ok for item in deployment.verifications.values())
    return modelport.load(deployment.path)


@pytest.fixture(scope="module")
def detector_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detector")
    deploy("detector/recipe.py", folder)
    return folder / "model.port"


@pytest.fixture(scope="module")
def detector(detector_bundle: Path) -> Any:
    return modelport.load(detector_bundle)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    size = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    both = size.clip(0).prod()
    return both / ((one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - both)


def is_found(answer: Any, kinds: np.ndarray, boxes: np.ndarray) -> bool:
    """Whether all shapes are found where they are, as what they are, and nothing else."""
    places = [
        {
            index
            for index, (kind, box) in enumerate(zip(kinds, boxes, strict=True))
            if overlap(found, box) > 0.5 and item.label == SHAPES[kind]
        }
        for found, item in zip(answer.boxes, answer.classes, strict=True)
    ]
    return len(places) == len(kinds) and set().union(*places) == set(range(len(kinds)))


def test_the_detector_finds_shapes_in_pictures_of_any_size(
    detector: Any, draw: Any, tmp_path: Path
) -> None:
    rng = np.random.default_rng(77)
    right = 0
    for number in range(40):
        size = rng.integers(90, 125, 2)
        picture, kinds, boxes, _ = draw(rng, *size, 1 + number % 3)
        right += is_found(detector(picture), kinds, boxes)
    assert right >= 30
    detector(picture).save(tmp_path / "found.png")
    assert images.read(tmp_path / "found.png").shape == picture.shape


def test_the_detector_gives_crops_of_what_it_found(detector: Any, draw: Any) -> None:
    picture, *_ = draw(np.random.default_rng(5), 96, 128, 2)
    outputs = detector.run({"image": picture})
    assert outputs["crops"].shape == (len(outputs["boxes"]), 64, 64, 3)


@pytest.mark.slow
def test_srcnn_from_a_png_to_a_png(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime_extensions")
    engine = deploy("srcnn/recipe_png.py", tmp_path)
    with Image.open(EXAMPLES.parent / "docs" / "upscaled.png") as image:
        image.crop((0, 0, 60, 40)).save(tmp_path / "small.png")
    engine(tmp_path / "small.png").save(tmp_path / "large.png")
    large = images.read(tmp_path / "large.png")
    assert large.shape == (120, 180, 3)
    # The same as by floats, in PyTorch.
    sys.path.insert(0, str(EXAMPLES / "srcnn"))
    try:
        import torch
        from model import load_srcnn
    finally:
        sys.path.remove(str(EXAMPLES / "srcnn"))
    planes = torch.from_numpy(images.to_nchw(images.read(tmp_path / "small.png"), "float32"))
    with torch.no_grad():
        expected = images.from_nchw(load_srcnn()(planes).numpy())
    difference = np.abs(large.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


@pytest.mark.slow
def test_the_classifier_names_shapes(draw: Any, tmp_path: Path) -> None:
    engine = deploy("classifier/recipe.py", tmp_path)
    rng = np.random.default_rng(78)
    right = 0
    for _ in range(60):
        picture, kinds, _, _ = draw(rng, 90, 90)
        right += engine(picture).best.label == SHAPES[kinds[0]]
    assert right >= 54


@pytest.mark.slow
def test_the_segmenter_covers_shapes(draw: Any, tmp_path: Path) -> None:
    engine = deploy("segmenter/recipe.py", tmp_path)
    rng = np.random.default_rng(79)
    right, covered = [], []
    for _ in range(20):
        picture, _, _, mask = draw(rng, 80, 110, 2)
        made = engine(picture).mask
        right.append((made == mask).mean())
        covered.append(((made == mask) & (mask > 0)).sum() / (mask > 0).sum())
    assert np.mean(right) > 0.88
    assert np.mean(covered) > 0.65


@pytest.mark.slow
def test_detector_crops_and_classifier_in_one_bundle(
    detector_bundle: Path, draw: Any, cli: Any, tmp_path: Path
) -> None:
    deploy("classifier/recipe_crops.py", tmp_path)
    both = tmp_path / "both.port"
    stages = [f"detect={detector_bundle}", f"classify={tmp_path / 'model.port'}"]
    wires = ["--connect", "classify.image=detect.crops", "--batch", "classify=16"]
    outputs = {"boxes": "detect.boxes", "scores": "classify.scores", "labels": "classify.labels"}
    given = [word for name, source in outputs.items() for word in ("--give", f"{name}={source}")]
    meant = ["--result", "boxes", "--labels", ",".join(SHAPES)]
    assert cli("bundle", "join", *stages, *wires, *given, *meant, "-o", both).code == 0
    assert cli("bundle", "selftest", both).code == 0
    engine = modelport.load(both)
    rng = np.random.default_rng(80)
    found = 0
    for number in range(20):
        picture, kinds, boxes, _ = draw(rng, 100, 120, 1 + number % 3)
        answer = engine(picture)
        found += sum(
            any(
                overlap(made, box) > 0.5 and item.label == SHAPES[kind]
                for made, item in zip(answer.boxes, answer.classes, strict=True)
            )
            for kind, box in zip(kinds, boxes, strict=True)
        )
    # Crops fill the picture, as no shape that the classifier was trained on does.
    assert found >= 20
