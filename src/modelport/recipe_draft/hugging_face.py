"""Drafts for folders of Hugging Face's transformers: a ``config.json`` beside the weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelport.errors import UsageError
from modelport.recipe_draft.draft import Draft, ExampleInput, path_code

_LENGTH = 16
_OFFSET = ("roberta", "xlm-roberta", "camembert", "longformer", "mpnet", "esm", "ibert")
"""Types whose positions begin behind that of padding."""
_PADDED = 2


def draft_folder(path: Path, folder: Path) -> Draft:
    """Drafts a recipe for a folder that ``save_pretrained`` wrote.

    The class is the config's first architecture. Inputs follow from the config: token ids where it
    has a vocabulary, pixels where it has an image size or channels, samples for speech.

    Args:
        path: The folder.
        folder: The folder that the recipe is written to.

    Raises:
        UsageError: The folder has no readable ``config.json`` that names an architecture.
    """
    config = _config(path)
    names = config.get("architectures") or []
    if not names or not str(names[0]).isidentifier():
        raise UsageError(
            f"{path}/config.json names no architecture",
            fix="write the folder with model.save_pretrained(...)",
        )
    name = str(names[0])
    inputs, missing = _inputs(config)
    return Draft(
        path.name,
        ["from pathlib import Path", "import torch", f"from transformers import {name}"],
        [f"model = {name}.from_pretrained({path_code(path, folder)}).eval()", *_no_cache(config)],
        inputs,
        [f"The inputs follow from config.json (model_type {config.get('model_type', 'unknown')})."],
        missing,
        _largest(config, inputs),
    )


def _largest(config: dict[str, Any], inputs: Sequence[ExampleInput]) -> dict[str, int]:
    """The longest sequence that a model has positions for."""
    text = _part(config, "text_config")
    limit = _number(text, "max_position_embeddings") or _number(text, "n_positions")
    if not limit or not any("length" in item.dynamic.values() for item in inputs):
        return {}
    # The first positions of some models stand for padding.
    return {"length": limit - (_PADDED if config.get("model_type") in _OFFSET else 0)}


def _config(path: Path) -> dict[str, Any]:
    file = path / "config.json"
    if not file.is_file():
        raise UsageError(
            f"{path} has no config.json, so it is no folder of Hugging Face",
            fix="give the folder that model.save_pretrained(...) wrote",
        )
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{file} is not JSON", why=str(error)) from error
    if not isinstance(config, dict):
        raise UsageError(f"{file} is not an object of JSON")
    return config


def _no_cache(config: dict[str, Any]) -> list[str]:
    """Without the cache of keys and values a decoder's answer is its logits alone."""
    return ["model.config.use_cache = False"] if config.get("use_cache") is not None else []


def _inputs(config: dict[str, Any]) -> tuple[tuple[ExampleInput, ...], list[str]]:
    text = _part(config, "text_config")
    vision = _part(config, "vision_config")
    inputs: list[ExampleInput] = []
    if vocabulary := _number(text, "vocab_size"):
        inputs += _tokens(vocabulary)
        if config.get("is_encoder_decoder"):
            code = f"torch.randint(2, {vocabulary}, (1, 8))"
            axes = {0: "batch", 1: "target_length"}
            inputs.append(ExampleInput("decoder_input_ids", code, axes, keyword=True))
    if side := _number(vision, "image_size"):
        channels = _number(vision, "num_channels") or 3
        code = f"torch.randn(1, {channels}, {side}, {side})"
        inputs.append(ExampleInput("pixel_values", code, {0: "batch"}, keyword=True))
    elif not inputs and (channels := _number(vision, "num_channels")):
        code = f"torch.randn(1, {channels}, 224, 224)"
        inputs.append(ExampleInput("pixel_values", code, {0: "batch"}, keyword=True))
    if inputs:
        return tuple(inputs), []
    missing = ["give the example inputs by keyword: config.json does not say what the model takes."]
    return (ExampleInput("input_values", "torch.randn(1, 16000)", {0: "batch"}, True),), missing


def _tokens(vocabulary: int) -> list[ExampleInput]:
    axes = {0: "batch", 1: "length"}
    ids = f"torch.randint(2, {vocabulary}, (1, {_LENGTH}))"
    mask = f"torch.ones(1, {_LENGTH}, dtype=torch.int64)"
    return [
        ExampleInput("input_ids", ids, axes, keyword=True),
        ExampleInput("attention_mask", mask, axes, keyword=True),
    ]


def _part(config: dict[str, Any], name: str) -> dict[str, Any]:
    part = config.get(name)
    return part if isinstance(part, dict) else config


def _number(config: dict[str, Any], name: str) -> int:
    value = config.get(name)
    return value if isinstance(value, int) and value > 0 else 0
