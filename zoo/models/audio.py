"""torchaudio: speech recognition, separation and synthesis."""

from __future__ import annotations

from typing import Any

from modelport import Dim, Recipe
from zoo.entry import Entry, integers, numbers, seeded


def _wav2letter() -> Recipe:
    from torchaudio.models import Wav2Letter

    model = seeded(Wav2Letter, num_classes=12, input_type="mfcc", num_features=13)
    axes = {"x": {0: "batch", 2: Dim("frames", 60, 160)}}
    return Recipe(model, (numbers(2, 13, 80),), dynamic=axes)


def _deepspeech() -> Recipe:
    from torchaudio.models import DeepSpeech

    model = seeded(DeepSpeech, n_feature=16, n_hidden=32, n_class=12)
    axes = {"x": {0: "batch", 2: Dim("frames", 4, 60)}}
    return Recipe(model, (numbers(2, 1, 20, 16),), dynamic=axes)


def _with_lengths(model: Any, features: int) -> Recipe:
    """A model of [N, T, F] and the lengths of its rows, [N]."""
    import numpy as np

    def lengths(rng: Any, shape: tuple[int, ...]) -> Any:
        return np.full(shape, 8)

    def example(batch: int, frames: int) -> tuple[Any, ...]:
        rows = integers(frames, batch, low=4, seed=frames)
        rows[0] = frames
        return numbers(batch, frames, features, seed=frames), rows

    name, other = list(model.forward.__code__.co_varnames[1:3])
    axes = {name: {0: "batch", 1: Dim("frames", 8, 40)}, other: {0: "batch"}}
    cases = [example(1, 9), example(3, 20), example(2, 31), example(4, 13), example(1, 24)]
    return Recipe(model, example(2, 16), dynamic=axes, cases=cases, values={other: lengths})


def _conformer() -> Recipe:
    from torchaudio.models import Conformer

    model = seeded(
        Conformer,
        **{"input_dim": 16, "num_heads": 4, "ffn_dim": 32, "num_layers": 1},
        depthwise_conv_kernel_size=7,
    )
    return _with_lengths(model, 16)


def _conv_tasnet() -> Recipe:
    from torchaudio.models import ConvTasNet

    model = seeded(
        ConvTasNet,
        **{"num_sources": 2, "enc_kernel_size": 8, "enc_num_feats": 16, "msk_kernel_size": 3},
        **{"msk_num_feats": 8, "msk_num_hidden_feats": 16, "msk_num_layers": 2},
        msk_num_stacks=1,
    )
    axes = {"input": {0: "batch", 2: Dim("samples", 64, 400)}}
    return Recipe(model, (numbers(2, 1, 200),), dynamic=axes)


def _wavernn() -> Recipe:
    from torchaudio.models import WaveRNN

    model = seeded(
        WaveRNN,
        **{"upsample_scales": [2, 2], "n_classes": 8, "hop_length": 4, "n_res_block": 1},
        **{"n_rnn": 16, "n_fc": 16, "kernel_size": 5, "n_freq": 8, "n_hidden": 8, "n_output": 8},
    )
    args = (numbers(2, 1, 24), numbers(2, 1, 8, 10))
    return Recipe(model, args, dynamic={"waveform": {0: "batch"}, "specgram": {0: "batch"}})


def _wav2vec() -> Recipe:
    from torchaudio.models import wav2vec2_model

    model = seeded(
        wav2vec2_model,
        **{"extractor_mode": "group_norm", "extractor_conv_layer_config": [(16, 8, 4)] * 2},
        **{"extractor_conv_bias": False, "encoder_embed_dim": 32, "encoder_projection_dropout": 0},
        **{"encoder_pos_conv_kernel": 8, "encoder_pos_conv_groups": 4, "encoder_num_layers": 2},
        **{"encoder_num_heads": 4, "encoder_attention_dropout": 0, "encoder_ff_interm_dropout": 0},
        **{"encoder_ff_interm_features": 64, "encoder_dropout": 0, "encoder_layer_drop": 0},
        **{"encoder_layer_norm_first": False, "aux_num_out": 12},
    )
    axes = {"waveforms": {0: "batch", 1: Dim("samples", 300, 1200)}}
    return Recipe(model, (numbers(2, 640),), dynamic=axes)


def _emformer() -> Recipe:
    from torchaudio.models import Emformer

    model = seeded(
        Emformer,
        **{"input_dim": 16, "num_heads": 4, "ffn_dim": 32, "num_layers": 1},
        segment_length=4,
        right_context_length=1,
    )
    return _with_lengths(model, 16)


def _hdemucs() -> Recipe:
    from torchaudio.models import HDemucs

    model = seeded(HDemucs, sources=["a", "b"], channels=8, nfft=256, depth=4)
    return Recipe(model, (numbers(1, 2, 2048),), dynamic={"input": {0: "batch"}})


def _spectrogram(name: str, **options: Any) -> Recipe:
    import torchaudio.transforms as transforms

    model = seeded(getattr(transforms, name), **options)
    axes = {"waveform": {0: "batch", 1: Dim("samples", 200, 1600)}}
    return Recipe(model, (numbers(2, 800),), dynamic=axes)


def entries() -> list[Entry]:
    """The models."""
    small = {"n_fft": 64, "hop_length": 32, "n_mels": 8}
    return [
        Entry("torchaudio/Wav2Letter", _wav2letter),
        Entry("torchaudio/DeepSpeech", _deepspeech),
        Entry("torchaudio/Conformer", _conformer),
        Entry("torchaudio/Emformer", _emformer),
        Entry("torchaudio/ConvTasNet", _conv_tasnet),
        Entry("torchaudio/WaveRNN", _wavernn),
        Entry("torchaudio/Wav2Vec2", _wav2vec),
        Entry("torchaudio/HDemucs", _hdemucs),
        Entry("torchaudio/MelSpectrogram", lambda: _spectrogram("MelSpectrogram", **small)),
        Entry("torchaudio/MFCC", lambda: _spectrogram("MFCC", n_mfcc=6, melkwargs=dict(small))),
    ]
