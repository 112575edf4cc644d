"""Examples in the help are commands that parse; completion works in a real shell."""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelport.cli.dispatch import build_parser
from modelport.cli.examples import EXAMPLES
from tests.support import Ran

RunCli = Callable[..., Ran]
LINES = [line for lines in EXAMPLES.values() for line in lines]


def commands(parser: argparse.ArgumentParser, name: str = "") -> Iterator[str]:
    inner = [item for item in parser._actions if isinstance(item, argparse._SubParsersAction)]
    for action in inner:
        for word, each in action.choices.items():
            yield from commands(each, f"{name} {word}".strip())
    if not inner:
        yield name


def test_every_command_has_an_example() -> None:
    assert set(commands(build_parser())) == set(EXAMPLES)


@pytest.mark.parametrize("line", LINES)
def test_example_parses(line: str) -> None:
    words = shlex.split(line.partition(" > ")[0])
    assert words[0] == "modelport"
    build_parser().parse_args(words[1:])


@pytest.mark.parametrize("name", EXAMPLES)
def test_help_shows_the_examples_as_they_are(cli: RunCli, name: str) -> None:
    ran = cli(*name.split(), "--help")
    assert ran.code == 0
    for line in EXAMPLES[name]:
        assert f"\n  {line}\n" in ran.out


def test_targets_are_listed_by_commas_and_by_repetition() -> None:
    for words in (["--target", "a,b"], ["--target", "a", "--target", "b"]):
        for command in ("deploy -o y", "tune", "bench", "compare", "bisect", "bundle add"):
            arguments = build_parser().parse_args([*command.split(), "x", *words])
            assert arguments.target == ["a", "b"]


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes_commands_and_options(cli: RunCli, tmp_path: Path) -> None:
    ran = cli("completion", "bash")
    assert ran.code == 0
    (tmp_path / "completion").write_text(ran.out)
    for line, wanted in (("modelport dep", "deploy"), ("modelport deploy --targ", "--target")):
        words = line.split()
        script = (
            f"source {tmp_path}/completion; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; "
            f"_shtab_modelport modelport {words[-1]} {words[-2]}; echo ${{COMPREPLY[@]}}"
        )
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        assert wanted in done.stdout.split(), done.stderr


def test_completion_without_the_package_says_what_to_install(
    cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "shtab", None)
    ran = cli("completion", "zsh")
    assert ran.code == 2
    assert "pip install 'shtab" in ran.err
