"""The command line. A command parses, calls one public function and prints."""

from modelport.cli.dispatch import main

__all__ = ["main"]
