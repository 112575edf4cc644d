from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelport import Dim, UsageError
from modelport.recipe import load_recipe
from modelport.recipe_draft import draft_recipe

LIBRARY = """
import json
from pathlib import Path
from torch import nn


class Config:
    use_cache = True


class Pretrained(nn.Module):
    def __init__(self):
        super().__init__()
        self.config = Config()
        self.layer = nn.Linear(2, 2)

    @classmethod
    def from_pretrained(cls, folder):
        assert json.loads((Path(folder) / "config.json").read_text())
        return cls()


BertForMaskedLM = ViTForImageClassification = CLIPModel = GPT2LMHeadModel = Pretrained
T5ForConditionalGeneration = Wav2Vec2Model = Pretrained
"""
"""Stands in for transformers: a recipe imports modules of its own folder first."""
TEXT = {"input_ids": (1, 16), "attention_mask": (1, 16)}


@pytest.mark.parametrize(
    ("config", "shapes"),
    [
        ({"architectures": ["BertForMaskedLM"], "vocab_size": 99}, TEXT),
        ({"architectures": ["GPT2LMHeadModel"], "vocab_size": 99, "use_cache": True}, TEXT),
        (
            {"architectures": ["ViTForImageClassification"], "image_size": 32, "num_channels": 1},
            {"pixel_values": (1, 1, 32, 32)},
        ),
        (
            {
                "architectures": ["CLIPModel"],
                "text_config": {"vocab_size": 50},
                "vision_config": {"image_size": 48},
            },
            {**TEXT, "pixel_values": (1, 3, 48, 48)},
        ),
        (
            {
                "architectures": ["T5ForConditionalGeneration"],
                "vocab_size": 99,
                "is_encoder_decoder": True,
            },
            {**TEXT, "decoder_input_ids": (1, 8)},
        ),
    ],
    ids=lambda value: value.get("architectures", [""])[0],
)
def test_inputs_follow_from_the_config(
    folder: Path, config: dict[str, Any], shapes: dict[str, tuple[int, ...]]
) -> None:
    (folder / "transformers.py").write_text(LIBRARY)
    (folder / "saved").mkdir()
    (folder / "saved/config.json").write_text(json.dumps(config))
    (folder / "recipe.py").write_text(draft_recipe(folder / "saved").text)
    recipe = load_recipe(folder / "recipe.py")
    assert {name: tuple(item.shape) for name, item in recipe.kwargs.items()} == shapes
    assert all(axes[0] == "batch" for axes in (recipe.dynamic or {}).values())
    assert recipe.model.config.use_cache is not config.get("use_cache", False)


def test_longest_sequence_is_the_number_of_positions(folder: Path) -> None:
    (folder / "transformers.py").write_text(LIBRARY)
    config = {"architectures": ["BertForMaskedLM"], "vocab_size": 9, "max_position_embeddings": 64}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "recipe.py").write_text(draft_recipe(folder).text)
    dynamic = load_recipe(folder / "recipe.py").dynamic or {}
    assert dynamic["input_ids"][1] == Dim("length", max=64)
    roberta = {**config, "model_type": "roberta"}
    (folder / "config.json").write_text(json.dumps(roberta))
    assert 'Dim("length", max=62)' in draft_recipe(folder).text


def test_unknown_inputs_are_what_is_missing(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"architectures": ["Wav2Vec2Model"]}))
    assert "does not say what the model takes" in draft_recipe(folder).missing[0]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"architectures": []}', '{"architectures": ["a; import os"]}'],
)
def test_bad_config_is_a_usage_error(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(UsageError, match=r"config\.json"):
        draft_recipe(folder)
