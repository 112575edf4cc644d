"""Cases in files: .npz archives, and scripts that make them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelport.arrays import Array
from modelport.errors import UsageError
from modelport.files.arrays import UNREADABLE, require_small_archive
from modelport.numerics.cases import Case

Generator = Callable[[np.random.Generator], Iterable[Mapping[str, Array]]]

INPUT = "input:"
OUTPUT = "output:"
CANDIDATE = "candidate:"
GENERATED_LIMIT = 100
"""Cases taken from a script, which may give them without end."""


def write_case(
    path: Path,
    inputs: Mapping[str, Array],
    outputs: Mapping[str, Array],
    candidate: Mapping[str, Array] | None = None,
) -> Path:
    """Writes a case as an ``.npz`` archive of ``input:NAME``, ``output:NAME``, ``candidate:NAME``.

    Args:
        path: The archive.
        inputs: Arrays by input name.
        outputs: What the reference makes of them.
        candidate: What the candidate makes of them, to be looked at; it is not read back.

    Returns:
        The path.

    Raises:
        UsageError: The file cannot be written.
    """
    parts = ((INPUT, inputs), (OUTPUT, outputs), (CANDIDATE, candidate or {}))
    arrays = {
        f"{prefix}{name}": _storable(array)
        for prefix, named in parts
        for name, array in named.items()
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise UsageError(f"cannot write {path}", why=str(error)) from error
    return path


def read_case(path: Path) -> tuple[Case, dict[str, Array]]:
    """Reads a case.

    Args:
        path: An ``.npz`` archive as `write_case` makes it, or one of arrays by input name.

    Returns:
        The case, and the outputs that were recorded with it; empty where there are none.

    Raises:
        UsageError: The file is missing or unreadable.
    """
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    try:
        require_small_archive(path)
        with np.load(path, allow_pickle=False) as archive:
            if isinstance(archive, np.ndarray):
                raise ValueError("it is one array, without a name")
            arrays = {name: archive[name] for name in archive.files}
    except (*UNREADABLE, TypeError) as error:
        raise UsageError(
            f"cannot read the case {path}",
            why=str(error),
            fix="give an .npz archive of arrays by input name, without pickled objects",
        ) from error
    inputs = {
        name.removeprefix(INPUT): array
        for name, array in arrays.items()
        if not name.startswith((OUTPUT, CANDIDATE))
    }
    outputs = {
        name.removeprefix(OUTPUT): array
        for name, array in arrays.items()
        if name.startswith(OUTPUT)
    }
    return Case(path.stem, inputs, f"read from {path}"), outputs


def read_cases(folder: Path) -> list[tuple[Case, dict[str, Array]]]:
    """Reads every ``.npz`` archive of a folder, by name; see `read_case`.

    Raises:
        UsageError: There is none, or one is unreadable.
    """
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise UsageError(f"{folder} has no case", fix="put .npz archives there, one a case")
    return [read_case(path) for path in paths]


def generated_cases(generator: Generator, source: str, seed: int) -> list[Case]:
    """Cases that a user's function makes.

    Args:
        generator: From a random generator to dicts of arrays by input name.
        source: Where the function comes from, for people.
        seed: Seed of the random generator.

    Returns:
        At most `GENERATED_LIMIT` of its cases.

    Raises:
        UsageError: The function fails, or gives something else.
    """
    try:
        made = list(itertools.islice(generator(np.random.default_rng(seed)), GENERATED_LIMIT))
    except Exception as error:  # the user's code may raise anything
        raise UsageError(
            f"the generator of cases {source} failed: {type(error).__name__}: {error}"
        ) from error
    wrong = [item for item in made if not _is_case(item)]
    if wrong or not made:
        raise UsageError(
            f"the generator of cases {source} gave "
            + (f"a {type(wrong[0]).__name__}" if wrong else "nothing"),
            fix="yield dicts of NumPy arrays by input name",
        )
    return [
        Case(f"generated-{index}", dict(item), f"made by {source}, seed {seed}")
        for index, item in enumerate(made)
    ]


def _is_case(item: Any) -> bool:
    return isinstance(item, Mapping) and all(
        isinstance(name, str) and isinstance(array, np.ndarray) for name, array in item.items()
    )


def _storable(array: Array) -> Array:
    """Strings as objects would be pickled."""
    return array.astype(np.str_) if array.dtype.kind == "O" else array
