"""Texts of a source file that a person reads: docstrings, comments, messages, and names."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCSTRING = "docstring"
COMMENT = "comment"
MESSAGE = "message"
NAME = "name"
ANY = "Any"

C_SUFFIXES = {".c", ".cpp", ".cu", ".h", ".hpp"}
_C_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_CODE = re.compile(r"``.*?``|`[^`\n]*`", re.DOTALL)
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Text:
    """A text and its position.

    Attributes:
        kind: `DOCSTRING`, `COMMENT`, `MESSAGE`, `NAME` or `ANY`.
        line: Line of the file.
        words: The text; code between backticks is left out.
    """

    kind: str
    line: int
    words: str


def read(path: Path) -> list[Text]:
    """Texts of a file of Python, C or make."""
    source = path.read_text()
    if path.suffix == ".py":
        found = [*_python(ast.parse(source)), *_python_comments(source)]
    elif path.suffix in C_SUFFIXES:
        found = list(_c_comments(source))
    else:
        found = list(_hash_comments(source))
    return sorted(
        (Text(text.kind, text.line, _CODE.sub("`...`", text.words)) for text in found),
        key=lambda text: text.line,
    )


def _python(tree: ast.Module) -> Iterator[Text]:
    docstrings = dict(_docstrings(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            kind = DOCSTRING if id(node) in docstrings else MESSAGE
            # A key, a name or an option is one word.
            if kind == DOCSTRING or " " in node.value.strip():
                yield Text(kind, node.lineno, node.value)
        yield from _names(node)


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, ast.Constant]]:
    """Docstrings of modules, classes and functions, and those below an assignment."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        for index, statement in enumerate(body):
            if (
                isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)
                and isinstance(statement.value.value, str)
                and (
                    (index == 0 and isinstance(node, _DOCUMENTED))
                    or (index > 0 and isinstance(body[index - 1], ast.Assign | ast.AnnAssign))
                )
            ):
                yield id(statement.value), statement.value


def _names(node: ast.AST) -> Iterator[Text]:
    if isinstance(node, _DOCUMENTED) and not isinstance(node, ast.Module):
        yield Text(NAME, node.lineno, node.name)
    elif isinstance(node, ast.arg):
        yield Text(NAME, node.lineno, node.arg)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield Text(NAME, node.lineno, node.id)
    elif isinstance(node, ast.Name) and node.id == "Any":
        yield Text(ANY, node.lineno, node.id)


def _python_comments(source: str) -> Iterator[Text]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text(COMMENT, token.start[0], token.string.lstrip("# "))


def _c_comments(source: str) -> Iterator[Text]:
    for match in _C_COMMENT.finditer(source):
        text = match.group()
        kind = MESSAGE if text.startswith('"') else COMMENT
        if kind == COMMENT or " " in text:
            yield Text(kind, source.count("\n", 0, match.start()) + 1, text.strip('"/* '))


def _hash_comments(source: str) -> Iterator[Text]:
    for number, line in enumerate(source.splitlines(), 1):
        if line.startswith("#"):
            yield Text(COMMENT, number, line.lstrip("# "))
