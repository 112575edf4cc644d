"""Commands that messages advise are commands that the real parser takes."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import modelport
from modelport.cli.dispatch import build_parser

ROOT = Path(modelport.__file__).parent
COMMAND = re.compile(r"`modelport ([^`]+)`")


def text_of(node: ast.AST) -> str:
    """The text of a string; the values of an f-string are words that stand for any number."""
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(item.value) if isinstance(item, ast.Constant) else "1" for item in node.values
        )
    return str(node.value) if isinstance(node, ast.Constant) else ""


def texts(tree: ast.AST) -> Iterator[str]:
    """All whole strings of a piece of code."""
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in inside:
            yield text_of(node)


def commands(*, fixes: bool) -> list[str]:
    """The commands in the strings of the source: those of ``fix=``, or all."""
    found: dict[str, None] = {}
    for path in sorted(ROOT.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        places: list[ast.AST] = [tree]
        if fixes:
            places = [
                item.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Call)
                for item in node.keywords
                if item.arg in ("fix", "remedy")
            ]
        for place in places:
            for text in texts(place):
                found.update(dict.fromkeys(COMMAND.findall(text)))
    return list(found)


@pytest.mark.parametrize("command", commands(fixes=True))
def test_advised_command_parses(command: str) -> None:
    words = [word for word in shlex.split(command) if word != "..."]
    if words in (["--debug"], [*words[:-1], "--help"]):
        return
    build_parser().parse_args(words)


@pytest.mark.parametrize("command", commands(fixes=False))
def test_command_that_is_spoken_of_exists(command: str) -> None:
    parser: argparse.ArgumentParser = build_parser()
    words = [word for word in shlex.split(command) if word != "..." and not word.startswith("-")]
    for word in words:
        inner = [item for item in parser._actions if isinstance(item, argparse._SubParsersAction)]
        if not inner:
            break
        assert word in inner[0].choices or re.fullmatch(r"[A-Z1]+", word), command
        if word not in inner[0].choices:
            break
        parser = inner[0].choices[word]
    options = [word.partition("=")[0] for word in shlex.split(command) if word.startswith("--")]
    known = {option for action in parser._actions for option in action.option_strings}
    assert set(options) <= known | {"--debug"}, command


def test_there_are_many() -> None:
    assert len(commands(fixes=True)) > 20
