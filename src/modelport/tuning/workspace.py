"""A folder with what contestants need: the graph, its libraries and program, and cases."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelport.ops.libraries import FOLDER
from modelport.proof import Case, ReferenceCase, read_case, read_cases, write_case
from modelport.signature import Signature
from modelport.tensorfile import as_declared

Array = np.ndarray[Any, Any]

_CASES = "cases"


@dataclass(frozen=True)
class Workspace:
    """A folder that processes share.

    Attributes:
        folder: The folder; the graph lies in it where `compile_model` looks for it.
    """

    folder: Path

    @property
    def inputs(self) -> Path:
        """The case to time on."""
        return self.folder / "inputs.npz"

    def libraries(self) -> list[str]:
        """Libraries of operators, relative to the folder."""
        return [f"{FOLDER}/{path.name}" for path in sorted((self.folder / FOLDER).glob("*"))]

    def write_cases(self, references: Sequence[ReferenceCase], inputs: Mapping[str, Array]) -> None:
        """Keeps cases with the original's outputs, and what to time on.

        Args:
            references: The cases, the one to look at first in front.
            inputs: Arrays by input name.
        """
        for index, item in enumerate(references):
            name = f"{index:03d}-{item.case.name}.npz"
            write_case(self.folder / _CASES / name, item.case.inputs, item.outputs)
        write_case(self.inputs, inputs, {})

    def references(self, signature: Signature) -> list[ReferenceCase]:
        """The cases, with what the original made of them."""
        return [
            ReferenceCase(
                Case(case.name, as_declared(case.inputs, signature.inputs), case.origin),
                as_declared(outputs, signature.outputs),
            )
            for case, outputs in read_cases(self.folder / _CASES)
        ]

    def copy(self, folder: Path) -> Workspace:
        """The same in another folder, where a contestant may write; the files are shared."""
        shutil.copytree(self.folder, folder, copy_function=os.link)
        return Workspace(folder)


def read_inputs(path: Path, signature: Signature) -> dict[str, Array]:
    """The inputs of a case in a file, in the dtypes that a model takes."""
    return as_declared(read_case(path)[0].inputs, signature.inputs)
