"""transformers: encoders, decoders with and without their cache, vision, audio, multimodal."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from modelport import Dim, Recipe
from zoo.entry import Entry, images, integers, keyword, numbers, seeded

SMALL: dict[str, Any] = {
    **{"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
    **{"intermediate_size": 64, "max_position_embeddings": 64},
}
DECODER: dict[str, Any] = {**SMALL, "num_key_value_heads": 2, "pad_token_id": 0}
EXPERTS: dict[str, Any] = {**DECODER, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
SEEING: dict[str, Any] = {
    **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
    **{"intermediate_size": 64, "image_size": 32, "patch_size": 8},
}
PAIRS: dict[str, Any] = {"text_config": SMALL, "vision_config": SEEING, "projection_dim": 16}
BART: dict[str, Any] = {
    **{"vocab_size": 99, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2},
    **{"encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 64},
    **{"decoder_ffn_dim": 64, "max_position_embeddings": 64},
}
T5: dict[str, Any] = {
    **{"vocab_size": 99, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4},
    **{"decoder_start_token_id": 0},
}
STAGES: dict[str, Any] = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32]}

ENCODERS: dict[str, dict[str, Any]] = {
    "Bert": SMALL,
    "Roberta": SMALL,
    "XLMRoberta": SMALL,
    "Albert": {**SMALL, "embedding_size": 16},
    "Electra": {**SMALL, "embedding_size": 16},
    "DistilBert": {
        **{"vocab_size": 99, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
        "max_position_embeddings": 64,
    },
    "Deberta": {**SMALL, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "DebertaV2": {**SMALL, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "MPNet": SMALL,
    "SqueezeBert": {**SMALL, "embedding_size": 32},
    "MobileBert": {**SMALL, "embedding_size": 16, "intra_bottleneck_size": 16},
    "Funnel": {
        **{"vocab_size": 99, "block_sizes": [1, 1], "d_model": 32, "n_head": 4, "d_head": 8},
        "d_inner": 64,
    },
    "LayoutLM": SMALL,
    "RoFormer": {**SMALL, "embedding_size": 32},
    "FNet": SMALL,
    "ConvBert": {**SMALL, "embedding_size": 16},
    "Ernie": SMALL,
    "Camembert": SMALL,
    "Nystromformer": {**SMALL, "num_landmarks": 16, "segment_means_seq_len": 16},
    "BigBird": {**SMALL, "attention_type": "original_full"},
    "Longformer": {**SMALL, "attention_window": 4},
    "YosoNone": {},
    "ModernBert": {**SMALL, "pad_token_id": 0, "local_attention": 8},
    "NomicBert": {**SMALL, "pad_token_id": 0},
    "IBert": SMALL,
    "MegatronBert": SMALL,
    "EuroBert": DECODER,
    "XLNet": {"vocab_size": 99, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64},
    "XLM": {"vocab_size": 99, "emb_dim": 32, "n_layers": 2, "n_heads": 4},
    "T5Encoder": T5,
    "Esm": {**SMALL, "pad_token_id": 1, "position_embedding_type": "rotary"},
}
del ENCODERS["YosoNone"]

GPT2: dict[str, Any] = {
    **{"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
}

DECODERS: dict[str, dict[str, Any]] = {
    "GPT2": GPT2,
    "GPTNeo": {
        **{"vocab_size": 99, "hidden_size": 32, "num_layers": 2, "num_heads": 4},
        **{"attention_types": [[["global", "local"], 1]], "max_position_embeddings": 64},
        "window_size": 8,
    },
    "GPTJ": {**GPT2, "rotary_dim": 4},
    "GPTNeoX": SMALL,
    "GPTBigCode": GPT2,
    "OPT": {
        **{"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "ffn_dim": 64},
        **{"num_attention_heads": 4, "max_position_embeddings": 64, "word_embed_proj_dim": 32},
    },
    "Bloom": {"vocab_size": 99, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    "Llama": DECODER,
    "Mistral": {**DECODER, "sliding_window": 8},
    "Mixtral": {**DECODER, "num_local_experts": 4},
    "Qwen2": DECODER,
    "Qwen3": {**DECODER, "head_dim": 8},
    "Qwen3Moe": {**EXPERTS, "num_experts": 4, "head_dim": 8},
    "Gemma": {**DECODER, "head_dim": 8},
    "Gemma2": {**DECODER, "head_dim": 8, "sliding_window": 8},
    "Gemma3Text": {**DECODER, "head_dim": 8, "sliding_window": 8},
    "Phi": SMALL,
    "Phi3": DECODER,
    "Falcon": {**SMALL, "new_decoder_architecture": True, "num_kv_heads": 2},
    "StableLm": DECODER,
    "Olmo2": DECODER,
    "Cohere": DECODER,
    "Granite": DECODER,
    "SmolLM3": DECODER,
    "CodeGen": {**GPT2, "rotary_dim": 4, "n_head": 4},
    "CTRL": {"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4, "dff": 64},
    "BioGpt": SMALL,
    "XGLM": {
        **{"vocab_size": 99, "d_model": 32, "num_layers": 2, "attention_heads": 4},
        **{"ffn_dim": 64, "max_position_embeddings": 64},
    },
    "Mpt": {"vocab_size": 99, "d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 64},
    "Mamba": {"vocab_size": 99, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    "Rwkv": {
        "vocab_size": 99,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "attention_hidden_size": 32,
    },
}

SEQUENCES: dict[str, dict[str, Any]] = {
    "T5": T5,
    "MT5": T5,
    "LongT5": {**T5, "local_radius": 4},
    "Bart": BART,
    "MBart": BART,
    "Marian": {**BART, "pad_token_id": 1, "decoder_start_token_id": 1},
    "Pegasus": {**BART, "pad_token_id": 1},
    "Blenderbot": BART,
    "M2M100": BART,
    "ProphetNet": {
        **{"vocab_size": 99, "hidden_size": 32, "num_encoder_layers": 2, "num_decoder_layers": 2},
        **{"num_encoder_attention_heads": 4, "num_decoder_attention_heads": 4},
        **{"encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64},
    },
}

VISION: dict[str, dict[str, Any]] = {
    "ViTModel": SEEING,
    "DeiTModel": SEEING,
    "BeitModel": SEEING,
    "Dinov2Model": SEEING,
    "DINOv3ViTModel": SEEING,
    "ViTMSNModel": SEEING,
    "YolosForObjectDetection": {**SEEING, "image_size": [32, 32], "num_detection_tokens": 5},
    "SegformerForSemanticSegmentation": {
        **{"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "decoder_hidden_size": 16},
        "num_attention_heads": [1, 2, 2, 4],
    },
    "SwinModel": {
        **{"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [1, 2]},
        **{"num_heads": [2, 4], "window_size": 4},
    },
    "Swinv2Model": {
        **{"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [1, 2]},
        **{"num_heads": [2, 4], "window_size": 4},
    },
    "Swin2SRForImageSuperResolution": {
        **{"image_size": 16, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2]},
        **{"window_size": 4, "upscale": 2},
    },
    "ConvNextModel": STAGES,
    "ConvNextV2Model": STAGES,
    "RegNetModel": {"embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
    "MobileViTModel": {
        **{"image_size": 32, "hidden_sizes": [16, 24, 32], "num_attention_heads": 4},
        "neck_hidden_sizes": [8, 8, 16, 24, 32, 40, 48],
    },
    "MobileNetV2Model": {"depth_multiplier": 0.25},
    "PoolFormerModel": {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32]},
    "PvtV2Model": {
        **{"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "image_size": 64},
        "num_attention_heads": [1, 2, 2, 4],
    },
    "CvtModel": {"embed_dim": [8, 16, 32], "num_heads": [1, 2, 4], "depth": [1, 2, 3]},
    "LevitModel": {
        **{"image_size": 64, "hidden_sizes": [16, 24, 32], "num_attention_heads": [2, 2, 2]},
        **{"depths": [1, 1, 1], "key_dim": [8, 8, 8]},
    },
    "DPTForDepthEstimation": {
        **SEEING,
        **{"num_hidden_layers": 4, "backbone_out_indices": [0, 1, 2, 3]},
        **{"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 16},
        **{"is_hybrid": False, "patch_size": 8},
    },
    "GLPNForDepthEstimation": {
        **{"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "decoder_hidden_size": 16},
        "num_attention_heads": [1, 2, 2, 4],
    },
    "ViTMAEModel": {**SEEING, "mask_ratio": 0.0},
    "DepthAnythingForDepthEstimation": {},
    "DetrForObjectDetection": {},
    "RTDetrForObjectDetection": {},
    "UperNetForSemanticSegmentation": {},
    "VitPoseForPoseEstimation": {},
    "SuperPointForKeypointDetection": {},
}


class WithCache(nn.Module):
    """A decoder's step: its cache goes in and comes out as tensors, two a layer."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, keys: list[Any], values: list[Any]) -> Any:
        from transformers import DynamicCache

        cache = DynamicCache(list(zip(keys, values, strict=True)))
        result = self.model(input_ids=input_ids, past_key_values=cache)
        kept = [(layer.keys, layer.values) for layer in result.past_key_values.layers]
        return result.logits, kept


CACHED = ("Llama", "GPT2", "Qwen2", "Mistral", "Gemma2", "OPT", "Phi")
"""Decoders that are deployed with their cache, too."""


def _loud(build: Any, config: Any) -> nn.Module:
    """A model with larger weights than the library's 0.02, which hide what is done with inputs."""
    for part in (config, *(getattr(config, name, None) for name in _PARTS)):
        if hasattr(part, "initializer_range"):
            part.initializer_range = 0.15
    return seeded(build, config)


_PARTS = ("text_config", "vision_config", "backbone_config")


def _decoder(name: str) -> nn.Module:
    import transformers

    heads = {
        "GPT2": "GPT2LMHeadModel",
        "Gemma3Text": "Gemma3ForCausalLM",
        "CTRL": "CTRLLMHeadModel",
    }
    build = getattr(transformers, heads.get(name, f"{name}ForCausalLM"))
    config = getattr(transformers, f"{name}Config")(**DECODERS[name])
    config.use_cache = False
    return _loud(build, config)


def _tokens(length: int = 10) -> dict[str, torch.Tensor]:
    mask = torch.ones(2, length, dtype=torch.int64)
    return {"input_ids": integers(97, 2, length, low=2), "attention_mask": mask}


LENGTH = Dim("length", 2, 48)
TEXT = {0: "batch", 1: LENGTH}
ONES = {"attention_mask": lambda rng, shape: _ragged(shape)}


def _ragged(shape: tuple[int, ...]) -> Any:
    """Masks of a batch whose rows end earlier and earlier."""
    import numpy as np

    lengths = np.maximum(1, shape[1] - 2 * np.arange(shape[0]))
    return (np.arange(shape[1])[None] < lengths[:, None]).astype(np.int64)


def _encoder(name: str) -> Recipe:
    import transformers

    config = getattr(transformers, f"{name.removesuffix('Encoder')}Config")(**ENCODERS[name])
    model = _loud(getattr(transformers, f"{name}Model"), config)
    return keyword(model, _tokens(), TEXT, values=ONES)


def _causal(name: str) -> Recipe:
    inputs = _tokens()
    if name == "Rwkv":
        inputs.pop("attention_mask")
    values = ONES if "attention_mask" in inputs else {}
    return keyword(_decoder(name), inputs, TEXT, values=values)


def _cached(name: str) -> Recipe:
    model = _decoder(name)
    config = model.config
    config.use_cache = True
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    layers = range(config.num_hidden_layers)
    keys = [numbers(2, heads, 5, width, seed=20 + layer) for layer in layers]
    values = [numbers(2, heads, 5, width, seed=40 + layer) for layer in layers]
    names = [f"{kind}_{layer}" for kind in ("keys", "values") for layer in layers]
    dynamic = {name: {0: "batch", 2: Dim("past", 1, 24)} for name in names}
    dynamic["input_ids"] = {0: "batch", 1: Dim("new", 1, 16)}
    return Recipe(WithCache(model), (integers(97, 2, 3, low=2), keys, values), dynamic=dynamic)


def _sequence(name: str) -> Recipe:
    import transformers

    config = getattr(transformers, f"{name}Config")(**SEQUENCES[name])
    config.use_cache = False
    build = {"Marian": "MarianMTModel"}.get(name, f"{name}ForConditionalGeneration")
    model = _loud(getattr(transformers, build), config)
    inputs = {**_tokens(), "decoder_input_ids": integers(97, 2, 6, low=2, seed=5)}
    axes = {
        **dict.fromkeys(("input_ids", "attention_mask"), TEXT),
        "decoder_input_ids": {0: "batch", 1: Dim("decoded", 2, 32)},
    }
    return keyword(model, inputs, axes, values=ONES)


def _vision(name: str) -> Recipe:
    import transformers

    build = getattr(transformers, name)
    options = dict(VISION[name])
    config = build.config_class(**(options or _nested(name)))
    size = options.get("image_size", 64)
    size = size[0] if isinstance(size, list) else size
    if name == "ViTMAEModel":
        # Without noise as an input, the patches are drawn at random.
        noise = numbers(2, (size // config.patch_size) ** 2, seed=6)
        inputs = {"pixel_values": numbers(2, 3, size, size), "noise": noise}
        return keyword(_loud(build, config), inputs, {0: "batch"})
    return images(_loud(build, config), size, channels=_channels(name), fixed=name in FIXED)


def _channels(name: str) -> int:
    return 3


FIXED = frozenset(VISION) - {
    *("ConvNextModel", "ConvNextV2Model", "RegNetModel", "MobileNetV2Model", "PoolFormerModel"),
    *("SegformerForSemanticSegmentation", "GLPNForDepthEstimation", "CvtModel"),
    *("SuperPointForKeypointDetection", "RTDetrForObjectDetection", "DetrForObjectDetection"),
}
"""Vision models of one size."""


def _nested(name: str) -> dict[str, Any]:
    """Options of models that have a backbone within."""
    import transformers as library

    dino = library.Dinov2Config(
        **SEEING, out_indices=[1, 2], reshape_hidden_states=False, apply_layernorm=True
    )
    resnet = {"embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
    if name == "DepthAnythingForDepthEstimation":
        four = library.Dinov2Config(
            **{**SEEING, "num_hidden_layers": 4},
            out_indices=[1, 2, 3, 4],
            reshape_hidden_states=False,
        )
        return {
            **{"backbone_config": four, "neck_hidden_sizes": [8, 8, 16, 16]},
            **{"reassemble_hidden_size": 32, "fusion_hidden_size": 16, "patch_size": 8},
            **{"head_hidden_size": 8},
        }
    if name == "DetrForObjectDetection":
        return {
            **{"backbone_config": library.ResNetConfig(**resnet, out_features=["stage4"])},
            **{"use_timm_backbone": False, "backbone": None, "use_pretrained_backbone": False},
            **{"num_queries": 5, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1},
            **{"encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "encoder_attention_heads": 4},
            "decoder_attention_heads": 4,
        }
    if name == "RTDetrForObjectDetection":
        back = library.RTDetrResNetConfig(
            **resnet, layer_type="basic", out_features=["stage2", "stage3", "stage4"]
        )
        return {
            **{
                "backbone_config": back,
                "encoder_hidden_dim": 32,
                "encoder_in_channels": [16, 24, 32],
            },
            **{"encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "d_model": 32, "num_queries": 10},
            **{"decoder_in_channels": [32, 32, 32], "decoder_layers": 1},
            **{"encoder_attention_heads": 4, "decoder_attention_heads": 4, "num_labels": 4},
        }
    if name == "UperNetForSemanticSegmentation":
        back = library.ConvNextConfig(
            **STAGES, out_features=["stage1", "stage2", "stage3", "stage4"]
        )
        return {"backbone_config": back, "hidden_size": 16, "auxiliary_in_channels": 24}
    if name == "VitPoseForPoseEstimation":
        back = library.VitPoseBackboneConfig(
            **{**SEEING, "image_size": [64, 64], "patch_size": [16, 16]}, out_indices=[2]
        )
        return {"backbone_config": back, "num_labels": 5}
    del dino
    return {}


def _pair(name: str) -> Recipe:
    import transformers

    config = getattr(transformers, f"{name}Config")(**PAIRS)
    model = _loud(getattr(transformers, f"{name}Model"), config)
    inputs = {**_tokens(), "pixel_values": numbers(3, 3, 32, 32)}
    texts = {0: "texts", 1: LENGTH}
    axes = {
        **dict.fromkeys(("input_ids", "attention_mask"), texts),
        "pixel_values": {0: "images"},
    }
    return keyword(model, inputs, axes, values=ONES)


SPEECH: dict[str, Any] = {
    **SMALL,
    **{"conv_dim": (16, 16), "conv_stride": (4, 4), "conv_kernel": (8, 8)},
    **{"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4, "vocab_size": 20},
    **{"num_feat_extract_layers": 2},
}

SPEECHES: dict[str, dict[str, Any]] = {
    "Wav2Vec2ForCTC": SPEECH,
    "HubertForCTC": SPEECH,
    "WavLMForCTC": SPEECH,
    "SEWForCTC": {**SPEECH, "squeeze_factor": 2},
    "UniSpeechForCTC": SPEECH,
    "Data2VecAudioForCTC": {**SPEECH, "conv_pos_kernel_size": 5},
}


def _speech(name: str) -> Recipe:
    import transformers

    build = getattr(transformers, name)
    model = _loud(build, build.config_class(**SPEECHES[name]))
    axes = {0: "batch", 1: Dim("samples", 300, 1200)}
    return keyword(model, {"input_values": numbers(2, 640)}, axes)


def _whisper() -> Recipe:
    import transformers

    config = transformers.WhisperConfig(
        **{**BART, "max_target_positions": 32, "max_source_positions": 20, "num_mel_bins": 8},
        **{"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1},
        **{"suppress_tokens": None, "begin_suppress_tokens": None, "use_cache": False},
    )
    model = _loud(transformers.WhisperForConditionalGeneration, config)
    inputs = {"input_features": numbers(2, 8, 40), "decoder_input_ids": integers(97, 2, 6, low=2)}
    axes = {
        "input_features": {0: "batch"},
        "decoder_input_ids": {0: "batch", 1: Dim("decoded", 2, 30)},
    }
    return keyword(model, inputs, axes)


def _spectrogram(name: str) -> Recipe:
    import transformers

    build = getattr(transformers, name)
    config = build.config_class(**{**SEEING, "max_length": 48, "num_mel_bins": 16, "patch_size": 8})
    return keyword(_loud(build, config), {"input_values": numbers(2, 48, 16)}, ["batch"])


def _encodec() -> Recipe:
    import transformers

    config = transformers.EncodecConfig(
        **{"num_filters": 4, "hidden_size": 16, "upsampling_ratios": [4, 2], "codebook_size": 16},
        **{"codebook_dim": 16, "num_lstm_layers": 1, "normalize": False, "chunk_length_s": None},
        target_bandwidths=[24.0],
    )
    model = _loud(transformers.EncodecModel, config)
    return keyword(model, {"input_values": numbers(2, 1, 480)}, {0: "batch"})


def _mel_decoder() -> Recipe:
    import transformers

    config = transformers.SpeechT5HifiGanConfig(
        **{"model_in_dim": 8, "upsample_initial_channel": 16, "upsample_rates": [2, 2]},
        **{"upsample_kernel_sizes": [4, 4], "resblock_kernel_sizes": [3]},
        **{"resblock_dilation_sizes": [[1, 3]], "normalize_before": False},
    )
    model = _loud(transformers.SpeechT5HifiGan, config)
    return keyword(model, {"spectrogram": numbers(2, 20, 8)}, {0: "batch", 1: Dim("frames", 4, 60)})


def _series(name: str) -> Recipe:
    import transformers

    if name == "PatchTSTForPrediction":
        config = transformers.PatchTSTConfig(
            **{"num_input_channels": 3, "context_length": 32, "patch_length": 4},
            **{"patch_stride": 4, "prediction_length": 8, "d_model": 16, "ffn_dim": 32},
            **{"num_hidden_layers": 2, "num_attention_heads": 4},
        )
    else:
        config = transformers.PatchTSMixerConfig(
            **{"num_input_channels": 3, "context_length": 32, "patch_length": 4},
            **{"patch_stride": 4, "prediction_length": 8, "d_model": 16, "num_layers": 2},
        )
    model = _loud(getattr(transformers, name), config)
    return keyword(model, {"past_values": numbers(2, 32, 3)}, ["batch"])


def _layout() -> Recipe:
    import transformers

    model = _loud(transformers.LayoutLMModel, transformers.LayoutLMConfig(**SMALL))
    corners = integers(500, 2, 10, 2)
    inputs = {**_tokens(), "bbox": torch.cat([corners, corners + 20], 2)}

    def boxes(rng: Any, shape: tuple[int, ...]) -> Any:
        import numpy as np

        low = rng.integers(0, 500, (*shape[:2], 2))
        return np.concatenate([low, low + rng.integers(1, 100, low.shape)], 2)

    return keyword(model, inputs, TEXT, values={**ONES, "bbox": boxes})


def _seeing_words(name: str) -> Recipe:
    import transformers

    if name == "Blip":
        text = {**SMALL, "encoder_hidden_size": 32, "projection_dim": 16, "bos_token_id": 1}
        config = transformers.BlipConfig(text_config=text, vision_config=SEEING, projection_dim=16)
        model = _loud(transformers.BlipModel, config)
    else:
        config = transformers.ViltConfig(**{**SMALL, **SEEING})
        model = _loud(transformers.ViltModel, config)
    inputs = {**_tokens(), "pixel_values": numbers(2, 3, 32, 32)}
    axes = {**dict.fromkeys(("input_ids", "attention_mask"), TEXT), "pixel_values": {0: "batch"}}
    return keyword(model, inputs, axes, values=ONES)


def entries() -> list[Entry]:
    """The models."""
    tables = (
        (ENCODERS, _encoder),
        (DECODERS, _causal),
        (SEQUENCES, _sequence),
        (VISION, _vision),
        (SPEECHES, _speech),
        (("CLIP", "Siglip", "AltCLIP", "ChineseCLIP"), _pair),
        (("ASTModel",), _spectrogram),
        (("PatchTSTForPrediction", "PatchTSMixerForPrediction"), _series),
        (("Blip", "Vilt"), _seeing_words),
    )
    found = [
        Entry(f"transformers/{name}", lambda n=name, m=make: m(n))
        for names, make in tables
        for name in names
        if name != "LayoutLM"
    ]
    found += [Entry(f"transformers/{name}.cache", lambda n=name: _cached(n)) for name in CACHED]
    found += [
        Entry("transformers/LayoutLM", _layout),
        Entry("transformers/Whisper", _whisper),
        Entry("transformers/Encodec", _encodec),
        Entry("transformers/SpeechT5HifiGan", _mel_decoder),
    ]
    return found
