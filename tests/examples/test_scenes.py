"""The detector's example: its scenes, its measure of accuracy, its training and its service."""

from __future__ import annotations

import io
import json
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import modelport

EXAMPLE = Path(__file__).parents[2] / "examples" / "scenes"


@pytest.fixture(scope="module")
def example() -> Iterator[Any]:
    """A way to import a module of the example."""
    sys.path.insert(0, str(EXAMPLE))

    def module(name: str) -> ModuleType:
        return __import__(name)

    yield module
    sys.path.remove(str(EXAMPLE))
    for name in ("scenes", "network", "train", "accuracy", "calibration", "serve"):
        sys.modules.pop(name, None)


def test_boxes_hold_what_was_painted(example: Any) -> None:
    scenes = example("scenes")
    for seed in range(20):
        scene = scenes.make_scene(np.random.default_rng(seed), 120, 150)
        assert (scene.picture.shape, scene.picture.dtype) == ((120, 150, 3), np.uint8)
        assert len(scene.boxes) == len(scene.kinds) >= 1
        low, high = scene.boxes[:, :2], scene.boxes[:, 2:]
        for holds in (low >= 0, high > low, high <= [150, 120]):
            assert holds.all()


def test_accuracy_of_answers_that_are_known(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    accuracy, scenes = example("accuracy"), example("scenes")
    made = [scenes.make_scene(np.random.default_rng(seed), 160, 200) for seed in range(30)]
    monkeypatch.setattr(accuracy, "held_out_scenes", lambda: iter(made))

    def score(change: Any) -> float:
        turns = iter(made)

        def run(inputs: Any) -> dict[str, np.ndarray]:
            scene = next(turns)
            assert inputs["image"] is scene.picture
            return change(scene)

        return float(accuracy.mean_average_precision(run))

    def truth(scene: Any) -> dict[str, np.ndarray]:
        scores = np.linspace(0.9, 0.5, len(scene.kinds))
        return {"boxes": scene.boxes, "scores": scores, "labels": scene.kinds}

    def twice(scene: Any) -> dict[str, np.ndarray]:
        # The second of each is wrong, and comes right after the first: 1, 2, 1, 2, ...
        return {name: np.repeat(array, 2, axis=0) for name, array in truth(scene).items()}

    def first(scene: Any) -> dict[str, np.ndarray]:
        return {name: array[:1] for name, array in truth(scene).items()}

    def nowhere(scene: Any) -> dict[str, np.ndarray]:
        return {**truth(scene), "boxes": scene.boxes + 1000}

    assert score(truth) == pytest.approx(1)
    assert 0.4 < score(twice) < 1
    assert 0 < score(first) < 0.6
    assert score(nowhere) == 0


@pytest.mark.slow
def test_training_lowers_the_loss(example: Any, capsys: pytest.CaptureFixture[str]) -> None:
    scenes, train = example("scenes"), example("train")
    rng = np.random.default_rng(0)
    train.train([scenes.make_scene(rng, 160, 160) for _ in range(48)], epochs=6)
    losses = [
        float(line.split("loss ")[1].split(",")[0]) for line in capsys.readouterr().out.splitlines()
    ]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.slow
def test_the_service_answers_and_refuses(example: Any, tmp_path: Path) -> None:
    scenes, serve = example("scenes"), example("serve")
    modelport.deploy(str(EXAMPLE / "recipe.py"), tmp_path / "scenes.port")
    server = serve.make_server(str(tmp_path / "scenes.port"), port=0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    try:
        scene = scenes.make_scene(np.random.default_rng(5), 240, 320, scenes.HELD_OUT_PHOTOS)
        file = io.BytesIO()
        Image.fromarray(scene.picture).save(file, "png")
        answer = json.load(urllib.request.urlopen(urllib.request.Request(url, file.getvalue())))
        assert {item["label"] for item in answer} >= {scenes.CLASSES[kind] for kind in scene.kinds}
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(url, b"no picture"))
        assert refused.value.code == 400
        assert "error" in json.load(refused.value)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
