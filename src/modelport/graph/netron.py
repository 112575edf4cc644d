"""`view`: a graph in Netron, which shows a file in the browser."""

from __future__ import annotations

import importlib
import os
import urllib.parse
import webbrowser
from pathlib import Path
from types import ModuleType

from modelport.errors import UsageError
from modelport.extras import install_command
from modelport.files.external_data import require_external_data

_POLICY = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'"
"""Netron's page reports to two services when it opens; the browser refuses any but this server."""
_SERVED: dict[int, tuple[frozenset[str], frozenset[str]]] = {}
"""The hosts that a server answers to, and the files that it gives, by its port."""


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
        raise UsageError("Netron is not installed", fix=install_command("view")) from error
    _keep_quiet(server)
    host, port = netron.start(str(path), browse=False)
    served = {path.name, *(require_external_data(path) if path.suffix == ".onnx" else ())}
    _SERVED[port] = (frozenset({f"{host}:{port}", f"127.0.0.1:{port}"}), frozenset(served))
    if browse:
        webbrowser.open(f"http://{host}:{port}")
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
    answer = handler.do_GET

    def do_GET(self) -> None:  # type: ignore[no-untyped-def]  # noqa: N802
        hosts, names = _SERVED.get(self.server.server_address[1], (frozenset(), frozenset()))
        place = urllib.parse.unquote(urllib.parse.urlparse(self.path).path)
        # Another host's name for this address is how a foreign page reads what is served here.
        if self.headers.get("Host") not in hosts:
            self._write(403, None, None)
        elif place.startswith("/data/") and place.removeprefix("/data/") not in names:
            self._write(404, None, None)
        else:
            answer(self)

    handler.do_GET = do_GET
