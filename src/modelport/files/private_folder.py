"""Folders of this user that nobody else can write to."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path


def user_folder(variable: str, default: str) -> Path:
    """A folder of the XDG Base Directory Specification.

    Args:
        variable: The environment variable; a path in it that is not absolute is ignored, as the
            specification demands: it would depend on the working directory.
        default: The folder below the user's home where the variable is not used.

    Raises:
        OSError: The user has no home.
    """
    named = os.environ.get(variable, "")
    if os.path.isabs(named):
        return Path(named)
    home = os.environ.get("HOME", "")
    if not os.path.isabs(home):
        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            home = ""
    if not os.path.isabs(home):
        raise FileNotFoundError(
            f"the user has no home folder, and {variable} names no absolute one"
        )
    return Path(home) / default


def why_not_private(folder: Path) -> str:
    """Why other users could put files into a folder; empty where they cannot.

    Every folder and every link on the way, from the root on, must belong to root or to this user.
    None may be writable by others, unless it is sticky. A group may write where it is the user's
    own: its number is that of the user.

    Args:
        folder: An absolute path.
    """
    seen: set[Path] = set()
    for path in (folder, Path(os.path.realpath(folder))):
        for part in (*reversed(path.parents), path):
            if part not in seen and (why := _why_open(part)):
                return why
            seen.add(part)
    return ""


def _why_open(path: Path) -> str:
    try:
        status = path.lstat()
    except OSError as error:
        return f"{path}: {error.strerror}"
    user = os.getuid()
    if status.st_uid not in (0, user):
        return f"{path} belongs to another user"
    if stat.S_ISLNK(status.st_mode) or status.st_mode & stat.S_ISVTX:
        return ""
    own_group = status.st_gid == os.getgid() == user
    others = stat.S_IWOTH | (0 if own_group else stat.S_IWGRP)
    return f"other users can write to {path}" if status.st_mode & others else ""
