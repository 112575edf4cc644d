"""Facts of the machine that built a bundle, and of the one that runs it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from modelport.backends import get_backend
from modelport.errors import UsageError
from modelport.ops.elf_check import platform_name


def this_machine() -> dict[str, str]:
    """Facts of this machine: platform, processor, and versions that every engine needs."""
    return {
        "platform": platform_name(),
        "processor": _processor(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def differences(machine: Mapping[str, str], versions: Mapping[str, str]) -> list[str]:
    """Differences between this machine and the one that built a bundle, for people.

    Args:
        machine: The machine that it was built on.
        versions: Versions of what it was built with, by name.
    """
    here = this_machine()
    found = [
        f"{name}: {machine[name]} there, {value} here"
        for name, value in here.items()
        if machine.get(name, value) != value
    ]
    for name, version in versions.items():
        installed = _version(name)
        if installed is not None and installed != version:
            found.append(f"{name}: {version} there, {installed} here")
    return found


def _version(backend: str) -> str | None:
    """The version of a backend; None if there is none, or the backend is not installed."""
    try:
        return get_backend(backend).version()
    except (UsageError, ImportError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
