"""diffusers: denoisers, autoencoders and control networks."""

from __future__ import annotations

from typing import Any

import torch

from modelport import Dim, Recipe
from zoo.entry import Entry, integers, keyword, numbers, seeded

_BLOCKS: dict[str, Any] = {
    **{"block_out_channels": (8, 16), "norm_num_groups": 4, "layers_per_block": 1},
}
_SIDES = {0: "batch", 2: Dim("height", 8, 32, multiple=2), 3: Dim("width", 8, 32, multiple=2)}


def _timed(model: Any, channels: int = 4, words: int = 0, **extra: torch.Tensor) -> Recipe:
    """A denoiser of [N, C, H, W] at timesteps [N], with words [N, L, D] where it takes them."""
    inputs = [numbers(2, channels, 16, 16), integers(900, 2, low=1)]
    axes: dict[str, Any] = {"sample": _SIDES, "timestep": {0: "batch"}}
    if words:
        inputs.append(numbers(2, 7, words))
        axes["encoder_hidden_states"] = {0: "batch", 1: Dim("length", 2, 32)}
    return Recipe(model, tuple(inputs), dynamic=axes, kwargs=extra)


def _unet() -> Recipe:
    import diffusers

    model = seeded(
        diffusers.UNet2DModel,
        **{**_BLOCKS, "in_channels": 3, "out_channels": 3, "attention_head_dim": 4},
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )
    return _timed(model, 3)


def _conditioned() -> Recipe:
    import diffusers

    model = seeded(
        diffusers.UNet2DConditionModel,
        **{**_BLOCKS, "cross_attention_dim": 16, "attention_head_dim": 4},
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )
    return _timed(model, words=16)


def _autoencoder(name: str, **options: Any) -> Recipe:
    import diffusers

    model = seeded(getattr(diffusers, name), **options)
    sides = {0: "batch", 2: Dim("height", 16, 48, multiple=4), 3: Dim("width", 16, 48, multiple=4)}
    return Recipe(model, (numbers(2, 3, 32, 32),), dynamic={"sample": sides})


def _transformer(name: str, **options: Any) -> Recipe:
    import diffusers

    common = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 1, "sample_size": 8}
    model = seeded(getattr(diffusers, name), **{**common, **options})
    batch = {0: "batch"}
    if name == "DiTTransformer2DModel":
        inputs = {
            **{"hidden_states": numbers(2, 4, 8, 8), "timestep": integers(900, 2, low=1)},
            "class_labels": integers(10, 2),
        }
        return keyword(model, inputs, batch)
    inputs = {
        **{"hidden_states": numbers(2, 4, 8, 8), "timestep": integers(900, 2, low=1)},
        "encoder_hidden_states": numbers(2, 6, 16),
    }
    if name == "SD3Transformer2DModel":
        inputs["pooled_projections"] = numbers(2, 16)
    return keyword(model, inputs, batch)


def entries() -> list[Entry]:
    """The models."""
    blocks = {
        **_BLOCKS,
        **{"down_block_types": ("DownEncoderBlock2D",) * 2, "latent_channels": 4},
        "up_block_types": ("UpDecoderBlock2D",) * 2,
    }
    quantized = {**blocks, "num_vq_embeddings": 16, "vq_embed_dim": 4}
    return [
        Entry("diffusers/UNet2D", _unet),
        Entry("diffusers/UNet2DCondition", _conditioned),
        Entry("diffusers/AutoencoderKL", lambda: _autoencoder("AutoencoderKL", **blocks)),
        Entry("diffusers/VQModel", lambda: _autoencoder("VQModel", **quantized)),
        Entry(
            "diffusers/AutoencoderTiny",
            lambda: _autoencoder(
                "AutoencoderTiny",
                **{"encoder_block_out_channels": (8, 8), "decoder_block_out_channels": (8, 8)},
                **{"num_encoder_blocks": (1, 1), "num_decoder_blocks": (1, 1)},
            ),
        ),
        Entry(
            "diffusers/DiT",
            lambda: _transformer("DiTTransformer2DModel", patch_size=2, num_embeds_ada_norm=10),
        ),
        Entry(
            "diffusers/SD3",
            lambda: _transformer(
                "SD3Transformer2DModel",
                **{"in_channels": 4, "out_channels": 4, "joint_attention_dim": 16},
                **{"caption_projection_dim": 16, "pooled_projection_dim": 16, "patch_size": 2},
                pos_embed_max_size=16,
            ),
        ),
        Entry(
            "diffusers/PixArt",
            lambda: _transformer(
                "PixArtTransformer2DModel",
                **{"cross_attention_dim": 16, "caption_channels": 16, "out_channels": 8},
                norm_type="ada_norm_single",
            ),
        ),
    ]
