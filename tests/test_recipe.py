from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modelport import Recipe, UsageError
from modelport.recipe import load_recipe

PLAIN = """
import modelport

def recipe():
    return modelport.Recipe(model="one.onnx", name="one")

def second():
    return modelport.Recipe(model="two.onnx", name="two")
"""


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "plain.py"
    path.write_text(PLAIN)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def failure(source: object) -> str:
    with pytest.raises(UsageError) as caught:
        load_recipe(str(source))
    return str(caught.value)


def test_file_gives_its_function_recipe(plain: Path) -> None:
    assert load_recipe(plain).name == "one"
    assert load_recipe(str(plain)).name == "one"


def test_file_and_factory(plain: Path) -> None:
    assert load_recipe(f"{plain}:second").name == "two"


def test_module_and_factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "pack_of_recipes" / "__init__.py", "")
    write(tmp_path / "pack_of_recipes" / "inner.py", PLAIN)
    monkeypatch.syspath_prepend(tmp_path)
    assert load_recipe("pack_of_recipes.inner:second").name == "two"
    assert load_recipe("pack_of_recipes.inner").name == "one"


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_model_file_gives_a_recipe_of_it(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"net{suffix}", "")
    recipe = load_recipe(path)
    assert recipe.model == path
    assert recipe.title == "net"


@pytest.mark.parametrize("name", ["none.py", "none.py:recipe", "none.onnx", "none.pt2"])
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    assert f"no such file: {tmp_path / 'none'}" in failure(tmp_path / name)


def test_missing_factory_says_what_to_define(plain: Path) -> None:
    message = failure(f"{plain}:third")
    assert "has no function third()" in message
    assert "def recipe()" in message


def test_factory_that_is_no_function_is_told(tmp_path: Path) -> None:
    assert "has no function recipe()" in failure(write(tmp_path / "a.py", "recipe = 3"))


def test_factory_that_raises_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.py", "def recipe():\n    x = 1\n    raise ValueError('no weights')\n"
    )
    message = failure(path)
    assert "raised ValueError: no weights" in message
    assert f"{path}:3" in message


def test_cause_of_a_factory_that_raises_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.py", "def recipe():\n    return {}['key']\n")
    with pytest.raises(UsageError) as caught:
        load_recipe(path)
    assert isinstance(caught.value.__cause__, KeyError)


def test_wrong_return_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.py", "def recipe():\n    return {'model': 1}\n")
    assert "returned a dict, not a modelport.Recipe" in failure(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [("def recipe(:\n", "SyntaxError"), ("import nothing_of_this_name\n", "nothing_of_this_name")],
)
def test_file_that_does_not_load_is_told(tmp_path: Path, text: str, said: str) -> None:
    before = list(sys.path)
    assert said in failure(write(tmp_path / "a.py", text))
    assert sys.path == before


def test_missing_package_says_what_to_install(tmp_path: Path) -> None:
    path = write(tmp_path / "a.py", "raise ModuleNotFoundError('No module', name='torch')\n")
    assert "'torch" in failure(path)


@pytest.mark.parametrize(
    "source", ["", ":", "..", "a b", "nothing_of_this_name", "nothing_of_this_name:recipe", "x.txt"]
)
def test_source_that_is_nothing_says_what_sources_are(source: str) -> None:
    assert "file.py[:factory]" in failure(source)


def test_folder_is_no_source(tmp_path: Path) -> None:
    assert str(tmp_path) in failure(tmp_path)


def test_errors_of_modelport_in_a_recipe_pass_through(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.py",
        "import modelport\ndef recipe():\n    return modelport.Recipe(None, capture='guess')\n",
    )
    assert failure(path).startswith("unknown capture 'guess'")


HELPED = """
import modelport
from helper import NAME

def recipe():
    return modelport.Recipe(None, name=NAME)
"""
HELPED_LATE = """
import modelport

def recipe():
    from helper import NAME
    return modelport.Recipe(None, name=NAME)
"""


@pytest.mark.parametrize("text", [HELPED, HELPED_LATE], ids=["at the top", "in the factory"])
def test_recipes_in_two_folders_each_get_their_own_helper(tmp_path: Path, text: str) -> None:
    for name in ("first", "second"):
        write(tmp_path / name / "recipe.py", text)
        write(tmp_path / name / "helper.py", f"NAME = {name!r}\n")
    before = list(sys.path)
    names = [
        load_recipe(tmp_path / name / "recipe.py").name for name in ("first", "second", "first")
    ]
    assert names == ["first", "second", "first"]
    assert sys.path == before


def test_recipe_does_not_replace_a_module_of_its_own_name(tmp_path: Path) -> None:
    import json

    load_recipe(write(tmp_path / "json.py", PLAIN))
    assert sys.modules["json"] is json


def test_unknown_capture_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown capture 'guess'") as caught:
        Recipe(None, capture="guess")
    assert "auto, dynamo, trace, script" in str(caught.value)


@pytest.mark.parametrize(
    "forms",
    [
        {"dynamic": {}, "dynamic_axes": {}},
        {"dynamic_axes": {"x": [0]}, "dynamic_shapes": ({0: None},)},
        {"dynamic": {}, "dynamic_axes": {}, "dynamic_shapes": ()},
    ],
)
def test_two_forms_of_dynamic_dimensions_are_refused(forms: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        Recipe(None, **forms)  # type: ignore[arg-type]
    for form in forms:
        assert form in str(caught.value)


def test_title_is_the_name_or_the_class() -> None:
    assert Recipe(ValueError("a model")).title == "ValueError"
    assert Recipe(ValueError("a model"), name="net").title == "net"
    assert Recipe("folder/net.onnx").title == "net"
