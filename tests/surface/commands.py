"""Every command, argument and option of the command line, a line each."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from modelport.cli.dispatch import build_parser


def render() -> str:
    """The lines: ``COMMAND | ARGUMENT | what it takes``."""
    return "\n".join(_lines(build_parser(), "modelport")) + "\n"


def json_commands() -> set[str]:
    """The commands that have ``--json``."""
    lines = (line.split(" | ") for line in _lines(build_parser(), "modelport"))
    return {line[0].removeprefix("modelport ") for line in lines if line[1:2] == ["--json"]}


def _lines(parser: argparse.ArgumentParser, path: str) -> Iterator[str]:
    yield path
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield from _lines(inner, f"{path} {name}")
        elif not isinstance(action, argparse._HelpAction):
            yield from _argument(action, path)


def _argument(action: argparse.Action, path: str) -> Iterator[str]:
    spelling = ", ".join(action.option_strings) or f"<{action.metavar or action.dest}>"
    parts = [path, spelling]
    if not action.option_strings:
        parts.append(
            {None: "one", "?": "one or none"}.get(action.nargs, f"several ({action.nargs})")
        )
    elif action.nargs == 0:
        parts.append("a flag")
    else:
        parts.append({None: "a value"}.get(action.nargs, f"values ({action.nargs})"))
    if action.option_strings and action.required:
        parts.append("required")
    if isinstance(action, argparse._AppendAction):
        parts.append("repeatable")
    if action.default not in (None, argparse.SUPPRESS, [], False):
        parts.append(f"default {action.default}")
    yield " | ".join(parts)
    for choice in action.choices or ():
        yield f"{path} | {spelling} | may be {choice}"


def demands(line: str) -> bool:
    """Whether a line names what a call that was right before does not give."""
    parts = line.split(" | ")
    return "required" in parts or (len(parts) > 2 and parts[2] in ("one", "several (+)"))
