"""Commands that install what an optional part needs, whatever index modelport is from."""

from __future__ import annotations

import re

_EXTRA = re.compile(r";.*extra\s*==\s*['\"]([\w.-]+)['\"]")


def install_command(extra: str) -> str:
    """The command that installs the packages of an extra.

    It names the packages themselves, so that it works for a clone, a wheel and an index alike.

    Args:
        extra: The name of an extra of pyproject.toml, such as ``export``.

    Returns:
        ``pip install`` and the requirements; the extra itself where modelport has no metadata, as
        when its sources are on the path alone.
    """
    # It is read only where something is missing: reading costs as much as importing NumPy.
    import importlib.metadata

    try:
        lines = importlib.metadata.requires("modelport") or []
    except importlib.metadata.PackageNotFoundError:
        lines = []
    found = [line.partition(";")[0].strip() for line in lines if extra in _EXTRA.findall(line)]
    return "pip install " + " ".join(f"'{item}'" for item in found or [f"modelport[{extra}]"])
