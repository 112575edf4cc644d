"""Where PyTorch declares an operator: read from the files of the installed torch, not imported."""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from modelport.errors import UsageError
from modelport.extras import install_command


@dataclass(frozen=True)
class Declaration:
    """A place where PyTorch declares something.

    Attributes:
        python_name: What a user calls: ``torch.asinh``, ``torch.nn.functional.gelu``.
        place: ``file:line``, from the folder that torch is installed in.
        text: The declaration, on one line.
    """

    python_name: str
    place: str
    text: str


@dataclass(frozen=True)
class NativeFunction:
    """An operator's entry in torch's native_functions.yaml.

    Attributes:
        signature: The native signature.
        place: ``file:line`` of the entry.
        kernels: The C++ functions that implement it, by dispatch keys (``CPU, CUDA``).
        delegate: The overload that it leaves the work to, if any.
    """

    signature: str
    place: str
    kernels: tuple[tuple[str, str], ...]
    delegate: str | None


_STUBS = (
    ("torch/_C/_VariableFunctions.pyi", "torch", ""),
    ("torch/nn/functional.pyi", "torch.nn.functional", ""),
    ("torch/_C/_nn.pyi", "torch._C._nn", ""),
    ("torch/_C/__init__.pyi", "torch.Tensor", "    "),
)
"""Stub files, the Python name of what they declare, and the indent of a declaration."""

_NAMESPACES = ("linalg", "special", "fft")
"""Modules whose functions are bound as ``name = _add_docstr(_module.module_name, ...)``."""

_YAML = "torchgen/packaged/ATen/native/native_functions.yaml"


def declarations(name: str) -> tuple[Declaration, ...]:
    """Finds the Python declarations of an ATen operator or Python function.

    Args:
        name: Its name without namespace and overload: ``asinh``, ``linalg_svd``.

    Returns:
        The declarations, what users call first; empty where torch declares none.
    """
    found = []
    for file, owner, indent in _STUBS:
        text = read(file)
        for match in re.finditer(rf"^{indent}def {re.escape(name)}\(", text, re.MULTILINE):
            found.append(
                Declaration(f"{owner}.{name}", place(file, text, match), _header(text, match))
            )
    for namespace in _NAMESPACES:
        found += _bound(namespace, name)
    return tuple(found)


def native_functions(name: str) -> tuple[NativeFunction, ...]:
    """Finds an ATen operator's overloads in torch's list of native functions.

    Args:
        name: Its name without namespace and overload.

    Returns:
        The entries; empty where the operator is not one of ATen's, or the list is not installed.
    """
    text = read(_YAML)
    entries = re.finditer(
        rf"^- func: ({re.escape(name)}(?:\.\w+)?\(.*)$((?:\n(?!- func:).*)*)", text, re.MULTILINE
    )
    return tuple(
        NativeFunction(
            signature=entry.group(1),
            place=place(_YAML, text, entry),
            kernels=_dispatch(entry.group(2)),
            delegate=_delegate(entry.group(2)),
        )
        for entry in entries
    )


def functional_sources() -> dict[str, tuple[str, str]]:
    """Python functions of ``torch.nn.functional``: ``file:line`` and source, by name."""
    return {name: (where, text) for name, where, text in _functional()}


def called_operators(source: str) -> tuple[str, ...]:
    """Names of the builtin functions of torch that a Python function's source calls, sorted."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            if owner in ("torch._C._nn", "torch", "_VF", "torch._VF"):
                names.add(node.func.attr)
    return tuple(sorted(names))


@functools.cache
def site() -> Path:
    """The folder that torch is installed in."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise UsageError(
            "PyTorch is not installed",
            fix=f"{install_command('export')}, to look its operators up",
        )
    return Path(spec.origin).parent.parent


@functools.cache
def read(file: str) -> str:
    """A file of the installed torch; empty where this installation leaves it out."""
    path = site() / file
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def relative(file: str) -> str:
    """A path as it is named in places: from the folder that torch is installed in."""
    path = Path(file)
    return str(path.relative_to(site())) if path.is_relative_to(site()) else file


def place(file: str, text: str, match: re.Match[str]) -> str:
    """``file:line`` of a match."""
    return f"{file}:{text.count(chr(10), 0, match.start()) + 1}"


def _bound(namespace: str, name: str) -> list[Declaration]:
    prefix = f"{namespace}_"
    if not name.startswith(prefix):
        return []
    file, short = f"torch/{namespace}/__init__.py", name.removeprefix(prefix)
    text = read(file)
    binding = rf"^{re.escape(short)} = _add_docstr\(\s*(?:r\"\"\"\s*)?"
    found = []
    for match in re.finditer(binding, text, re.MULTILINE):
        usage = re.compile(
            rf"^(?:torch\.)?(?:{namespace}\.)?{re.escape(short)}\(.*\).*$", re.MULTILINE
        ).search(text, match.end())
        header = usage.group(0) if usage else f"{short} = {name}"
        found.append(Declaration(f"torch.{namespace}.{short}", place(file, text, match), header))
    return found


def _header(text: str, match: re.Match[str]) -> str:
    """A declaration up to its colon, on one line."""
    end = re.compile(r"\)(?: -> [^\n]*?)?:", re.MULTILINE).search(text, match.end() - 1)
    header = text[match.start() : end.end() - 1 if end else match.end()]
    return re.sub(r"\(\s+", "(", re.sub(r",?\s+\)", ")", " ".join(header.split())))


def _dispatch(block: str) -> tuple[tuple[str, str], ...]:
    section = re.search(r"^  dispatch:\n((?:    .*\n?)*)", block, re.MULTILINE)
    if section is None:
        return ()
    lines = [line.split("#")[0].strip() for line in section.group(1).splitlines()]
    pairs = [line.partition(": ") for line in lines if ": " in line]
    return tuple((keys.strip(), kernel.strip()) for keys, _, kernel in pairs)


def _delegate(block: str) -> str | None:
    match = re.search(r"^  structured_delegate: (\S+)", block, re.MULTILINE)
    return match.group(1) if match else None


@functools.cache
def _functional() -> tuple[tuple[str, str, str], ...]:
    file = "torch/nn/functional.py"
    text = read(file)
    lines = text.splitlines()
    return tuple(
        (node.name, f"{file}:{node.lineno}", "\n".join(lines[node.lineno - 1 : node.end_lineno]))
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef)
    )
