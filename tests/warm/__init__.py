"""Processes that begin with PyTorch and modelport imported.

A command costs seconds of imports, which most tests of commands are not about. `server` imports
once for each worker of pytest and forks for each command; `client.py` is the program that asks it
for one, under the names ``modelport`` and ``python``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SOCKET_VARIABLE = "MODELPORT_TESTS_SOCKET"


class Warm:
    """A running server.

    Attributes:
        environment: Variables of a process that finds ``modelport`` and ``python`` of the server.
    """

    def __init__(self, folder: Path) -> None:
        """Starts the server.

        Args:
            folder: An empty folder for the socket and the programs.
        """
        client = Path(__file__).with_name("client.py").read_text(encoding="utf-8")
        for name in ("modelport", "python"):
            program = folder / name
            program.write_text(f"#!{sys.executable} -SEs\n{client}", encoding="utf-8")
            program.chmod(0o755)
        place = folder / "socket"
        command = [sys.executable, "-m", "tests.warm.server", str(place)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        bins = [str(folder), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
        self.environment = {"PATH": os.pathsep.join(bins), SOCKET_VARIABLE: str(place)}

    def close(self) -> None:
        """Ends the server; its commands have ended before."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


_ROOT = Path(__file__).parents[2]
