"""Tile servers that others would run, over https with keep-alive.

    python servers.py deepzoom  PORT KEY CERTIFICATE SLIDE [aligned]
    python servers.py large_image PORT KEY CERTIFICATE SLIDE
    python servers.py ceiling   PORT KEY CERTIFICATE BYTES

``deepzoom`` does what ``examples/deepzoom/deepzoom_server.py`` of openslide-python does,
which is in no wheel: Flask on Werkzeug's threaded server, a DeepZoomGenerator with tiles
of 254 and an overlap of 1, the slide's colour profile applied, JPEG of quality 75; https
and HTTP/1.1 are added.  ``aligned`` takes tiles of 256 without overlap and without the
profile: every tile asked for is one of the file.  ``large_image`` serves the tiles of
large_image the same way.  ``ceiling`` answers the same bytes to everything, from memory:
more than it no server can reach with this load.

Run by the Python of an environment in which only these products are: nothing of todoke
is imported.
"""

from __future__ import annotations

import asyncio
import io
import ssl
import sys
from typing import Any

TILE, OVERLAP, QUALITY = 254, 1, 75  # deepzoom_server.py's own
MODULE = "todoke-bench"


def _flask(port: int, key: str, certificate: str, tile: Any) -> None:
    import logging

    import flask
    from werkzeug.serving import WSGIRequestHandler

    logging.getLogger("werkzeug").disabled = True
    WSGIRequestHandler.protocol_version = "HTTP/1.1"  # else every tile pays for a handshake
    app = flask.Flask(MODULE)

    def one(level: int, column: int, row: int) -> Any:
        return flask.Response(tile(level, column, row), mimetype="image/jpeg")

    app.add_url_rule("/tiles/<int:level>/<int:column>_<int:row>.jpeg", "tile", one)
    app.run("127.0.0.1", port, threaded=True, ssl_context=(certificate, key))


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
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Answering, "127.0.0.1", port, ssl=context)
        await server.serve_forever()

    try:
        import uvloop
    except ImportError:  # Windows
        asyncio.run(serve())
    else:
        uvloop.run(serve())


if __name__ == "__main__":
    kind, number, *rest = sys.argv[1:]
    {"deepzoom": deepzoom, "large_image": large_image, "ceiling": ceiling}[kind](int(number), *rest)
