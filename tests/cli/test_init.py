from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import modelport
from tests.recipe_draft import nets
from tests.support import Ran

RunCli = Callable[..., Ran]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copyfile(str(nets.__file__), tmp_path / "nets.py")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def words_of(printed: str) -> list[str]:
    """The arguments of the command that a line ``next: modelport ...`` names."""
    line = next(line for line in printed.splitlines() if line.startswith("next: "))
    return shlex.split(line)[2:]


def test_weights_become_a_bundle_in_two_commands(cli: RunCli, folder: Path) -> None:
    model = nets.Net()
    torch.save(model.state_dict(), "net.pth")
    ran = cli("init", "net.pth", "--model", "nets.py:Net")
    assert ran.code == 0, ran.err
    assert cli(*words_of(ran.out)).code == 0
    image = np.random.default_rng(0).random((2, 3, 224, 224), np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(image)).numpy()
    (actual,) = modelport.load(folder / "net.port").run({"image": image}).values()
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_class_becomes_a_bundle(cli: RunCli, folder: Path) -> None:
    ran = cli("init", "nets.py:Words", "-o", "words.py")
    assert cli(*words_of(ran.out)).code == 0
    dims = modelport.load("Words.port").signature.dims
    assert set(dims) == {"batch", "length"}


def test_weights_in_place_of_a_recipe_name_the_command(cli: RunCli, folder: Path) -> None:
    torch.save(nets.Net().state_dict(), "my net.pth")
    ran = cli("deploy", "my net.pth", "-o", "a.port")
    assert ran.code == 2
    assert "my net.pth is a file of weights" in ran.err
    command = ran.err.split("`")[1]
    assert cli(*shlex.split(command)[1:]).code == 0
    assert (folder / "recipe.py").is_file()


def test_class_in_place_of_a_recipe_names_both_ways(cli: RunCli, folder: Path) -> None:
    ran = cli("deploy", "nets.py:Net", "-o", "a.port")
    assert ran.code == 2
    assert "--input-shapes" in ran.err
    assert cli(*shlex.split(ran.err.split("`")[1])[1:]).code == 0


def test_file_that_is_there_stays(cli: RunCli, folder: Path) -> None:
    (folder / "recipe.py").write_text("mine\n")
    ran = cli("init", "nets.py:Net")
    assert ran.code == 2
    assert "recipe.py is there already" in ran.err
    assert (folder / "recipe.py").read_text() == "mine\n"
    assert cli("init", "nets.py:Net", "--force").code == 0
    assert "def recipe()" in (folder / "recipe.py").read_text()


def test_refused_source_leaves_no_file(cli: RunCli, folder: Path) -> None:
    assert cli("init", "nets.py:Absent").code == 2
    assert cli("init", "net.onnx", "--model", "nets.py:Net").code == 2
    assert not (folder / "recipe.py").exists()


def test_model_files_are_named_by_a_recipe(cli: RunCli, folder: Path) -> None:
    model, example = nets.Signal().eval(), (torch.randn(1, 2, 64),)
    program = torch.export.export(model, example)
    torch.export.save(program, "signal.pt2")
    assert cli("export", "signal.pt2", "-o", "signal.onnx").code == 0
    assert onnx.load("signal.onnx").graph.input[0].name == "wave"
    for name in ("signal.onnx", "signal.pt2"):
        ran = cli("init", name, "--force", "--json")
        assert ran.code == 0, ran.err
        assert json.loads(ran.out)["missing"] == []
        assert cli(*shlex.split(json.loads(ran.out)["next"])[1:]).code == 0


def test_class_is_deployed_by_the_shapes_of_its_inputs(cli: RunCli, folder: Path) -> None:
    shapes = ["--input-shapes", "tokens=batch,length:int64", "--input-shapes", "mask=batch,length"]
    ran = cli("deploy", "nets.py:Words", *shapes, "-o", "words.port")
    assert ran.code == 0, ran.err
    engine = modelport.load("words.port")
    assert set(engine.signature.dims) == {"batch", "length"}
    tokens, mask = np.zeros((3, 4), np.int64), np.ones((3, 4), np.float32)
    assert next(iter(engine.run({"tokens": tokens, "mask": mask}).values())).shape == (3, 4, 6)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ("image", "cannot read the shape 'image'"),
        ("image=1,3,x y", "cannot read the sizes"),
        ("image=1,3:float99", "unknown dtype 'float99'"),
        ("picture=1,3,8,8", "its inputs are image"),
    ],
)
def test_wrong_shape_is_named(cli: RunCli, folder: Path, shape: str, said: str) -> None:
    ran = cli("deploy", "nets.py:Net", "--input-shapes", shape, "-o", "a.port")
    assert ran.code == 2
    assert said in ran.err
