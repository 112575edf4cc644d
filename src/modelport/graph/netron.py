"""`view`: a graph in Netron, which shows a file in the browser."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType

from modelport.errors import UsageError

_POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'"
"""Netron's page reports to two services when it opens; the browser refuses any but this server."""


def view(path: str | os.PathLike[str], *, browse: bool = True) -> str:
    """Serves a model to the browser by Netron, whose page reports home no more than this one.

    Args:
        path: The file.
        browse: Open the browser.

    Returns:
        The address; it is served until the process ends.

    Raises:
        UsageError: The file does not exist, or Netron is missing or of an unknown build.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"no such file: {path}")
    try:
        netron = importlib.import_module("netron")
        server = importlib.import_module("netron.server")
    except ModuleNotFoundError as error:
        raise UsageError("Netron is not installed", fix="pip install 'modelport[view]'") from error
    _keep_quiet(server)
    host, port = netron.start(str(path), browse=browse)
    return f"http://{host}:{port}"


def _keep_quiet(server: ModuleType) -> None:
    handler = getattr(server, "_HTTPRequestHandler", None)
    if handler is None or not hasattr(handler, "end_headers"):
        raise UsageError(
            "this release of Netron cannot be kept from reporting home",
            fix="pip install 'netron<10', or open the file in Netron yourself",
        )
    if "end_headers" in vars(handler):
        return
    inherited = handler.end_headers

    def end_headers(self) -> None:  # type: ignore[no-untyped-def]
        self.send_header("Content-Security-Policy", _POLICY)
        inherited(self)

    handler.end_headers = end_headers
