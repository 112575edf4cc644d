"""The code that this user built on this machine, by its digests."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path

from modelport.files.private_folder import why_not_private
from modelport.ops.build.cache import cache_folder, require_private, writable

_DIGEST = re.compile(r"[0-9a-f]{64}")


def remember(digests: Iterable[str]) -> None:
    """Remembers files that this user built on this machine.

    Args:
        digests: Their SHA-256.

    Raises:
        UsageError: The cache cannot be written, or other users can write to it.
    """
    folder = _folder()
    for digest in digests:
        with writable(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            require_private(folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(folder / digest, flags, 0o600))


def is_remembered(digest: str) -> bool:
    """Whether this user built a file of this SHA-256 on this machine.

    What others could have written is not believed: the entry must be a plain file of this user, in
    a folder that is private.
    """
    folder = _folder()
    if not _DIGEST.fullmatch(digest):
        return False
    try:
        status = (folder / digest).lstat()
    except OSError:
        return False
    plain = stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid()
    return plain and not why_not_private(folder)


def _folder() -> Path:
    return cache_folder() / "built"
