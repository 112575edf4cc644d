"""The declarations of the public C and C++ headers, a line each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEADERS = (
    "src/modelport/native/bundle/include/modelport/modelport.h",
    "src/modelport/native/bundle/include/modelport/modelport.hpp",
    "src/modelport/native/include/modelport/kernel.h",
    "src/modelport/native/include/modelport/types.h",
)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_DIRECTIVE = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_MACRO = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+(?:\([^)]*\))?)", re.MULTILINE)
_SCOPE = re.compile(
    r"(?:typedef )?(?:inline )?(?:template <.*> )?(namespace|class|struct|union|enum(?: class)?)\b"
    r" ?([\w:]*)"
)
_ACCESS = re.compile(r"\s*(public|private|protected)\s*:(?!:)\s*")
_INITIALIZERS = re.compile(r"\)((?: (?:const|noexcept|override))*) ?: .*$")


@dataclass
class _Scope:
    """Where declarations are found: a namespace, a class, or an enumeration."""

    name: str = ""
    kind: str = "namespace"
    hidden: bool = False


def render() -> str:
    """The declarations of each header, after its name."""
    lines = []
    for header in HEADERS:
        source = (ROOT / header).read_text(encoding="utf-8")
        name = header.partition("/include/")[2]
        lines += [f"<{name}> {line}" for line in dict.fromkeys(declarations(source))]
    return "\n".join(lines) + "\n"


def declarations(source: str) -> Iterator[str]:
    """The declarations of a header, each after the scope that it is in.

    Braces are followed: those of namespaces, classes and enumerations are entered; others are
    bodies, which are left out, or initial values. So are comments, ``detail`` and what is private.
    """
    source = _COMMENT.sub(lambda found: found[0] if found[0][0] == '"' else " ", source)
    source = source.replace("\\\n", " ")
    yield from (f"#define {name}" for name in _MACRO.findall(source) if not _is_guard(name))
    source = _DIRECTIVE.sub("", source)
    scopes, depth, statement = [_Scope()], 0, ""
    for index, character in enumerate(source):
        here = scopes[-1]
        if depth:
            depth += {"{": 1, "}": -1}.get(character, 0)
            if not depth:
                statement += "{}"
            if not depth and _ends_function(statement, source[index + 1 :]):
                yield from _stated(statement.removesuffix("{}"), scopes)
                statement = ""
        elif character == "{":
            opened = _opened(statement, here)
            if opened is None:
                depth = 1
                continue
            if opened.kind != "namespace":
                yield from _stated(statement, scopes)
            scopes.append(opened)
            statement = ""
        elif character == "}":
            yield from _stated(statement, scopes)
            # What follows an enumeration or a class is its name again, up to the semicolon.
            statement = "" if here.kind == "namespace" else "}"
            scopes.pop()
        elif character == ";" or (character == "," and here.kind.startswith("enum")):
            yield from _stated(statement, scopes)
            statement = ""
        else:
            statement += character
            if access := _ACCESS.match(statement) if character == " " else None:
                here.hidden = access[1] != "public"
                statement = statement[access.end() :]


def _opened(statement: str, outside: _Scope) -> _Scope | None:
    """The scope that a brace after a statement opens; None where it is a body or a value."""
    text = _spaced(statement)
    if text == 'extern "C"':
        return _Scope(hidden=outside.hidden)
    found = _SCOPE.match(text)
    if not found:
        return None
    kind, name = found.groups()
    is_private = name == "detail" or not name or kind == "class"
    return _Scope(name, kind, is_private)


def _stated(statement: str, scopes: list[_Scope]) -> Iterator[str]:
    text = _INITIALIZERS.sub(r")\1", _spaced(statement))
    ignored = ("}", "using namespace", "static_assert")
    if text and not text.startswith(ignored) and not any(scope.hidden for scope in scopes):
        place = "::".join(scope.name for scope in scopes if scope.name)
        yield f"{place}: {text}" if place else text


def _ends_function(statement: str, rest: str) -> bool:
    """Whether the braces at the end of a statement are a body, and no value of something."""
    before = statement.removesuffix("{}").rstrip()
    is_open = before.count("(") > before.count(")")
    is_value = before.endswith("=") and not before.endswith(("==", "!=", "<=", ">=", "operator="))
    goes_on = rest.lstrip()[:1] in ("{", ",")
    return "(" in before and not (is_open or is_value or goes_on)


def _is_guard(macro: str) -> bool:
    return macro.endswith(("_H", "_HPP"))


def _spaced(text: str) -> str:
    return " ".join(text.split())
