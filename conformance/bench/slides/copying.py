"""What many do today: the whole file over HTTPS, then OpenSlide at the other end.

    python -m conformance.bench.slides.copying receive PORT FOLDER KEY CERTIFICATE CA
    python -m conformance.bench.slides.copying send PORT FILE KEY CERTIFICATE CA OUT

Mutual TLS.  The sender writes to OUT, as JSON, the seconds until the whole file was
there (``total``) and until an overview could be looked at (``view``).
"""

from __future__ import annotations

import http.client
import io
import json
import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PIECE = 1 << 17  # bytes read and sent at a time


def _context(purpose: ssl.Purpose, key: str, certificate: str, ca: str) -> ssl.SSLContext:
    made = ssl.create_default_context(purpose, cafile=ca)
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_cert_chain(certificate, key)
    return made


class _Handler(BaseHTTPRequestHandler):
    """Takes one file by PUT, shows its smallest level by GET."""

    protocol_version = "HTTP/1.1"
    path_of_file = Path()

    def do_PUT(self) -> None:
        """Write the body to the file."""
        left = int(self.headers["Content-Length"])
        with self.path_of_file.open("wb") as file:
            while left and (piece := self.rfile.read(min(PIECE, left))):
                file.write(piece)
                left -= len(piece)
        self._answer(b"")

    def do_GET(self) -> None:
        """Read the smallest level with OpenSlide."""
        import openslide

        with openslide.OpenSlide(self.path_of_file) as slide:
            last = slide.level_count - 1
            region = slide.read_region((0, 0), last, slide.level_dimensions[last])
        picture = io.BytesIO()
        region.convert("RGB").save(picture, "JPEG")
        self._answer(picture.getvalue())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def receive(port: str, folder: str, *shown: str) -> None:
    """Serve until the signal that ends a process."""
    import openslide  # noqa: F401 - a running service has it in memory

    _Handler.path_of_file = Path(folder) / "copy.svs"
    with ThreadingHTTPServer(("127.0.0.1", int(port)), _Handler) as server:
        context = _context(ssl.Purpose.CLIENT_AUTH, *shown)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.serve_forever()


def send(port: str, path: str, key: str, certificate: str, ca: str, out: str) -> None:
    """Send the file, then ask for its overview."""
    began = time.monotonic()
    context = _context(ssl.Purpose.SERVER_AUTH, key, certificate, ca)
    link = http.client.HTTPSConnection(
        "localhost", int(port), context=context, blocksize=PIECE, timeout=600
    )
    with Path(path).open("rb") as file:
        _ask(link, "PUT", file)
    total = time.monotonic() - began
    if not _ask(link, "GET").startswith(b"\xff\xd8"):
        raise SystemExit("no overview")
    Path(out).write_text(json.dumps({"total": total, "view": time.monotonic() - began}))


def _ask(
    link: http.client.HTTPSConnection, method: str, body: io.BufferedReader | None = None
) -> bytes:
    size = {"Content-Length": str(Path(body.name).stat().st_size)} if body else {}
    link.request(method, "/slide", body, size)
    answer = link.getresponse()
    said = answer.read()
    if answer.status != 200:
        raise SystemExit(f"{method}: {answer.status}")
    return said


if __name__ == "__main__":
    if sys.argv[1] == "receive":
        receive(*sys.argv[2:])
    else:
        send(*sys.argv[2:])
