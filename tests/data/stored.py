"""The stored bundles, and what PyTorch computed when they were written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "bundles"
"""A folder per version of modelport that wrote bundles; what is in it is never changed."""

BUNDLES = sorted(FOLDER.glob("*/*.port"))
KEY = "maker.pub.pem"
"""The public key of the bundles that are signed, beside them."""

Arrays = dict[str, np.ndarray[Any, Any]]


def name_of(bundle: Path) -> str:
    """A name for people, such as ``0.1.0/zip``."""
    return f"{bundle.parent.name}/{bundle.stem}"


def write_runs(path: Path, runs: Sequence[tuple[Arrays, Arrays]]) -> None:
    """Writes inputs and outputs of runs as an ``.npz`` archive of ``RUN:input:NAME`` and so on."""
    np.savez_compressed(
        path,
        **{
            f"{number}:{kind}:{name}": array
            for number, run in enumerate(runs)
            for kind, arrays in zip(("input", "output"), run, strict=True)
            for name, array in arrays.items()
        },
    )


def read_runs(bundle: Path) -> list[tuple[Arrays, Arrays]]:
    """The inputs of runs, and what the original gave for them, stored beside a bundle."""
    runs: dict[str, tuple[Arrays, Arrays]] = {}
    with np.load(bundle.with_suffix(".npz")) as archive:
        for key in archive.files:
            number, kind, name = key.split(":", 2)
            array = archive[key]
            texts = array.dtype.kind == "U"
            where = runs.setdefault(number, ({}, {}))[kind == "output"]
            where[name] = array.astype(object) if texts else array
    return list(runs.values())


MARGINS = {"fp32": 1e-4, "fp16": 1e-2, "bf16": 6e-2, "int8": 8e-2}
"""How far an engine may be from PyTorch in float32, as a share of an output's largest value."""


def require_near(given: Mapping[str, Any], wanted: Arrays, precision: str) -> None:
    """Fails where outputs are not what PyTorch computed."""
    assert list(given) == list(wanted)
    for name, array in wanted.items():
        assert given[name].dtype == array.dtype, name
        assert given[name].shape == array.shape, name
        if array.dtype.kind != "f":
            assert given[name].tolist() == array.tolist(), name
            continue
        margin = MARGINS[precision] * max(1e-3, float(np.abs(array).max(initial=0)))
        np.testing.assert_allclose(given[name], array, rtol=0, atol=margin, err_msg=name)
