"""Tile servers that others would run, over https with keep-alive.

    python servers.py deepzoom  PORT KEY CERTIFICATE SLIDE [aligned]
    python servers.py large_image PORT KEY CERTIFICATE SLIDE
    python servers.py ceiling   PORT KEY CERTIFICATE BYTES
    python servers.py front     PORT KEY CERTIFICATE TO

``deepzoom`` does what ``examples/deepzoom/deepzoom_server.py`` of openslide-python does,
which is in no wheel: Flask, a DeepZoomGenerator with tiles of 254 and an overlap of 1, the
slide's colour profile applied, JPEG of quality 75.  The example runs on Werkzeug's server,
which closes the connection after every answer; here it is gunicorn, one process with a
thread for each of the load's connections, over https with keep-alive.  ``aligned`` takes
tiles of 256 without overlap and without the profile: every tile asked for is one of the
file.  ``large_image`` serves the tiles of large_image the same way.  ``ceiling`` answers
the same bytes to everything, from memory: no server can give more to this load.
``front`` takes the TLS off and carries the bytes to another port of this machine, as a
site puts a proxy before a server that has no https of its own.

Run by the Python of an environment in which only these products are: nothing of todoke
is imported.
"""

from __future__ import annotations

import asyncio
import io
import ssl
import sys
from collections.abc import Coroutine
from typing import Any

TILE, OVERLAP, QUALITY = 254, 1, 75  # deepzoom_server.py's own
PIECE = 1 << 16  # bytes carried at a time
THREADS = 8
MODULE = "todoke-bench"


def _flask(port: int, key: str, certificate: str, tile: Any) -> None:
    import flask
    from gunicorn.app.base import BaseApplication

    app = flask.Flask(MODULE)

    def one(level: int, column: int, row: int) -> Any:
        return flask.Response(tile(level, column, row), mimetype="image/jpeg")

    app.add_url_rule("/tiles/<int:level>/<int:column>_<int:row>.jpeg", "tile", one)
    options = {
        "bind": f"127.0.0.1:{port}",
        "keyfile": key,
        "certfile": certificate,
        "worker_class": "gthread",
        "threads": THREADS,
        "keepalive": 75,
        "loglevel": "error",
    }

    class Served(BaseApplication):  # type: ignore[misc]  # it ships no types
        def load_config(self) -> None:
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return app

    Served().run()


def deepzoom(port: int, key: str, certificate: str, path: str, *how: str) -> None:
    """Serve with OpenSlide's DeepZoomGenerator; level 0 is the largest."""
    import openslide
    from openslide.deepzoom import DeepZoomGenerator
    from PIL import ImageCms

    slide = openslide.OpenSlide(path)
    size, overlap = (256, 0) if "aligned" in how else (TILE, OVERLAP)
    pyramid = DeepZoomGenerator(slide, size, overlap, limit_bounds=True)
    profile = getattr(slide, "color_profile", None)
    apply: Any = None
    shown = None
    if profile is not None and "aligned" not in how:
        intent = ImageCms.Intent(ImageCms.getDefaultIntent(profile))
        srgb = ImageCms.createProfile("sRGB")
        shown = ImageCms.ImageCmsProfile(srgb).tobytes()
        apply = ImageCms.buildTransform(profile, srgb, "RGB", "RGB", intent)

    def tile(level: int, column: int, row: int) -> bytes:
        picture = pyramid.get_tile(pyramid.level_count - 1 - level, (column, row))
        if apply is not None:
            ImageCms.applyTransform(picture, apply, True)
        out = io.BytesIO()
        picture.save(out, "jpeg", quality=QUALITY, icc_profile=shown)
        return out.getvalue()

    _flask(port, key, certificate, tile)


def large_image(port: int, key: str, certificate: str, path: str) -> None:
    """Serve what large_image gives for the slide; level 0 is the largest."""
    import large_image as library

    source = library.open(path)

    def tile(level: int, column: int, row: int) -> bytes:
        return bytes(source.getTile(column, row, source.levels - 1 - level, encoding="JPEG"))

    _flask(port, key, certificate, tile)


def ceiling(port: int, key: str, certificate: str, size: str) -> None:
    """Answer the same bytes to everything."""
    body = b"\xff\xd8" + bytes(int(size) - 2)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = head.encode() + body

    class Answering(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            self.asked = b""

        def data_received(self, data: bytes) -> None:
            *whole, self.asked = (self.asked + data).split(b"\r\n\r\n")
            for _ in whole:
                self.transport.write(answer)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        context = _context(key, certificate)
        server = await loop.create_server(Answering, "127.0.0.1", port, ssl=context)
        await server.serve_forever()

    _run(serve())


def front(port: int, key: str, certificate: str, to: str) -> None:
    """Carry what comes by TLS to a port that has none, and back."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection("127.0.0.1", int(to))
        ways = carry(reader, behind[1]), carry(behind[0], writer)
        await asyncio.gather(*ways, return_exceptions=True)

    async def serve() -> None:
        context = _context(key, certificate)
        server = await asyncio.start_server(join, "127.0.0.1", port, ssl=context)
        await server.serve_forever()

    _run(serve())


def _context(key: str, certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


def _run(serving: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:  # Windows
        asyncio.run(serving)
    else:
        uvloop.run(serving)


if __name__ == "__main__":
    kind, number, *rest = sys.argv[1:]
    serve = {
        "deepzoom": deepzoom,
        "large_image": large_image,
        "ceiling": ceiling,
        "front": front,
    }
    serve[kind](int(number), *rest)
