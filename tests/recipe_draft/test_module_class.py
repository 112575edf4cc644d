from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modelport import Recipe, UsageError
from modelport.recipe import load_recipe
from modelport.recipe_draft import draft_recipe


def drafted(folder: Path, source: str) -> Recipe:
    (folder / "recipe.py").write_text(draft_recipe(source).text, encoding="utf-8")
    return load_recipe(folder / "recipe.py")


@pytest.mark.parametrize(
    ("name", "shapes", "dynamic"),
    [
        ("Net", {"image": (1, 3, 224, 224)}, {"image": {0: "batch"}}),
        (
            "Words",
            {"tokens": (1, 16), "mask": (1, 16)},
            {name: {0: "batch", 1: "length"} for name in ("tokens", "mask")},
        ),
        ("Frames", {"samples": (16, 1, 7)}, {"samples": {0: "length", 1: "batch"}}),
        ("Digits", {"x": (1, 784)}, {"x": {0: "batch"}}),
        ("Signal", {"wave": (1, 2, 16000)}, {"wave": {0: "batch", 2: "length"}}),
        ("Exact", {"x": (1, 1, 28, 28)}, {"x": {0: "batch"}}),
    ],
)
def test_example_fits_the_class(
    folder: Path, name: str, shapes: dict[str, tuple[int, ...]], dynamic: dict[str, dict[int, str]]
) -> None:
    recipe = drafted(folder, f"nets.py:{name}")
    made = [tuple(item.shape) for item in recipe.args]
    assert dict(zip(recipe.input_names or (), made, strict=True)) == shapes
    assert recipe.dynamic == dynamic
    recipe.model.eval()(*recipe.args)


def test_integers_lie_inside_of_the_embedding(folder: Path) -> None:
    tokens = drafted(folder, "nets.py:Words").args[0]
    assert tokens.dtype == torch.int64
    assert 0 <= int(tokens.min()) <= int(tokens.max()) < 30


def test_module_that_no_example_fits_has_its_error_as_what_is_missing(folder: Path) -> None:
    draft = draft_recipe("nets.py:Refusing")
    assert "RuntimeError: no input is good enough" in draft.missing[0]
    assert "TODO: make the example inputs fit" in draft.text
    compile(draft.text, "recipe.py", "exec")


def test_class_with_parameters_says_which_are_missing(folder: Path) -> None:
    assert draft_recipe("nets.py:Sized").missing == ["give width to Sized"]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nets.py:Absent", "it has no Absent"),
        ("nets.py:number", "made a int, not a torch.nn.Module"),
        ("absent.py:Net", "no such file"),
        ("nothing", "no such file or folder: nothing"),
        ("nets.py", "no recipe can be drafted for nets.py"),
    ],
)
def test_wrong_source_is_a_usage_error(folder: Path, source: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        draft_recipe(source)


def test_class_of_another_folder_names_the_place_that_works(folder: Path) -> None:
    (folder / "apart").mkdir()
    with pytest.raises(UsageError, match=r"cannot import nets\.py") as caught:
        draft_recipe("nets.py:Net", folder=folder / "apart")
    assert caught.value.fix == "write it beside: -o recipe.py"
