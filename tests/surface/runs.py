"""Runs every command that has ``--json`` on small inputs, for the keys of what it prints."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import onnx.numpy_helper

from modelport.cli import main
from tests.data.stored import FOLDER

NEEDED = ("cryptography", "netron", "tensorrt_rtx", "torch")
"""Packages without which a command does not run."""
BUNDLES = ("directory", "int8", "pipeline", "precisions", "signed", "steps")
_RECIPE = """
import torch

import modelport
from modelport.ops.scaffold import load_folder
from modelport.pipeline import Result, steps


class Net(torch.nn.Module):
    def forward(self, x):
        return x.view(-1, 4), torch.asinh(x), x.topk(2).values


class Own(torch.nn.Module):
    def forward(self, x):
        return torch.ops.fresh.scaled(x, factor=2.0)


class Scores(torch.nn.Module):
    def forward(self, image):
        return image.mean((2, 3))


def of(net, **given):
    dynamic = {"x": {0: modelport.Dim("n", 2, 8, multiple=2)}}
    return modelport.Recipe(net, (torch.ones(2, 4),), input_names=["x"], dynamic=dynamic, **given)


def recipe():
    return of(Net())


def own():
    load_folder("scaled")
    return of(Own(), capture="trace")


def picture():
    return modelport.Recipe(
        Scores(),
        (torch.zeros(20, 20, 3, dtype=torch.uint8),),
        output_names=["scores"],
        preprocess=[steps.center_crop(16), steps.to_float(), steps.to_chw()],
        postprocess=[steps.softmax(), steps.top_k(2)],
        result=Result("classes", labels=["red", "green", "blue"]),
        capture="trace",
    )
"""


def printed(folder: Path) -> Iterator[tuple[str, Any]]:
    """Each command, as its words and options that matter, and the JSON that it prints.

    Args:
        folder: An empty folder.
    """
    for name in BUNDLES:
        shutil.copytree(FOLDER / "0.1.0" / f"{name}.port", folder / f"{name}.port")
    with contextlib.chdir(folder):
        _write_inputs()
        for line in _LINES.strip().splitlines():
            command, _, arguments = line.partition(":")
            words = [word for word in command.split() if not word.startswith("--")]
            yield command.strip(), _run([*words, *arguments.split(), "--json"])


def manifests(folder: Path) -> Iterator[Any]:
    """The manifests that the commands wrote, but for those of stages, which are copies."""
    for path in sorted(folder.glob("*.port/manifest.json")):
        if path.parent.stem not in BUNDLES:
            yield json.loads(path.read_bytes())


def _write_inputs() -> None:
    Path("recipe.py").write_text(_RECIPE, encoding="utf-8")
    shutil.copyfile("precisions.port/graphs/model.onnx", "good.onnx")
    shutil.copyfile("directory.port/graphs/model.onnx", "pictures.onnx")
    model = onnx.load("good.onnx")
    tensor = model.graph.initializer[0]
    tensor.CopyFrom(
        onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * 2, tensor.name)
    )
    onnx.save(model, "wrong.onnx")
    model.graph.node[0].op_type = "Unheard"
    onnx.save(model, "invalid.onnx")
    random = np.random.default_rng(0)
    np.savez("data.npz", image=random.normal(size=(8, 3, 16, 8)).astype(np.float32))
    np.save("x.npy", random.random((2, 6)).astype(np.float32))


def _run(arguments: list[str]) -> Any:
    out, told = io.StringIO(), io.StringIO()
    # What waits for Ctrl-C gets it at once.
    waits = arguments[:2] == ["graph", "view"]
    interrupt = mock.patch("time.sleep", side_effect=KeyboardInterrupt)
    with (
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(told),
        interrupt if waits else contextlib.nullcontext(),
    ):
        try:
            code = main(arguments)
        except SystemExit as stop:  # argparse leaves in this way
            code = stop.code
    if code not in (0, 1) or not out.getvalue():
        raise AssertionError(f"modelport {' '.join(arguments)} failed: {told.getvalue()}")
    return json.loads(out.getvalue())


_LINES = """
init                  : directory.port/graphs/model.onnx -o draft.py
deploy                : recipe.py -o new.port
deploy                : recipe.py:picture -o picture.port
deploy                : pictures.onnx -o calibrated.port --target onnxruntime:int8 --data data.npz
deploy                : good.onnx -o engine.port --target tensorrt-rtx:sm86
export                : recipe.py -o exported.onnx
diagnose              : recipe.py
tune                  : good.onnx --budget 1
bench                 : precisions.port --rounds 2
compile               : good.onnx -o good.engine --target tensorrt-rtx:sm86
quantize              : pictures.onnx -o int8.onnx --data data.npz --int8
check                 : invalid.onnx
run                   : precisions.port --input x=@x.npy --output y=@y.npy
verify                : precisions.port
bundle ls             : pipeline.port
bundle info           : directory.port
bundle info           : pipeline.port
bundle join           : a=precisions.port -o joined.port --connect a.x=x
bundle add            : new.port --target onnxruntime:fp16
bundle strip          : new.port --report
bundle keygen         : key.pem
bundle sign           : new.port --key key.pem
bundle verify         : new.port
bundle trust          : signed.port
bundle selftest       : precisions.port
bundle dockerfile     : new.port -o image
compare               : good.onnx wrong.onnx --cases 2
bisect                : good.onnx wrong.onnx --cases 2
bisect --reduce       : good.onnx wrong.onnx --cases 2 --reduce --save reduced
graph inspect         : good.onnx
graph print           : good.onnx
graph draw            : good.onnx -o good.svg
graph view            : good.onnx
graph diff            : good.onnx wrong.onnx
graph lint            : good.onnx --target tensorrt
graph extract         : good.onnx -o part.onnx --from x --to tanh
graph expose          : good.onnx -o exposed.onnx --tensor tanh
graph partition       : good.onnx -o parts --at tanh
graph edit            : good.onnx -o edited.onnx --rename x=z
graph simplify        : good.onnx -o simple.onnx
ops support           : recipe.py
ops info              : Resize
ops info              : aten::asinh
ops find              : bicubic
ops new               : fresh::scaled
ops build             : scaled
ops build --extension : scaled --extension
ops test              : scaled --cases 2
ops list              :
deploy                : recipe.py:own -o own.port
doctor                :
"""
