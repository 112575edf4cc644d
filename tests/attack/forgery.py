"""Bundles that an attacker writes: their checksums fit, and what they say does harm."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bundle.mutations import sealed

MARK = "attack-succeeded"
"""The file that an attack writes where its code ran."""
_SOURCE = """
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void run(void) {
  int file = open("%s", O_CREAT | O_WRONLY, 0600);
  if (file >= 0) close(file);
}
"""


def evil_library(path: Path, mark: Path) -> Path:
    """A library that writes a file when it is loaded."""
    source = path.with_suffix(".c")
    source.write_text(_SOURCE % mark)
    command = ["cc", "-shared", "-fPIC", "-o", os.fspath(path), os.fspath(source)]
    subprocess.run(command, check=True, capture_output=True)
    source.unlink()
    return path


def content_of(bundle: Path) -> dict[str, Any]:
    """The manifest of a bundle."""
    content: dict[str, Any] = json.loads((bundle / "manifest.json").read_bytes())
    return content


def forge(bundle: Path, to: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a bundle with another manifest, whose checksums fit its files.

    Args:
        bundle: The sound bundle.
        to: The copy; where it is there, its manifest is changed.
        change: Changes the manifest's content.
    """
    if not to.exists():
        shutil.copytree(bundle, to)
    content = content_of(to)
    content["files"] = {
        path.relative_to(to).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in sorted(to.rglob("*"))
        if path.is_file() and path.name not in ("manifest.json", "manifest.sig")
    }
    change(content)
    (to / "manifest.json").write_bytes(sealed(content))
    return to


def raw(bundle: Path, to: Path, change: Callable[[bytes], bytes]) -> Path:
    """A copy whose manifest is any bytes, with a checksum that fits."""
    shutil.copytree(bundle, to)
    data = (to / "manifest.json").read_bytes()
    body = change(data[: data.rindex(b',\n  "sha256"')])
    digest = hashlib.sha256(body).hexdigest()
    (to / "manifest.json").write_bytes(body + b',\n  "sha256": "%s"\n}\n' % digest.encode())
    return to
