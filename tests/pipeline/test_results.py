"""What answers mean, and how they look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelport import RunError, UsageError
from modelport.files import images
from modelport.pipeline import Result
from tests.pipeline.support import picture

LABELS = ("cat", "dog", "bird")
OUTPUTS = {
    "classes": {"scores": np.float32([[0.75, 0.25]]), "labels": np.array([[2, 0]])},
    "boxes": {
        "boxes": np.float32([[4, 5, 20, 25], [1, 1, 8, 9]]),
        "scores": np.float32([0.9, 0.5]),
        "labels": np.array([1, 7]),
    },
    "mask": {"labels": np.repeat([[[0, 0, 1, 2]]], 30, 1).repeat(10, 2)},
    "keypoints": {"keypoints": np.float32([[[3, 4], [10, 12]]]), "scores": np.float32([[1, 0.5]])},
    "text": {"labels": np.array([1, 0, 2])},
    "picture": {"picture": picture(60, 80)},
}
SAID = {
    "classes": [{"label": "bird", "score": 0.75}, {"label": "cat", "score": 0.25}],
    "mask": {"cat": 0.5, "dog": 0.25, "bird": 0.25},
    "text": "dogcatbird",
    "picture": {"height": 60, "width": 80},
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_results_say_and_draw_themselves(kind: str, tmp_path: Path) -> None:
    looked_at = picture(30, 40)
    declared = Result.from_json(Result(kind, LABELS).to_json())
    result = declared.read(OUTPUTS[kind], looked_at)
    if kind in SAID:
        assert result.to_json() == SAID[kind]
    result.save(tmp_path / "result.png")
    drawn = images.read(tmp_path / "result.png")
    assert drawn.shape == ((60, 80, 3) if kind == "picture" else (30, 40, 3))
    assert not np.array_equal(drawn, looked_at)


def test_boxes_are_drawn_where_they_are() -> None:
    looked_at = np.zeros((30, 40, 3), np.uint8)
    result = Result("boxes", LABELS).read(OUTPUTS["boxes"], looked_at)
    assert [item.label for item in result.classes] == ["dog", "7"]
    drawn = result.draw()
    assert drawn[24, 4:20].any(1).all()  # the lower edge of the first
    assert not drawn[26:].any()
    assert not looked_at.any()


def test_a_mask_leaves_the_ground_as_it_is() -> None:
    looked_at = picture(30, 40)
    drawn = Result("mask").read(OUTPUTS["mask"], looked_at).draw()
    np.testing.assert_array_equal(drawn[:, :20], looked_at[:, :20])
    assert (drawn[:, 20:] != looked_at[:, 20:]).any(2).all()


def test_outputs_may_have_other_names() -> None:
    declared = Result("text", LABELS, {"labels": "codes"})
    declared.require_outputs(["codes"])
    assert declared.read({"codes": np.array([0])}, None).text == "cat"


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(UsageError, match="no result 'poem'"):
        Result("poem")
    with pytest.raises(UsageError, match="needs 'labels'"):
        Result("boxes").require_outputs(["boxes", "scores"])
    with pytest.raises(RunError, match="picture is not known"):
        Result("text").read({"labels": np.array([0])}, None).draw()
    wrong = {**OUTPUTS["boxes"], "boxes": np.zeros((1, 2, 4), np.float32)}
    with pytest.raises(RunError, match="boxes have shape"):
        Result("boxes").read(wrong, None)
