"""``modelport graph``: the group of commands that look at graphs and change them."""

from __future__ import annotations

import argparse

from modelport.cli import console, simplify


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the group."""
    group = commands.add_parser("graph", help="look at a graph, and change it")
    members = group.add_subparsers(dest="graph_command", required=True, metavar="COMMAND")
    simplify.add(members)
