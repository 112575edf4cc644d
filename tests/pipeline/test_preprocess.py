"""The steps before a model, against Pillow, OpenCV and published formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from modelport import UsageError
from modelport.pipeline import steps
from tests.pipeline.support import only, picture, run

PILLOW = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "nearest": Image.Resampling.NEAREST,
}
SIZES = [((97, 131), (40, 60)), ((60, 41), (133, 90)), ((200, 30), (17, 113)), ((5, 7), (1, 1))]


def resized(image: np.ndarray, size: Any, **options: Any) -> np.ndarray:
    return only(run(image, [steps.resize(size, **options)]))


@pytest.mark.parametrize("mode", PILLOW)
@pytest.mark.parametrize(("given", "wanted"), SIZES)
def test_resize_is_pillows_to_the_byte(given: Any, wanted: Any, mode: str) -> None:
    image = picture(*given)
    # One axis at a time, so that the order is known: the rows first.
    rows = Image.fromarray(image).resize((wanted[1], given[0]), PILLOW[mode])
    expected = np.asarray(rows.resize((wanted[1], wanted[0]), PILLOW[mode]))
    np.testing.assert_array_equal(resized(image, wanted, mode=mode), expected)


@pytest.mark.parametrize("mode", PILLOW)
def test_resize_of_a_video_picture_is_pillows(mode: str) -> None:
    image = picture(1080, 1920)
    expected = np.asarray(Image.fromarray(image).resize((224, 224), PILLOW[mode]))
    np.testing.assert_array_equal(resized(image, 224, mode=mode), expected)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("given", "wanted"), SIZES)
def test_without_antialias_it_is_interpolate(given: Any, wanted: Any, mode: str) -> None:
    image = picture(*given)
    planes = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    expected = torch.nn.functional.interpolate(planes, wanted, mode=mode, align_corners=False)
    rounded = expected[0].permute(1, 2, 0).round().clamp(0, 255).numpy()
    difference = np.abs(resized(image, wanted, mode=mode, antialias=False) - rounded)
    assert difference.max() <= 1  # where a value lies between two bytes
    assert (difference > 0).mean() < 0.005


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("given", "wanted"), SIZES[:3])
def test_without_antialias_it_is_opencvs_but_for_a_level(
    given: Any, wanted: Any, mode: str
) -> None:
    cv2 = pytest.importorskip("cv2")
    image = picture(*given)
    way = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}[mode]
    expected = cv2.resize(image, (wanted[1], wanted[0]), interpolation=way).astype(int)
    made = resized(image, wanted, mode=mode, antialias=False)
    assert np.abs(made - expected).max() <= 1


@pytest.mark.parametrize(("given", "wanted"), [((480, 640), (256, 341)), ((641, 333), (492, 256))])
def test_the_shorter_side_gets_the_size(given: Any, wanted: Any) -> None:
    assert resized(picture(*given), 256, fit="shorter").shape == (*wanted, 3)


@pytest.mark.parametrize("given", [(90, 160), (33, 20), (64, 64)])
def test_letterbox(given: tuple[int, int]) -> None:
    image = picture(*given)
    factor = min(64 / given[0], 96 / given[1])
    height, width = (int(side * factor + 0.5) for side in given)
    expected = np.full((64, 96, 3), 77, np.uint8)
    top, left = (64 - height) // 2, (96 - width) // 2
    inner = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    expected[top : top + height, left : left + width] = np.asarray(inner)
    np.testing.assert_array_equal(resized(image, (64, 96), fit="letterbox", fill=77), expected)


def test_center_crop_rounds_to_even() -> None:
    image = picture(13, 18)
    # (13 - 6) / 2 = 3.5 and (18 - 5) / 2 = 6.5: torchvision rounds to 4 and 6.
    np.testing.assert_array_equal(only(run(image, [steps.center_crop((6, 5))])), image[4:10, 6:11])


def test_pad() -> None:
    image = picture(5, 6)
    expected = np.pad(image, ((2, 1), (1, 1), (0, 0)), constant_values=9)
    np.testing.assert_array_equal(
        only(run(image, [steps.pad((1, 2, 1, 0), multiple=8, fill=9)])), expected
    )


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.mark.parametrize("turned", [[], [steps.bgr()]])
@pytest.mark.parametrize("planar_first", [True, False])
def test_normalised_planes_are_torchvisions_to_the_bit(turned: list, planar_first: bool) -> None:
    image = picture(300, 400)
    rest = [steps.to_float(), steps.normalize(MEAN, STD)]
    rest = [steps.to_chw(), *rest] if planar_first else [*rest, steps.to_chw()]
    before = [steps.resize(256, fit="shorter"), steps.center_crop(224), *turned, *rest]
    made = only(run(image, before))
    shorter = Image.fromarray(image).resize((341, 256), Image.Resampling.BILINEAR)
    cut = np.asarray(shorter)[16:240, 58:282]
    planes = torch.from_numpy(cut[..., ::-1].copy() if turned else cut).permute(2, 0, 1)
    floats = planes.to(torch.float32).div(255)
    mean, std = (torch.tensor(item)[:, None, None] for item in (MEAN, STD))
    np.testing.assert_array_equal(made, floats.sub(mean).div(std)[None].numpy())


def test_batches_of_pictures() -> None:
    images = np.stack([picture(40, 50, seed) for seed in range(3)])
    before = [steps.resize(32), steps.to_float(), steps.to_chw()]
    together = only(run(images, before))
    for image, planes in zip(images, together, strict=True):
        np.testing.assert_array_equal(only(run(image, before))[0], planes)


def test_rgb_of_what_opencv_reads() -> None:
    image = picture(4, 5)
    np.testing.assert_array_equal(only(run(image[..., ::-1], [steps.rgb()])), image)


MATRIX = [[0.9, -0.3, 12.0], [0.25, 1.1, -7.0]]


def test_warp_affine_is_the_formula() -> None:
    image = picture(40, 60).astype(np.float64)
    made = only(run(image.astype(np.uint8), [steps.warp_affine(MATRIX, (50, 45))]))
    back = np.linalg.inv(np.vstack([MATRIX, [0, 0, 1]]))[:2]
    wide = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    expected = np.zeros((50, 45, 3))
    for y in range(50):
        for x in range(45):
            u, v = back @ (x, y, 1)
            if -1 < u < 60 and -1 < v < 40:
                i, j = int(np.floor(v)), int(np.floor(u))
                a, b = v - i, u - j
                four = wide[i + 1 : i + 3, j + 1 : j + 3]
                expected[y, x] = np.einsum("i,j,ijc->c", (1 - a, a), (1 - b, b), four)
    assert np.abs(made - expected).max() < 0.51


def test_warp_affine_is_about_opencvs() -> None:
    cv2 = pytest.importorskip("cv2")
    image = picture(80, 100)
    expected = cv2.warpAffine(image, np.array(MATRIX), (90, 70))
    made = only(run(image, [steps.warp_affine(MATRIX, (70, 90))]))
    assert np.abs(made.astype(int) - expected).mean() < 0.5


def test_functions_of_pytorch_are_steps() -> None:
    made = only(run(picture(4, 6), [lambda image: image[::2], steps.to_float(1), steps.to_chw()]))
    np.testing.assert_array_equal(made[0].transpose(1, 2, 0), picture(4, 6)[::2])


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ([steps.to_float(), steps.resize(8)], "resize takes bytes"),
        ([steps.normalize(MEAN, STD)], "takes floats"),
        ([steps.to_chw(), steps.to_chw()], "to_chw is there twice"),
        ([steps.pad((1, 1, 1, 1)), steps.resize(8)], "comes after one that changed"),
        ([steps.decode_image()], "takes the bytes of a file"),
        (["resize"], "is not a step"),
    ],
)
def test_steps_that_do_not_fit(before: list, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        run(picture(16, 16), before)


def test_the_example_is_a_picture() -> None:
    with pytest.raises(UsageError, match="dtype float32"):
        run(np.zeros((4, 4, 3), np.float32), [steps.to_chw()])
