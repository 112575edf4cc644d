from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from modelport import Recipe, UsageError
from modelport.recipe import load_recipe
from modelport.recipe_draft import draft_recipe
from tests.recipe_draft.nets import Net, Words


def recipe_of(folder: Path, text: str) -> Recipe:
    (folder / "recipe.py").write_text(text, encoding="utf-8")
    return load_recipe(folder / "recipe.py")


def plain(weights: dict[str, Any]) -> Any:
    return weights


def training(weights: dict[str, Any]) -> Any:
    optimizer = {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 0.1}]}
    return {"epoch": 3, "model_state": {"net": weights}, "optimizer": optimizer}


def distributed(weights: dict[str, Any]) -> Any:
    return {"state_dict": {f"module.{name}": item for name, item in weights.items()}}


def oddly_named(weights: dict[str, Any]) -> Any:
    return {'a"]; raise SystemExit\n#\\': weights}


@pytest.mark.parametrize("form", [plain, training, distributed, oddly_named])
def test_weights_of_a_class_are_loaded(folder: Path, form: Any) -> None:
    model = Net()
    torch.save(form(model.state_dict()), "net.pth")
    recipe = recipe_of(folder, draft_recipe("net.pth", model="nets.py:Net").text)
    image = torch.randn(1, 3, 9, 9)
    with torch.no_grad():
        torch.testing.assert_close(recipe.model(image), model(image))
    recipe.model(*recipe.args)


def safetensors(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    """Writes a file of safetensors: the header's length, the header as JSON, the data."""
    header, data = {}, b""
    for name, item in tensors.items():
        raw = item.detach().numpy().tobytes()
        where = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(item.shape), "data_offsets": where}
        data += raw
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_header_of_safetensors_is_enough(folder: Path) -> None:
    safetensors(folder / "words.safetensors", dict(Words().state_dict()))
    draft = draft_recipe("words.safetensors")
    assert "5 tensors" in draft.notes[0]
    assert "embed.weight [30, 8]" in draft.notes[0]
    assert draft.inputs[0].code == "torch.randint(0, 30, (1, 16))"
    assert "load_file(" in draft.text
    assert not draft_recipe("words.safetensors", model="nets.py:Words").missing


def test_class_is_what_is_missing(folder: Path) -> None:
    torch.save(Net().state_dict(), "net.pth")
    draft = draft_recipe("net.pth")
    assert "--model file.py:Class" in draft.missing[0]
    assert draft.inputs[0].code == "torch.randn(1, 3, 224, 224)"
    compile(draft.text, "recipe.py", "exec")


class Planted:
    """A pickle that writes a file where it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("whole", [False, True])
def test_a_pickle_is_not_run(folder: Path, whole: bool) -> None:
    if whole:
        torch.save({"model": Net(), "planted": Planted(folder / "ran")}, "net.pt")
    else:
        Path("net.pt").write_bytes(pickle.dumps(Planted(folder / "ran")))
    draft = draft_recipe("net.pt")
    assert not (folder / "ran").exists()
    assert "runs code" in draft.missing[0]
    assert "weights_only=False" in draft.text
    if whole:
        assert "tests.recipe_draft.nets.Net" in draft.notes[0]


def test_program_of_torchscript_holds_its_code(folder: Path) -> None:
    torch.jit.trace(Net().eval(), torch.randn(1, 3, 32, 32)).save("net.pt")
    recipe = recipe_of(folder, draft_recipe("net.pt").text)
    assert isinstance(recipe.model, torch.jit.ScriptModule)


def test_weights_of_another_class_are_refused_by_name(folder: Path) -> None:
    weights = {**Net().state_dict(), "head.weight": torch.zeros(5, 17)}
    torch.save(weights, "net.pth")
    with pytest.raises(UsageError, match=r"do not fit nets\.py:Net") as caught:
        draft_recipe("net.pth", model="nets.py:Net")
    assert caught.value.why == "head.weight is [5, 17], and [5, 16] in the class"


def cut(path: Path) -> None:
    torch.save(nn.Linear(2, 2).state_dict(), path)
    path.write_bytes(path.read_bytes()[:200])


BAD: dict[str, Any] = {
    "empty.pth": lambda path: path.write_bytes(b""),
    "text.pth": lambda path: path.write_text("weights"),
    "cut.pth": cut,
    "list.pth": lambda path: torch.save([1, 2], path),
    "nothing.pth": lambda path: torch.save({}, path),
    "short.safetensors": lambda path: path.write_bytes(b"\x01\x02"),
    "long.safetensors": lambda path: path.write_bytes((1 << 40).to_bytes(8, "little") + b"{}"),
    "odd.safetensors": lambda path: path.write_bytes((9).to_bytes(8, "little") + b'{"a": 1} '),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_a_usage_error(folder: Path, name: str) -> None:
    BAD[name](folder / name)
    with pytest.raises(UsageError, match=name):
        draft_recipe(name)


def test_name_of_a_file_ends_no_docstring(folder: Path) -> None:
    name = 'a"""; raise SystemExit #\\.pth'
    torch.save(Net().state_dict(), "net.pth")
    Path("net.pth").rename(name)
    recipe = recipe_of(folder, draft_recipe(name, model="nets.py:Net").text)
    assert isinstance(recipe, Recipe)
