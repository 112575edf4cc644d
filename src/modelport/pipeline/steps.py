"""The named steps that a recipe's ``preprocess`` and ``postprocess`` are made of."""

from modelport.pipeline.boxes import (
    boxes_from_centers,
    clip_to_image,
    crop_boxes,
    nms,
    scale_boxes_back,
)
from modelport.pipeline.postprocess import (
    argmax,
    decode_ctc,
    keypoints_from_heatmaps,
    resize_mask,
    softmax,
    to_image,
    top_k,
)
from modelport.pipeline.preprocess import (
    bgr,
    center_crop,
    decode_image,
    normalize,
    pad,
    resize,
    rgb,
    to_chw,
    to_float,
    warp_affine,
)

__all__ = [
    "argmax",
    "bgr",
    "boxes_from_centers",
    "center_crop",
    "clip_to_image",
    "crop_boxes",
    "decode_ctc",
    "decode_image",
    "keypoints_from_heatmaps",
    "nms",
    "normalize",
    "pad",
    "resize",
    "resize_mask",
    "rgb",
    "scale_boxes_back",
    "softmax",
    "to_chw",
    "to_float",
    "to_image",
    "top_k",
    "warp_affine",
]
