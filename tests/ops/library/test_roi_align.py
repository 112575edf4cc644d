"""roi_align against the ONNX standard's own evaluator, and on pictures with a known answer."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from modelport import OperatorError
from modelport.conformance import prove_operator
from modelport.ops.library.roi_align.op import roi_align
from tests.ops.library.agreement import require_agreement


def evaluated(x: torch.Tensor, rois: torch.Tensor, **attributes) -> np.ndarray:
    """ONNX's RoiAlign-16 by the onnx package's evaluator in NumPy."""
    aligned = attributes.pop("aligned")
    node = onnx.helper.make_node(
        "RoiAlign",
        ["x", "rois", "images"],
        ["y"],
        coordinate_transformation_mode="half_pixel" if aligned else "output_half_pixel",
        output_height=attributes.pop("pooled_height"),
        output_width=attributes.pop("pooled_width"),
        sampling_ratio=max(attributes.pop("sampling_ratio"), 0),
        **attributes,
    )
    value, float32 = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node],
        "roi_align",
        [
            value("x", float32, [None] * 4),
            value("rois", float32, [None, 4]),
            value("images", onnx.TensorProto.INT64, [None]),
        ],
        [value("y", float32, [None] * 4)],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 16)])
    images = rois[:, 0].long().numpy()
    given = {"x": x.numpy(), "rois": rois[:, 1:].numpy(), "images": images}
    return ReferenceEvaluator(model).run(None, given)[0]


def test_everything_that_comes_of_it() -> None:
    prove_operator(roi_align, cases=12, exports=1).require()


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [-1, 2])
def test_reference_and_kernel_are_onnxs(sampling_ratio: int, aligned: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 11, 13, generator=generator)
    corners = torch.rand(6, 2, 2, generator=generator).sort(1).values * 50 - 4
    images = torch.tensor([0.0, 1, 1, 0, 1, 0])
    rois = torch.cat([images[:, None], corners.reshape(6, 4)], 1)
    how = {
        "spatial_scale": 0.25,
        "pooled_height": 3,
        "pooled_width": 2,
        "sampling_ratio": sampling_ratio,
        "aligned": aligned,
    }
    expected = evaluated(x, rois, **how)
    for given in (roi_align.reference, roi_align):
        np.testing.assert_allclose(given(x, rois, **how).numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [-1, 1, 4])
def test_a_slope_is_seen_at_the_middle_of_each_bin(sampling_ratio: int, aligned: bool) -> None:
    row, column = torch.meshgrid(torch.arange(32.0), torch.arange(40.0), indexing="ij")
    x = torch.stack([row, column])[None].double()
    roi = torch.tensor([[0, 3.0, 2.0, 31.0, 26.0]], dtype=torch.float64)
    result = roi_align(
        x, roi, pooled_height=4, pooled_width=7, sampling_ratio=sampling_ratio, aligned=aligned
    )
    shift = 0.5 if aligned else 0.0
    rows = 2 - shift + (torch.arange(4) + 0.5) * 6
    columns = 3 - shift + (torch.arange(7) + 0.5) * 4
    torch.testing.assert_close(result[0, 0], rows.double()[:, None].expand(4, 7))
    torch.testing.assert_close(result[0, 1], columns.double()[None].expand(4, 7))


def test_many_channels_on_several_threads() -> None:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(1, 70, 25, 25, generator=generator)
    corners = torch.rand(9, 2, 2, generator=generator).sort(1).values * 25
    rois = torch.cat([torch.zeros(9, 1), corners.reshape(9, 4)], 1)
    how = {"pooled_height": 7, "pooled_width": 7, "sampling_ratio": 2, "aligned": True}
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        actual = roi_align(x, rois, **how)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(actual, roi_align.reference(x, rois, **how), rtol=1e-4, atol=1e-5)


def test_regions_far_larger_than_the_image() -> None:
    x = torch.ones(1, 1, 4, 4)
    rois = torch.tensor([[0.0, -1e9, -1e9, 1e9, 1e9]])
    result = roi_align(x, rois, pooled_height=2, pooled_width=2)
    assert result.abs().max() < 1e-6
    rois = torch.tensor([[0.0, -60.0, -60.0, 64.0, 64.0]])
    require_agreement(roi_align, (x, rois), pooled_height=3, pooled_width=2)


@pytest.mark.parametrize(
    ("rois", "changed", "said"),
    [
        ([[0, 0, 0, 1]], {}, "it must be"),
        ([[1, 0, 0, 1, 1]], {}, "is of image 1.0+; there are 1"),
        ([[-1, 0, 0, 1, 1]], {}, "is of image -1"),
        ([[float("nan"), 0, 0, 1, 1]], {}, "is of image nan"),
        ([[0, 0, float("inf"), 1, 1]], {}, "far from any image"),
        ([[0, -4e18, 0, 4e18, 1]], {}, "far from any image"),
        ([[0, 0, 0, 1, 1]], {"pooled_width": 0}, "both must be above 0"),
    ],
)
def test_bad_inputs(rois, changed, said: str) -> None:
    how = {"pooled_height": 2, "pooled_width": 2, **changed}
    with pytest.raises(OperatorError, match=said):
        roi_align(torch.rand(1, 1, 4, 4), torch.tensor(rois, dtype=torch.float32), **how)
