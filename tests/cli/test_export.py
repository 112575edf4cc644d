from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import modelport
from modelport.recipe import load_recipe
from tests.support import Ran

RunCli = Callable[..., Ran]


def test_model_is_written_and_computes_the_same(
    cli: RunCli, recipe_file: Path, tmp_path: Path
) -> None:
    ran = cli("export", recipe_file, "-o", tmp_path / "m.onnx")
    assert ran.code == 0
    assert "captured by trace" in ran.out
    assert f"wrote {tmp_path / 'm.onnx'}" in ran.out
    image = np.random.default_rng(0).random((1, 3, 33, 19), np.float32)
    with torch.no_grad():
        wanted = load_recipe(recipe_file).model.eval()(torch.from_numpy(image)).numpy()
    came = modelport.load(tmp_path / "m.onnx").run({"image": image})["result"]
    np.testing.assert_allclose(came, wanted, rtol=1e-4, atol=1e-5)


def test_json_has_signature_and_provenance(cli: RunCli, recipe_file: Path, tmp_path: Path) -> None:
    ran = cli("export", recipe_file, "-o", tmp_path / "m.onnx", "--opset", 19, "--json")
    content = json.loads(ran.out)
    assert content["signature"]["inputs"][0]["name"] == "image"
    assert content["signature"]["dimensions"]["height"] == {"min": 16, "max": 64}
    assert content["provenance"]["capture"]["strategy"] == "trace"
    assert content["provenance"]["opset"] == 19
    assert modelport.Model.load(tmp_path / "m.onnx").opset == 19


def test_onnx_file_is_taken_as_it_is(cli: RunCli, onnx_file: Path, tmp_path: Path) -> None:
    ran = cli("export", onnx_file, "-o", tmp_path / "m.onnx")
    assert ran.code == 0
    assert modelport.Model.load(tmp_path / "m.onnx").signature.dims["height"].max == 64
    ran = cli("export", onnx_file, "-o", tmp_path / "n.onnx", "--opset", 20)
    assert ran.code == 2
    assert "opset" in ran.err
    assert not (tmp_path / "n.onnx").exists()


BAD_RECIPES = {
    "no factory": "x = 1\n",
    "raises": "def recipe():\n    raise ValueError('no weights here')\n",
    "wrong return": "def recipe():\n    return 3\n",
    "syntax": "def recipe(\n",
}


@pytest.mark.parametrize("kind", sorted(BAD_RECIPES))
def test_bad_recipe_exits_with_2_and_writes_nothing(cli: RunCli, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "recipe.py"
    path.write_text(BAD_RECIPES[kind])
    ran = cli("export", path, "-o", tmp_path / "m.onnx")
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("modelport: error: ")
    assert "recipe" in ran.err
    assert not (tmp_path / "m.onnx").exists()


def test_missing_source_exits_with_2(cli: RunCli, tmp_path: Path) -> None:
    ran = cli("export", tmp_path / "none.py", "-o", tmp_path / "m.onnx")
    assert ran.code == 2
    assert "no such file" in ran.err


def test_unknown_capture_exits_with_2(cli: RunCli, recipe_file: Path, tmp_path: Path) -> None:
    ran = cli("export", recipe_file, "-o", tmp_path / "m.onnx", "--capture", "guess")
    assert ran.code == 2
    assert "guess" in ran.err


def test_model_that_cannot_be_captured_exits_with_1(cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "recipe.py"
    path.write_text(
        "import torch\nimport modelport\n"
        "class Bad(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        raise ValueError('broken on purpose')\n"
        "def recipe():\n"
        "    return modelport.Recipe(Bad(), (torch.ones(2),), capture='trace')\n"
    )
    ran = cli("export", path, "-o", tmp_path / "m.onnx")
    assert ran.code == 1
    assert "broken on purpose" in ran.err
    assert f"{path}:5" in ran.err
    assert not (tmp_path / "m.onnx").exists()


def test_output_that_cannot_be_written_exits_with_2(
    cli: RunCli, recipe_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "m.onnx").mkdir()
    ran = cli("export", recipe_file, "-o", tmp_path / "m.onnx")
    assert ran.code == 2
    assert "cannot write" in ran.err
