"""``modelport completion``."""

from __future__ import annotations

import argparse

from modelport.cli import console


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser("completion", help="a script that completes words in a shell")
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="the shell")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from modelport.cli.dispatch import build_parser
    from modelport.errors import UsageError
    from modelport.extras import install_command

    try:
        import shtab
    except ModuleNotFoundError as error:
        raise UsageError(
            "completion scripts need the package shtab", fix=install_command("completion")
        ) from error
    print(shtab.complete(build_parser(), shell=arguments.shell))
    return 0
