"""``echo``: its attributes, of every kind, as numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import modelport


@modelport.operator("trial::echo", kernels=["kernel.cpp"])
def echo(
    x: Tensor,
    *,
    whole: int,
    wholes: list[int],
    real: float = 0.5,
    flag: bool = True,
    text: str = 'say "no\\yes"',
    reals: list[float] = (0.25, -1.5),  # type: ignore[assignment]
    texts: list[str] = ("a", "", "bcd"),  # type: ignore[assignment]
) -> Tensor:
    """Numbers as they are; texts as their length and their UTF-8 bytes."""
    numbers = [float(whole), *map(float, wholes), real, float(flag)]
    for item in (text, *texts):
        numbers += [float(len(item.encode())), *map(float, item.encode())]
    return torch.tensor([*numbers, *reals], dtype=torch.float64)


@echo.shapes
def _(x: modelport.TensorInfo, **given: Any) -> modelport.TensorInfo:
    texts = [given["text"], *given["texts"]]
    count = 3 + len(given["wholes"]) + len(given["reals"])
    return modelport.TensorInfo([count + sum(1 + len(item.encode()) for item in texts)], "float64")


@echo.cases
def _(draw: Any) -> Any:
    attributes = {
        "whole": draw.integer(-5, 5),
        "wholes": [draw.integer(-(2**40), 2**40) for _ in range(draw.integer(1, 3))],
        "real": draw.real(-1, 1),
        "flag": draw.flag(),
        "text": draw.choice(["", "plain", 'a "quote"', "zwölf\n"]),
        "reals": [draw.real(-1, 1) for _ in range(draw.integer(1, 3))],
        "texts": [draw.choice(["", "x", "yé"]) for _ in range(draw.integer(1, 3))],
    }
    return (draw.tensor([2]),), attributes
