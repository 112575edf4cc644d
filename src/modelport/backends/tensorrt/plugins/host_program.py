"""Client of the host program that calls plugins as TensorRT does; the program is built here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modelport.backends.tensorrt.plugins import TensorRTHeaders
from modelport.backends.tensorrt.plugins.fields import DATA_TYPES, Field
from modelport.child_process import Limits, run
from modelport.errors import OperatorError
from modelport.ops.build import BuildOptions, toolchain
from modelport.ops.build.cache import kept, key_of
from modelport.ops.build.parts import compile_parts, headers, source_part

_SOURCES = toolchain.NATIVE / "conformance"
_SECONDS = 3600.0
"""Time for all cases of a library."""


@dataclass(frozen=True)
class PluginCase:
    """A test case of one plugin in the host program.

    Attributes:
        number: Its number.
        domain: The plugin's namespace.
        name: The plugin's name.
        fields: What it is created with.
        inputs: Dtype and shape of its inputs.
        outputs: Dtype and shape of the operator's outputs.
        changed: Shapes of the inputs to change to; empty for none.
        folder: Where the values of the inputs are, and those of the outputs get.
    """

    number: int
    domain: str
    name: str
    fields: Sequence[Field]
    inputs: Sequence[tuple[str, Sequence[int]]]
    outputs: Sequence[tuple[str, Sequence[int]]]
    changed: Sequence[Sequence[int]]
    folder: Path

    def lines(self) -> list[str]:
        """The case in the format of the host program."""
        return [
            f"case {self.number} {self.domain} {self.name}",
            *(
                f"field {item.name} {item.type} {item.length} {item.data.hex()}"
                for item in self.fields
            ),
            *(f"input {DATA_TYPES[dtype]} {_dims(shape)}" for dtype, shape in self.inputs),
            *(f"output {DATA_TYPES[dtype]} {_dims(shape)}" for dtype, shape in self.outputs),
            *(f"changed {_dims(shape)}" for shape in self.changed),
            f"folder {self.folder}",
        ]


@dataclass
class Played:
    """Result of the host program for a case.

    Attributes:
        outputs: TensorRT's number of the type, and the shape, of every output of the plugin.
        sizes: The outputs and axes that values decide.
        types: For every tensor the types that it may have.
        workspace: How many bytes of scratch memory the plugin asks for.
        fields: The fields that an engine keeps, by name: type, length and bytes.
        identity: The key of its attributes in caches.
        enqueue: Result of `enqueue` without a GPU, and its message; None with a GPU.
        wrong: What is wrong; None where nothing is.
        ended: Whether the host reached the end of the case.
    """

    outputs: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    types: list[tuple[int, ...]] = field(default_factory=list)
    workspace: int = 0
    fields: dict[str, tuple[int, int, bytes]] = field(default_factory=dict)
    identity: str = ""
    enqueue: tuple[int, str] | None = None
    wrong: str | None = None
    ended: bool = False


@dataclass
class Told:
    """All output of the host program.

    Attributes:
        creators: The creators of the library: namespace, name, version, then its fields.
        no_gpu: Why nothing was run; empty where there is a GPU.
        cases: What it says about every case, by number.
    """

    creators: list[list[str]] = field(default_factory=list)
    no_gpu: str = ""
    cases: dict[int, Played] = field(default_factory=dict)


def build_host(
    found: TensorRTHeaders,
    options: BuildOptions,
    done: Callable[[str], None] = lambda what: None,
) -> Path:
    """Builds the host with the headers that the plugins are built with.

    Raises:
        OperatorError: A compiler is missing.
    """
    included = headers(found.folder)

    def command(source: Path, made: Path) -> list[str]:
        return toolchain.cuda_host_command(source, made, [found.folder], options.flags)

    parts = [source_part(path, command, included) for path in sorted(_SOURCES.glob("*.cpp"))]
    flags = [f"-Xcompiler={flag}" for flag in options.flags]
    link = [toolchain.require_nvcc("the host of plugins"), "-ccbin", toolchain.cxx(), *flags]

    def make(path: Path) -> None:
        toolchain.run([*link, *compile_parts(parts, done), "-ldl", "-o", str(path)], "the host")

    return kept(f"hosts/{key_of([*(part.key for part in parts), *link])}/plugin_host", make)


def play(host: Path, library: Path, cases: Sequence[PluginCase], folder: Path) -> Told:
    """Runs cases of a library of plugins in the host program.

    Args:
        host: The program.
        library: The library.
        cases: The cases.
        folder: Where to write what it is to do.

    Returns:
        What it says. Where it crashed, the case that it was at is marked as wrong.

    Raises:
        OperatorError: It could not open the library at all.
    """
    job = folder / "job"
    lines = [str(library), *(line for case in cases for line in case.lines())]
    job.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = run([str(host), str(job)], Limits(_SECONDS))
    if done.code == 2 and not done.output:
        raise OperatorError(
            f"{library.name} cannot be tested", where=str(library), why=done.errors.strip()
        )
    replies = _parse(done.output)
    if done.code != 0:
        at = next((item for item in replies.cases.values() if not item.ended), Played())
        at.wrong = f"the host ends with {done.exceeded or done.code}: {done.errors.strip()[-3000:]}"
        replies.cases.setdefault(-1, at)
    return replies


def _parse(text: str) -> Told:
    replies = Told()
    played = Played()
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "creator":
            replies.creators.append(rest.split())
        elif word == "gpu":
            replies.no_gpu = "" if rest == "yes" else rest
        elif word == "case":
            played = replies.cases.setdefault(int(rest), Played())
        else:
            _parse_fact(played, word, rest)
    return replies


def _parse_fact(played: Played, word: str, rest: str) -> None:
    items = rest.split()
    if word == "output":
        played.outputs.append((int(items[0]), tuple(map(int, items[2:]))))
    elif word == "size":
        played.sizes.append((int(items[0]), int(items[1])))
    elif word == "types":
        played.types.append(tuple(map(int, items[1:])))
    elif word == "workspace":
        played.workspace = int(rest)
    elif word == "field":
        data = bytes.fromhex(items[3]) if len(items) > 3 else b""
        played.fields[items[0]] = (int(items[1]), int(items[2]), data)
    elif word == "id":
        played.identity = bytes.fromhex(rest).decode()
    elif word == "enqueue":
        code, _, said = rest.partition(" ")
        played.enqueue = int(code), said
    elif word in ("good", "wrong"):
        played.ended = True
        played.wrong = rest if word == "wrong" else None


def _dims(shape: Sequence[int]) -> str:
    return " ".join(map(str, [len(shape), *shape]))
