"""The process that reads a slide through OpenSlide: C code on files that anybody may have made.

Run as ``python -m sender.slides.renderer``; requests and answers as
:mod:`common.workers` says.  It holds one slide open at a time.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import openslide
from PIL import Image

from common import workers

LARGEST = 1 << 26  # pixels read at once
MOST_LEVELS = 64

_BACKGROUND = "openslide.background-color"


class _Open:
    """The slide that is open, and its one level that is held whole, if any."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.slide = openslide.OpenSlide(path)
        words = self.slide.properties.get(_BACKGROUND, "ffffff")
        self.background = tuple(bytes.fromhex(words)[:3]) if len(words) == 6 else (255, 255, 255)
        self.held: tuple[int, npt.NDArray[np.uint8]] | None = None

    def opaque(self, picture: Image.Image) -> npt.NDArray[np.uint8]:
        """Return a picture on the slide's background, rows x columns x 3."""
        if picture.mode != "RGBA":
            return np.asarray(picture.convert("RGB"))
        ground = Image.new("RGB", picture.size, self.background)
        ground.paste(picture, mask=picture.getchannel("A"))
        return np.asarray(ground)

    def region(
        self, level: int, left: int, top: int, columns: int, rows: int
    ) -> npt.NDArray[np.uint8]:
        """Return a rectangle of a level, in pixels of that level."""
        factor = self.slide.level_downsamples[level]
        if factor == round(factor):  # places of the largest level are whole numbers
            at = left * round(factor), top * round(factor)
            return self.opaque(self.slide.read_region(at, level, (columns, rows)))
        if self.held is None or self.held[0] != level:
            self.held = None
            whole = self.slide.read_region((0, 0), level, self.slide.level_dimensions[level])
            self.held = level, self.opaque(whole)
        out = np.full((rows, columns, 3), self.background, np.uint8)
        part = self.held[1][top : top + rows, left : left + columns]
        out[: part.shape[0], : part.shape[1]] = part
        return out


_open: _Open | None = None


def _opened(path: str) -> _Open:
    global _open
    if _open is None or _open.path != path:
        _open = None
        _open = _Open(path)
    return _open


def answer(request: dict[str, Any]) -> bytes:
    """Answer one request: ``facts``, ``tiles`` of a level, or a ``picture`` beside it."""
    held = _opened(request["path"])
    slide = held.slide
    if request["do"] == "facts":
        profile = slide.color_profile
        if slide.level_count > MOST_LEVELS:
            raise ValueError("levels")
        facts = {
            "vendor": slide.properties["openslide.vendor"],
            "levels": [
                [*size, factor]
                for size, factor in zip(
                    slide.level_dimensions, slide.level_downsamples, strict=True
                )
            ],
            "pictures": {
                name: [
                    int(slide.properties[f"openslide.associated.{name}.{side}"])
                    for side in ("width", "height")
                ]
                for name in slide.associated_images
            },
            "properties": {k: v[:4096] for k, v in slide.properties.items() if len(k) <= 256},
            "icc": profile.tobytes().hex() if profile is not None else "",
        }
        return json.dumps(facts).encode()
    if request["do"] == "picture":
        return held.opaque(slide.associated_images[request["name"]]).tobytes()
    level, edge = request["level"], request["edge"]
    across = -(-slide.level_dimensions[level][0] // edge)
    first, count = request["first"], request["count"]
    tiles = []
    for number in range(first, first + count):
        row, column = divmod(number, across)
        tiles.append(held.region(level, column * edge, row * edge, edge, edge).tobytes())
    return b"".join(tiles)


if __name__ == "__main__":
    workers.serve(answer)
