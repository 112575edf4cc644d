"""spandrel's architectures: super-resolution and restoration of images."""

from __future__ import annotations

from typing import Any

from modelport import Recipe
from zoo.entry import Entry, images, seeded

WINDOWS: dict[str, Any] = {
    **{"img_size": 16, "embed_dim": 16, "depths": (2,), "num_heads": (2,), "window_size": 4},
    **{"upscale": 2, "upsampler": "pixelshuffle"},
}

MODELS: dict[str, dict[str, Any]] = {
    "ESRGAN.ESRGAN": {"num_filters": 16, "num_blocks": 1, "scale": 2},
    "Compact.Compact": {"num_feat": 16, "num_conv": 3, "upscale": 2},
    "SPAN.SPAN": {"num_in_ch": 3, "num_out_ch": 3, "feature_channels": 16, "upscale": 2},
    "SwinIR.SwinIR": WINDOWS,
    "Swin2SR.Swin2SR": WINDOWS,
    "HAT.HAT": {**WINDOWS, "overlap_ratio": 0.5, "compress_ratio": 2, "squeeze_factor": 4},
    "DRCT.DRCT": {**WINDOWS, "gc": 8},
    "ATD.ATD": {**WINDOWS, "category_size": 16, "num_tokens": 8, "reducted_dim": 2},
    "DAT.DAT": {
        **{"img_size": 16, "embed_dim": 16, "split_size": [2, 4], "depth": [2]},
        **{"num_heads": [2], "expansion_factor": 2.0, "upscale": 2},
    },
    "CRAFT.CRAFT": {
        **{"window_size": 8, "embed_dim": 24, "depths": [1], "num_heads": [6], "upscale": 2},
        "split_size_1": 8,
    },
    "OmniSR.OmniSR": {"num_feat": 16, "up_scale": 2, "window_size": 8},
    "PLKSR.PLKSR": {"dim": 16, "n_blocks": 2, "upscaling_factor": 2},
    "PLKSR.RealPLKSR": {"dim": 16, "n_blocks": 2, "upscaling_factor": 2, "dysample": True},
    "SAFMN.SAFMN": {"dim": 16, "n_blocks": 2, "upscaling_factor": 2},
    "SeemoRe.SeemoRe": {"scale": 2, "num_layers": 1, "embedding_dim": 16, "num_experts": 3},
    "MoSR.MoSR": {"upscale": 2, "n_block": 2, "dim": 16},
    "DITN.DITN": {"dim": 12, "ITL_blocks": 1, "SAL_blocks": 1, "upscale": 2},
    "RCAN.RCAN": {"scale": 2, "n_resgroups": 1, "n_resblocks": 1, "n_feats": 16, "reduction": 4},
    "RGT.RGT": {
        **{"img_size": 16, "embed_dim": 16, "depth": [2], "num_heads": [2], "upscale": 2},
        "split_size": [4, 4],
    },
    "RealCUGAN.UpCunet2x": {},
    "SwiftSRGAN.SwiftSRGAN": {"num_channels": 16, "num_blocks": 2, "upscale_factor": 2},
    "NAFNet.NAFNet": {"width": 8, "enc_blk_nums": [1, 1], "dec_blk_nums": [1, 1]},
    "DnCNN.DnCNN": {"in_nc": 3, "out_nc": 3, "nc": 16, "nb": 4},
    "DRUNet.DRUNet": {"in_nc": 3, "out_nc": 3, "nc": [8, 16, 24, 32], "nb": 1},
    "FBCNN.FBCNN": {"nc": [8, 16, 24, 512], "nb": 1},
    "SCUNet.SCUNet": {"config": [1, 1, 1, 1, 1, 1, 1], "dim": 64, "input_resolution": 64},
    "RetinexFormer.RetinexFormer": {"n_feat": 8, "stage": 1},
    "MixDehazeNet.MixDehazeNet": {"embed_dims": [8, 16, 24, 16, 8]},
    "FFTformer.FFTformer": {"dim": 8, "num_blocks": [1, 1, 1], "num_refinement_blocks": 1},
    "LaMa.LaMa": {},
    "Uformer.Uformer": {
        **{"img_size": 64, "embed_dim": 8, "depths": [1] * 9},
        **{"num_heads": [1, 1, 1, 1, 1, 1, 1, 1, 1], "win_size": 4},
    },
}
"""Arguments of the library, by file and class."""

MULTIPLES = {
    "SwinIR.SwinIR": 4,
    "DRUNet.DRUNet": 8,
    "MixDehazeNet.MixDehazeNet": 4,
    "FFTformer.FFTformer": 32,
    "RetinexFormer.RetinexFormer": 8,
}
LARGE = {
    "MixDehazeNet.MixDehazeNet": 64,
    "SCUNet.SCUNet": 64,
    "Uformer.Uformer": 64,
    "FFTformer.FFTformer": 64,
}
EXCLUDED = ("LaMa.LaMa",)
"""Models that take two inputs, which are made elsewhere."""


def entries() -> list[Entry]:
    """The models."""
    import importlib

    def made(name: str) -> Recipe:
        file, _, kind = name.partition(".")
        build = getattr(importlib.import_module(f"spandrel.architectures.{file}"), kind)
        model = seeded(build, **MODELS[name])
        size = LARGE.get(name, 24)
        return images(model, size, multiple=MULTIPLES.get(name, 1), least=16, batch=1)

    return [
        Entry(f"spandrel/{name.partition('.')[2]}", lambda n=name: made(n))
        for name in MODELS
        if name not in EXCLUDED
    ]
