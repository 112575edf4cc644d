"""Drives the tests' program: commands as calls, answers as arrays and exceptions."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from tests.runtime.native_build import environment, program

DTYPES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "str": 8,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "uint32": 12,
    "uint64": 13,
    "bfloat16": 16,
}
NAMES = {number: name for name, number in DTYPES.items()}


class Refused(Exception):  # noqa: N818
    """An error that the program told.

    Attributes:
        kind: The class of the exception.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Driver:
    """The program of one variant, running. Leaving it as a context requires a clean end."""

    def __init__(self, variant: str, folder: Path, **variables: str) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [program(variant)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environment(variant), **variables},
        )

    def __enter__(self) -> Driver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _, said = self._process.communicate()
        assert error is not None or self._process.returncode == 0, said

    def ask(self, *words: object) -> str:
        """Gives a command, and takes the answer; raises `Refused` where that is an error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise AssertionError(f"the program ended: {self._process.communicate()[1]}")
        good, _, rest = answer.rstrip("\n").partition(" ")
        if good == "ok":
            return rest
        kind, _, text = rest.partition(" ")
        raise Refused(kind, text.replace("\\n", "\n"))

    def load(self, path: Path, **options: object) -> str:
        """Opens a bundle; gives the target and the runtime."""
        return self.ask("load", path, *(f"{name}={value}" for name, value in options.items()))

    def give(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Says what the next runs take."""
        self.ask("clear")
        for index, (name, array) in enumerate(inputs.items()):
            path = self._folder / f"input-{index}"
            if array.dtype.kind in "UO":
                path.write_bytes(b"".join(str(item).encode() + b"\0" for item in array.flat))
                dtype = "str"
            else:
                path.write_bytes(array.tobytes())
                dtype = array.dtype.name
            self.ask("input", name, DTYPES[dtype], "x".join(map(str, array.shape)) or "-", path)

    def run(
        self, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Runs once."""
        self.give(inputs)
        told = self.ask("run", self._folder, *outputs)
        results = {}
        for index, item in enumerate(told.split(";")):
            name, dtype, shape = item.rsplit(" ", 2)
            data = (self._folder / str(index)).read_bytes()
            sizes = [int(size) for size in shape.split("x") if size != "-"]
            results[name] = _array(data, NAMES[int(dtype)], sizes)
        return results


def _array(data: bytes, dtype: str, shape: Sequence[int]) -> np.ndarray:
    if dtype == "str":
        texts = [text.decode() for text in data.split(b"\0")[:-1]]
        return np.array(texts, object).reshape(shape)
    if dtype == "bfloat16":
        import ml_dtypes

        return np.frombuffer(data, ml_dtypes.bfloat16).reshape(shape)
    return np.frombuffer(data, dtype).reshape(shape)
