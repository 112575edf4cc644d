"""Files of ``torch.export``, read as data: nothing in them is run.

``torch.export.load`` unpickles weights, constants and example inputs, evaluates symbolic sizes as
Python, and loads compiled libraries. A file that needs none of it is read with the rest shut off.
"""

from __future__ import annotations

import io
import json
import os
import re
import threading
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.errors import UsageError

if TYPE_CHECKING:
    import torch

_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""Makes every ``torch.load`` refuse pickles of more than tensors, also where it is asked not to."""
_LOCK = threading.Lock()
_JSON_LIMIT = 1 << 28
_DATA = re.compile(
    r"archive_format|archive_version|version|byteorder|\.data/[^/]+|\.format_version"
    r"|\.storage_alignment|models/[^/]+\.json|data/weights/[^/]+"
    r"|data/constants/(tensor_\d+|[^/]+_config\.json)|data/sample_inputs/[^/]+|extra/[^/]+"
    r"|serialized_exported_program\.json|extra_files/[^/]+"
    r"|serialized_(state_dict|constants|example_inputs)\.(pt|json)"
)
"""The members of the two layouts that hold data; others hold objects and compiled code."""
_TARGET = re.compile(
    r"torch\.ops\.[\w.]+|_?operator\.\w+|math\.\w+|torch\._?sym_\w+|([A-Za-z]\w*)?"
)
_EXPRESSION = re.compile(r"[\w\s+\-*/%(),<>=&|~!.]*")
_ATOM = re.compile(
    r"Symbol\('[a-zA-Z]+\d+'(, [a-z_]+=(True|False))*\)|Float\('[\d.e+-]+'(, precision=\d+)?\)"
)
"""A size or a number as sympy writes it."""
_NAMES = re.compile(r"[A-Za-z_]\w*")
_SYMBOL = re.compile(r"[a-zA-Z]+\d+")
_FUNCTIONS = frozenset(
    (
        *("Add", "Mul", "Pow", "Mod", "PythonMod", "FloorDiv", "CleanDiv", "CeilDiv", "IntTrueDiv"),
        *("FloatTrueDiv", "ModularIndexing", "Max", "Min", "Piecewise", "Eq", "Ne", "Lt", "Le"),
        *("Gt", "Ge", "And", "Or", "Not", "True", "False", "floor", "ceiling", "Abs", "sqrt"),
        *("FloorToInt", "CeilToInt", "RoundToInt", "RoundDecimal", "TruncToInt", "TruncToFloat"),
        *("ToFloat", "Identity", "IsNonOverlappingAndDenseIndicator", "PowByNatural", "FloatPow"),
        *("Integer", "Rational", "Equality", "Unequality", "StrictLessThan", "LessThan"),
        *("StrictGreaterThan", "GreaterThan", "Infinity", "NegativeInfinity", "true", "false"),
        *("LShift", "RShift", "Where", "OpaqueUnaryFn_sqrt", "int_oo", "oo"),
    )
)
"""Functions of symbolic sizes: sympy's and PyTorch's."""


def load_program_data(path: Path) -> torch.export.ExportedProgram:
    """Reads a program of ``torch.export`` without running anything in it.

    Args:
        path: A ``.pt2`` file.

    Raises:
        UsageError: It holds pickled objects, compiled code, or expressions that are no sizes.
        OSError: It cannot be read.
        zipfile.BadZipFile: It is no archive.
        Exception: What ``torch.export.load`` raises on a damaged file.
    """
    import torch

    data = path.read_bytes()
    if reason := _why_code(data):
        raise _refusal(path, reason)
    try:
        with _weights_only():
            return torch.export.load(io.BytesIO(data))
    except Exception as error:
        if "weights_only" in str(error) or "Weights only" in str(error):
            raise _refusal(path, "it holds pickled objects that are no tensors") from error
        raise


def _refusal(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"{path} holds more than data",
        why=f"{reason}: torch.export.load would run code that the file brings along",
        fix="if you know who made it, name a recipe whose model is "
        f"torch.export.load({os.fspath(path)!r})",
    )


def _why_code(data: bytes) -> str:
    """Why a file is more than data; empty where it is data."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        plain = all(_DATA.fullmatch(name) for name in names)
        for name in names:
            inner = name if plain else name.partition("/")[2]
            if not _DATA.fullmatch(inner):
                return f"it has the member {name[:80]!a}"
            if inner.startswith("models/") or inner == "serialized_exported_program.json":
                with archive.open(name) as file:
                    try:
                        text = file.read(_JSON_LIMIT + 1)
                    except zlib.error:
                        return f"its member {name[:80]!a} is damaged"
                if len(text) > _JSON_LIMIT:
                    return f"its member {name[:80]!a} is larger than any program"
                if reason := _why_no_graph(json.loads(text)):
                    return reason
    return ""


def _why_no_graph(content: Any) -> str:
    """Why a graph, as JSON, makes torch do more than build a graph."""
    left = [content]
    while left:
        item = left.pop()
        if isinstance(item, list):
            left += item
        if not isinstance(item, dict):
            continue
        left += item.values()
        expression, target = item.get("expr_str", ""), item.get("target", "")
        if isinstance(expression, str) and not _is_size(expression):
            return f"it has the size {expression[:80]!a}"
        if isinstance(target, str) and "inputs" in item and not _TARGET.fullmatch(target):
            return f"it calls {target[:80]!a}"
    return ""


def _is_size(expression: str) -> bool:
    """Whether an expression consists of sizes, numbers and functions of sizes alone."""
    expression = _ATOM.sub("s0", expression)
    if not _EXPRESSION.fullmatch(expression) or re.search(r"\.\D|\.$|__", expression):
        return False
    return all(name in _FUNCTIONS or _SYMBOL.fullmatch(name) for name in _NAMES.findall(expression))


@contextmanager
def _weights_only() -> Iterator[None]:
    with _LOCK:
        before = os.environ.get(_FORCE)
        os.environ[_FORCE] = "1"
        try:
            yield
        finally:
            if before is None:
                del os.environ[_FORCE]
            else:
                os.environ[_FORCE] = before
