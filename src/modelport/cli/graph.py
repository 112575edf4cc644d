"""``modelport graph``: inspect, cut and edit graphs."""

from __future__ import annotations

import argparse

from modelport.cli import console, graph_change, graph_look, simplify

_PARTS = (graph_look, graph_change, simplify)


def add(commands: console.Subparsers[argparse.ArgumentParser]) -> None:
    """Adds the command group."""
    group = commands.add_parser("graph", help="look at a graph, cut it, change it")
    inner = group.add_subparsers(dest="graph_command", required=True, metavar="COMMAND")
    for part in _PARTS:
        part.add(inner)
