"""The steps after a model, against NumPy and published formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from modelport import UsageError
from modelport.pipeline import steps
from tests.pipeline.support import Given, only, picture, run

RNG = np.random.default_rng(0)


def after(image: np.ndarray, *outputs: Any, by: Any, before: Any = (), names: Any = None) -> dict:
    return run(image, before, by, Given(*outputs), output_names=names)


def test_softmax_and_top_k() -> None:
    logits = RNG.normal(size=(2, 10)).astype(np.float32)
    made = after(picture(4, 4), logits, by=[steps.softmax(), steps.top_k(3)])
    shares = np.exp(logits.astype(np.float64))
    shares /= shares.sum(1, keepdims=True)
    order = np.argsort(-shares, 1)[:, :3]
    np.testing.assert_array_equal(made["labels"], order)
    np.testing.assert_allclose(made["scores"], np.take_along_axis(shares, order, 1), rtol=1e-5)


def test_boxes_from_centers() -> None:
    made = after(
        picture(4, 4),
        np.float32([[[10, 20, 4, 6]]]),
        by=[steps.boxes_from_centers()],
        names=["boxes"],
    )
    np.testing.assert_array_equal(made["boxes"], [[[8, 17, 12, 23]]])


def greedy(boxes: np.ndarray, scores: np.ndarray, least: float, most: float, apart: bool) -> list:
    """Which boxes stay, in plain Python: the best class of each box counts."""
    best, labels = scores.max(1), scores.argmax(1)
    kept: list[int] = []
    for place in sorted(np.flatnonzero(best > least), key=lambda place: -best[place]):
        x1, y1, x2, y2 = boxes[place]
        for other in kept:
            a1, b1, a2, b2 = boxes[other]
            width, height = min(x2, a2) - max(x1, a1), min(y2, b2) - max(y1, b1)
            both = max(width, 0) * max(height, 0)
            total = (x2 - x1) * (y2 - y1) + (a2 - a1) * (b2 - b1) - both
            if both / total > most and (not apart or labels[place] == labels[other]):
                break
        else:
            kept.append(place)
    return kept


@pytest.mark.parametrize("agnostic", [False, True])
def test_nms_keeps_what_plain_python_keeps(agnostic: bool) -> None:
    corners = RNG.uniform(0, 60, (80, 2))
    boxes = np.concatenate([corners, corners + RNG.uniform(5, 30, (80, 2))], 1).astype(np.float32)
    scores = RNG.random((80, 4)).astype(np.float32)
    by = [steps.nms(iou_threshold=0.4, score_threshold=0.6, class_agnostic=agnostic)]
    made = after(picture(64, 64), boxes[None], scores[None], by=by, names=["boxes", "scores"])
    kept = greedy(boxes, scores, 0.6, 0.4, not agnostic)
    assert 3 < len(kept) < 70
    np.testing.assert_array_equal(made["boxes"], boxes[kept])
    np.testing.assert_array_equal(made["labels"], scores[kept].argmax(1))
    np.testing.assert_array_equal(made["scores"], scores[kept].max(1))


def test_nms_may_find_nothing_and_not_too_much() -> None:
    boxes = np.float32([[[0, 0, 1, 1], [5, 5, 6, 6], [9, 9, 12, 12]]])
    scores = np.float32([[[0.5], [0.9], [0.7]]])
    names = ["boxes", "scores"]
    none = after(picture(4, 4), boxes, scores, by=[steps.nms(score_threshold=0.95)], names=names)
    assert [none[name].shape for name in ("boxes", "scores", "labels")] == [(0, 4), (0,), (0,)]
    two = after(picture(4, 4), boxes, scores, by=[steps.nms(max_detections=2)], names=names)
    np.testing.assert_array_equal(two["boxes"], boxes[0, [1, 2]])


@pytest.mark.parametrize(
    ("before", "place"),
    [
        # 120 x 160 into 64 x 64: a factor of 0.4, 8 rows above.
        ([steps.resize(64, fit="letterbox")], lambda x, y: (x * 0.4, y * 0.4 + 8)),
        # To 72 x 96, of which the middle is cut out.
        (
            [steps.resize(72, fit="shorter"), steps.center_crop(64)],
            lambda x, y: (x * 0.6 - 16, y * 0.6 - 4),
        ),
        ([steps.resize((60, 40))], lambda x, y: (x * 0.25, y * 0.5)),
        ([steps.pad((3, 5, 0, 0))], lambda x, y: (x + 3, y + 5)),
    ],
)
def test_boxes_come_back_to_the_picture(before: list, place: Any) -> None:
    boxes = np.float32([[10, 20, 150, 110], [0, 0, 160, 120]])
    seen = np.array([[*place(x1, y1), *place(x2, y2)] for x1, y1, x2, y2 in boxes], np.float32)
    for rest in ([], [steps.to_float(), steps.to_chw()]):  # one by one, and fused
        by, image = [steps.scale_boxes_back()], picture(120, 160)
        made = after(image, seen, by=by, before=[*before, *rest], names=["boxes"])
        np.testing.assert_allclose(made["boxes"], boxes, atol=1e-3)


def test_boxes_end_with_the_picture() -> None:
    boxes = np.float32([[-5, 3, 200, 130]])
    made = after(picture(120, 160), boxes, by=[steps.clip_to_image()], names=["boxes"])
    np.testing.assert_array_equal(made["boxes"], [[0, 3, 160, 120]])


def test_crop_boxes_samples_bilinearly() -> None:
    image = picture(30, 40)
    boxes = np.float32([[4.5, 3, 20.5, 27], [0, 0, 40, 30]])
    made = after(image, boxes, by=[steps.crop_boxes((6, 8))], names=["boxes"])
    assert made["crops"].shape == (2, 6, 8, 3)
    for box, crop in zip(boxes.astype(np.float64), made["crops"], strict=True):
        rows = box[1] + (np.arange(6) + 0.5) * (box[3] - box[1]) / 6 - 0.5
        columns = box[0] + (np.arange(8) + 0.5) * (box[2] - box[0]) / 8 - 0.5
        i, j = np.floor(rows).astype(int), np.floor(columns).astype(int)
        a, b = (rows - i)[:, None, None], (columns - j)[None, :, None]
        at = image.astype(np.float64)
        upper = at[i][:, j] * (1 - b) + at[i][:, np.minimum(j + 1, 39)] * b
        below = np.minimum(i + 1, 29)
        lower = at[below][:, j] * (1 - b) + at[below][:, np.minimum(j + 1, 39)] * b
        assert np.abs(crop - (upper * (1 - a) + lower * a)).max() < 0.51


@pytest.mark.parametrize(
    ("best", "text"),
    [([0, 3, 3, 0, 3, 1, 1, 2], [3, 3, 1, 2]), ([0, 0], []), ([4, 4, 4], [4])],
)
def test_decode_ctc(best: list[int], text: list[int]) -> None:
    scores = torch.nn.functional.one_hot(torch.tensor(best), 5).float()[None]
    made = after(picture(4, 4), scores, by=[steps.decode_ctc()])
    np.testing.assert_array_equal(made["labels"], text)


def test_keypoints_lie_a_quarter_towards_the_higher_neighbour() -> None:
    maps = np.zeros((1, 2, 16, 16), np.float32)
    maps[0, 0, 4, 9], maps[0, 0, 4, 10], maps[0, 0, 3, 9] = 1, 0.5, 0.25
    maps[0, 1, 0, 15] = 2  # at the edge nothing is moved
    by, before = [steps.keypoints_from_heatmaps()], [steps.resize(64, fit="letterbox")]
    made = after(picture(120, 160), maps, by=by, before=before, names=["heatmaps"])
    # In pixels of the heatmap (9.75, 4.25) and (15.5, 0.5); four of 64, then as boxes above.
    expected = [[9.75 * 4 / 0.4, (4.25 * 4 - 8) / 0.4], [15.5 * 4 / 0.4, (0.5 * 4 - 8) / 0.4]]
    np.testing.assert_allclose(made["keypoints"][0], expected, atol=1e-3)
    np.testing.assert_array_equal(made["scores"], [[1, 2]])


@pytest.mark.parametrize("cut", [False, True])
def test_masks_come_back_to_the_picture(cut: bool) -> None:
    scores = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before = [steps.resize(64, fit="letterbox")]
    inner = scores[:, :, 8:56]
    if cut:
        before = [steps.resize(72, fit="shorter"), steps.center_crop(64)]
        inner = torch.nn.functional.pad(scores, (16, 16, 4, 4))
    by = [steps.resize_mask(), steps.argmax()]
    made = after(picture(120, 160), scores, by=by, before=before)
    expected = torch.nn.functional.interpolate(
        inner, (120, 160), mode="bilinear", align_corners=False
    )
    np.testing.assert_array_equal(made["labels"], expected.argmax(1).numpy())


def test_pictures_are_rounded_to_even_and_clipped() -> None:
    planes = np.float32([-3, 0.5, 1.5, 300]).reshape(1, 1, 2, 2)
    made = only(after(picture(4, 4), planes, by=[steps.to_image()]))
    np.testing.assert_array_equal(made[..., 0], [[0, 0], [2, 255]])


def test_functions_get_all_that_there_is() -> None:
    def both(first: torch.Tensor, second: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"sum": first + second, "first": first}

    made = after(picture(4, 4), np.float32([1]), np.float32([2]), by=[both])
    assert {name: value.tolist() for name, value in made.items()} == {"sum": [3], "first": [1]}


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ([steps.nms()], "nms takes boxes"),
        ([steps.resize_mask(of="boxes")], "takes scores of"),
        ([steps.softmax(of="nothing")], "finds no 'nothing'"),
    ],
)
def test_steps_that_do_not_fit(by: list, said: str) -> None:
    values = np.zeros((1, 5, 4), np.float32), np.zeros(3, np.float32)
    with pytest.raises(UsageError, match=said):
        after(picture(4, 4), *values, by=by, names=["boxes", "other"])


def test_what_a_function_did_to_the_picture_is_not_known() -> None:
    with pytest.raises(UsageError, match="cannot know the position of the picture"):
        after(
            picture(4, 4),
            np.zeros((1, 4), np.float32),
            by=[steps.scale_boxes_back()],
            before=[lambda x: x],
        )
