"""Runs a command and prints how many minutes it took, and of how much CPU.

Usage: python tests/cpu_time.py COMMAND [ARGUMENT ...]
"""

import os
import subprocess
import sys
import time


def main(command: list[str]) -> int:
    """Runs the command; its exit code is the result's."""
    begin = time.monotonic()
    code = subprocess.run(command, check=False).returncode
    times = os.times()
    cpu = times.children_user + times.children_system
    print(f"{cpu / 60:.1f} minutes of CPU, {(time.monotonic() - begin) / 60:.1f} of wall time")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
