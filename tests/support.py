"""Small models and files that many tests use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx.parser
import torch

import modelport

Array = np.ndarray[Any, Any]
"""An array of any dtype and rank."""
Arrays = dict[str, Array]
"""Arrays by name."""

RECIPE_SOURCE = """
import torch

import modelport


def recipe():
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 3, 3, padding=1)
    )
    return modelport.Recipe(
        model=net,
        args=(torch.rand(1, 3, 18, 20) * 255,),
        input_names=["image"],
        output_names=["result"],
        dynamic={"image": {0: "batch", 2: modelport.Dim("height", 16, 64), 3: "width"}},
        capture="trace",
        name="tiny",
    )


def other():
    given = recipe()
    torch.nn.init.constant_(given.model[0].weight, 0.25)
    return given
"""
"""A recipe file: a small network of pictures, and another one by the name of ``other``."""


class Block(torch.nn.Module):
    """Convolution, batch normalization with running statistics that matter, ReLU."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.conv = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(4)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
        self.norm.running_mean = torch.randn(4, generator=generator)
        self.norm.running_var = torch.rand(4, generator=generator) + 0.05
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.conv(x)))


def block_recipe(**changes: object) -> modelport.Recipe:
    """A recipe of `Block` on pictures of 18 by 20 with open sizes, by the quick strategy."""
    given: dict[str, object] = {
        "model": Block(),
        "args": (torch.randn(1, 3, 18, 20, generator=torch.Generator().manual_seed(1)),),
        "input_names": ["x"],
        "output_names": ["y"],
        "dynamic": {"x": {0: "batch", 2: modelport.Dim("height", 4, 64), 3: "width"}},
        "capture": "trace",
    }
    return modelport.Recipe(**{**given, **changes})


def onnx_text(path: Path, body: str, opset: int = 18, ir_version: int = 10) -> Path:
    """Writes an ONNX file from the standard's textual form of a graph.

    Args:
        path: Where to write.
        body: A graph, such as ``g (float[2] x) => (float[2] y) { y = Relu(x) }``.
        opset: Opset of the default domain.
        ir_version: Version of the format.
    """
    head = f'<ir_version: {ir_version}, opset_import: ["" : {opset}, "mine" : 1]>'
    path.write_bytes(onnx.parser.parse_model(f"{head} {body}").SerializeToString())
    return path


@dataclass(frozen=True)
class Ran:
    """What a command did.

    Attributes:
        code: The exit code.
        out: What it printed on stdout.
        err: What it printed on stderr.
    """

    code: int
    out: str
    err: str


def flipped(data: bytes, index: int) -> bytes:
    """The bytes with the lowest bit of one of them turned."""
    changed = bytearray(data)
    changed[index] ^= 1
    return bytes(changed)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, by its path inside."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
