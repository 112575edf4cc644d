"""The detector as a service: a picture's bytes are posted to it, boxes come back as JSON.

python serve.py detector.port --port 8000
curl --data-binary @picture.png http://127.0.0.1:8000/
"""

from __future__ import annotations

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import modelport
from modelport.errors import ModelportError

MOST_BYTES = 2**24


def make_server(bundle: str, port: int, target: str | None = None) -> ThreadingHTTPServer:
    """A server on loopback; one engine serves all of its threads."""
    detector = modelport.load(bundle, target)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """Answers one picture."""
            length = int(self.headers.get("Content-Length", 0))
            if not 0 < length <= MOST_BYTES:
                self._answer(413, {"error": f"send a picture of at most {MOST_BYTES} bytes"})
                return
            try:
                self._answer(200, detector(self.rfile.read(length)).to_json())
            except ModelportError as error:
                self._answer(400, {"error": str(error)})

        def _answer(self, status: int, content: object) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--target")
    arguments = parser.parse_args()
    make_server(arguments.bundle, arguments.port, arguments.target).serve_forever()
