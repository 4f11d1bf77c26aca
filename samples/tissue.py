"""Tissue stained with haematoxylin and eosin, drawn strip by strip at the size of a slide.

What the eye follows (the outline, the glands, patches of lymphocytes) is drawn once
for the whole slide on coarse maps and never repeats; what it takes for texture
(nuclei, fibres, grain) comes from periodic sheets of unequal period.  Both stains are
added up as amounts and turned into colour by the law of Beer and Lambert, with the
vectors of Ruifrok and Johnston (Anal Quant Cytol Histol 2001;23:291-299).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from samples.fields import smooth_field

Bytes = npt.NDArray[np.uint8]

FINE, COARSE = 4, 32
"""Pixels of level 0 to one pixel of the map of glands, and of the map of outlines."""
GLAND_PITCH = 270
BORDER_RANGE = 64.0
"""Farthest distance from a gland's border that the map holds, pixels of level 0."""
HAEMATOXYLIN: Final = (0.650, 0.704, 0.286)
EOSIN: Final = (0.060, 0.465, 0.185)  # pale, as scanners show it
GLASS: Final = (243, 242, 244)
DENSITY: Final = 1.35  # optical density of the amount 255


@dataclass(frozen=True, slots=True)
class _Sheets:
    """Periodic textures, each wide enough for the whole slide."""

    round_nuclei: Bytes
    spindles: Bytes
    lymphocytes: Bytes
    fibres: Bytes
    grain: Bytes


class Tissue:
    """The tissue of one slide.

    Parameters
    ----------
    rng
        Source of chance; the same one gives the same tissue.
    width, height
        Size at level 0 in pixels; about 0.5 um to a pixel.
    strip
        Height in pixels of the strips that will be asked for.
    """

    def __init__(self, rng: np.random.Generator, width: int, height: int, strip: int) -> None:
        self._width, self._strip = width, strip
        rows, columns = -(-height // COARSE) + 12, -(-width // COARSE) + 12
        self._cover, self._lymph = _outlines(rng, rows, columns, height / COARSE, width / COARSE)
        self._border = _glands(rng, self._cover, width, height)
        self._sheets = _sheets(rng, width, strip)
        self._colours = _colours()

    def strip(self, top: int) -> npt.NDArray[np.uint32]:
        """Return the pixels of ``strip`` rows from ``top`` on, RGBX packed little-endian."""
        shape = (self._strip, self._width)
        cover = self._enlarged(self._cover, COARSE, top)
        if not cover.any():
            return np.take(self._colours, self._rows(self._sheets.grain, top))
        border = self._enlarged(self._border, FINE, top)
        layer = Image.fromarray(border)
        lymph = self._enlarged(self._lymph, COARSE, top)

        def weight(table: list[int]) -> npt.NDArray[np.uint16]:
            return np.asarray(layer.point(table)).astype(np.uint16)

        stroma = weight(_STROMA)
        blue = weight(_NUCLEI) * self._rows(self._sheets.round_nuclei, top)
        blue += stroma * self._rows(self._sheets.spindles, top)
        blue >>= 8
        if lymph.any():
            more = (stroma * lymph) >> 8
            more *= self._rows(self._sheets.lymphocytes, top)
            more >>= 8
            np.maximum(blue, more, out=blue)
        blue += weight(_BLUE_GROUND)
        pink = (stroma * self._rows(self._sheets.fibres, top)) >> 8
        pink += weight(_PINK_GROUND)
        for amount in (blue, pink):
            np.minimum(amount, 255, out=amount)
            amount *= cover
            amount >>= 8
        pink += self._rows(self._sheets.grain, top)
        np.minimum(pink, 255, out=pink)
        blue <<= 8
        blue |= pink
        return np.take(self._colours, blue).reshape(shape)

    def _rows(self, sheet: Bytes, top: int) -> Bytes:
        start = top % sheet.shape[0]
        return sheet[start : start + self._strip, : self._width]

    def _enlarged(self, coarse: Bytes, factor: int, top: int) -> Bytes:
        """Return a strip of a map at the size of level 0."""
        box = (0, top / factor, self._width / factor, (top + self._strip) / factor)
        size = (self._width, self._strip)
        picture = Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR, box=box)
        return np.asarray(picture)


def _outlines(
    rng: np.random.Generator, rows: int, columns: int, height: float, width: float
) -> tuple[Bytes, Bytes]:
    """Return how much tissue covers the glass, and where lymphocytes gather, 0 to 255."""
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    shape = (rows, columns)
    rough = smooth_field(rng, shape, 0.0, 0.03) * 0.12 + smooth_field(rng, shape, 0.05, 0.2) * 0.02
    pieces = []
    for cx, cy, a, b in ((0.37, 0.5, 0.30, 0.36), (0.80, 0.48, 0.13, 0.32)):
        pieces.append(np.hypot((x / width - cx) / a, (y / height - cy) / b))
    outline = np.clip((1 + rough - np.minimum(*pieces)) * 28, 0, 1)
    inside_slide = (x < width - 4) & (y < height - 4) & (x > 3) & (y > 3)
    thickness = 218 + 22 * smooth_field(rng, shape, 0.0, 0.02)
    cover = np.clip(outline * thickness, 0, 255) * inside_slide
    lymph = np.clip((smooth_field(rng, shape, 0.01, 0.04) - 1.25) * 260, 0, 255)
    return cover.astype(np.uint8), lymph.astype(np.uint8)


def _glands(rng: np.random.Generator, cover: Bytes, width: int, height: int) -> Bytes:
    """Return the map of signed distances to the nearest gland's border, 128 = on it."""
    shape = (-(-height // FINE) + 80, -(-width // FINE) + 80)
    border = np.full(shape, BORDER_RANGE, np.float32)
    spread = smooth_field(rng, cover.shape, 0.0, 0.02)
    for row in range(GLAND_PITCH // 2, height, GLAND_PITCH):
        stagger = GLAND_PITCH // 2 * (1 + row // GLAND_PITCH % 2)
        for column in range(stagger, width, GLAND_PITCH):
            shift = rng.uniform(-105, 105, 2)
            radius, stretch, turn = rng.uniform(62, 128), rng.uniform(0.6, 1), rng.uniform(0, np.pi)
            waves, phase = rng.normal(0, 0.07, 3), rng.uniform(0, 6.3, 3)
            place = (int(row // COARSE), int(column // COARSE))
            if cover[place] < 150 or spread[place] < -0.9:
                continue
            _gland(
                border,
                ((row + shift[0]) / FINE, (column + shift[1]) / FINE),
                (radius / FINE, stretch, turn),
                (waves, phase),
            )
    ripple = smooth_field(rng, (512, 512), 0.01, 0.06) * 3.5
    repeats = (-(-shape[0] // 512), -(-shape[1] // 512))
    border += np.tile(ripple, repeats)[: shape[0], : shape[1]]
    scaled: Bytes = np.clip(border * (127 / BORDER_RANGE) + 128, 0, 255).astype(np.uint8)
    return scaled


def _gland(
    border: npt.NDArray[np.float32],
    centre: tuple[float, float],
    form: tuple[float, float, float],
    waves: tuple[Any, Any],
) -> None:
    """Draw one gland into the map: an ellipse whose radius swells and shrinks around it."""
    radius, stretch, turn = form
    reach = int(radius * 1.3 + BORDER_RANGE / FINE)
    top, left = max(0, int(centre[0]) - reach), max(0, int(centre[1]) - reach)
    part = border[top : top + 2 * reach, left : left + 2 * reach]
    y = (np.arange(part.shape[0], dtype=np.float32) + top - centre[0])[:, None]
    x = (np.arange(part.shape[1], dtype=np.float32) + left - centre[1])[None, :]
    u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    angle = np.arctan2(v, u)
    swell = 1 + sum(
        size * np.sin(order * angle + phase)
        for order, size, phase in zip((2, 3, 5), *waves, strict=True)
    )
    distance = (np.hypot(u, v / stretch) / (radius * swell) - 1) * radius * stretch * FINE
    np.minimum(part, distance, out=part)


def _sheets(rng: np.random.Generator, width: int, strip: int) -> _Sheets:
    def wide(sheet: npt.NDArray[np.float32]) -> Bytes:
        repeats = -(-width // sheet.shape[1])
        return np.tile(np.clip(sheet, 0, 255).astype(np.uint8), (1, repeats))

    sides = [strip * n for n in (4, 5, 3)]
    fibres, angle = _fibres(rng, sides[1])
    return _Sheets(
        wide(_cells(rng, sides[0], pitch=19, radii=(8.5, 6.5), darkness=225)),
        wide(_cells(rng, sides[1], pitch=44, radii=(12.5, 3.2), darkness=235, angle=angle)),
        wide(_cells(rng, sides[2], pitch=15, radii=(5.6, 5.2), darkness=250)),
        wide(fibres),
        wide(2.5 + 1.4 * smooth_field(rng, (sides[2], sides[2]), 0.05, 0.5)),
    )


def _fibres(
    rng: np.random.Generator, side: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return amounts of eosin in wavy bundles, and the bundles' direction in radians."""
    bend = smooth_field(rng, (side, side), 0.0, 0.0025) * 30
    level = bend + smooth_field(rng, (side, side), 0.001, 0.006) * 8
    across, along = np.gradient(level)
    wave = np.sin(level * 0.75 + smooth_field(rng, (side, side), 0.004, 0.02) * 0.8)
    threads = smooth_field(rng, (side, side), 0.02, 0.16)
    amount = 112 + 24 * wave + 20 * threads
    gaps = np.clip(smooth_field(rng, (side, side), 0.008, 0.03) - 1.1, 0, 1) * 150
    angle = np.arctan2(across, along) + np.pi / 2
    return (amount - gaps).astype(np.float32), angle.astype(np.float32)


def _cells(
    rng: np.random.Generator,
    side: int,
    *,
    pitch: int,
    radii: tuple[float, float],
    darkness: float,
    angle: npt.NDArray[np.float32] | None = None,
) -> npt.NDArray[np.float32]:
    """Return amounts of haematoxylin of nuclei scattered over a periodic sheet."""
    sheet = np.zeros((side, side), np.float32)
    chromatin = 1 + 0.14 * smooth_field(rng, (side, side), 0.08, 0.3)
    reach = int(max(radii)) + 4
    axis = np.arange(-reach, reach + 1)
    for row in range(0, side, pitch):
        for column in range(0, side, pitch):
            dy, dx = rng.uniform(0, pitch * 0.8, 2)
            turn, shade = rng.uniform(0, np.pi), rng.uniform(0.62, 1)
            a, b = np.multiply(radii, rng.uniform(0.78, 1.15, 2))
            y, x = row + int(dy), column + int(dx)
            if angle is not None:
                turn = float(angle[y % side, x % side]) + turn * 0.15
            u = axis[None, :] * np.cos(turn) + axis[:, None] * np.sin(turn)
            v = axis[:, None] * np.cos(turn) - axis[None, :] * np.sin(turn)
            share = np.hypot(u / a, v / b)
            depth = np.clip((1 - share) * b, 0, 1) * (0.74 + 0.26 * np.minimum(share, 1) ** 2)
            part = np.ix_((axis + y) % side, (axis + x) % side)
            sheet[part] = np.maximum(sheet[part], depth * shade * darkness)
    return sheet * chromatin


def _colours() -> npt.NDArray[np.uint32]:
    """Return the colour of every pair of amounts: index = haematoxylin * 256 + eosin."""
    amount = np.arange(256) / 255 * DENSITY
    table = np.zeros((256, 256, 4), np.uint8)
    for channel in range(3):
        density = amount[:, None] * HAEMATOXYLIN[channel] + amount[None, :] * EOSIN[channel]
        table[..., channel] = np.rint(GLASS[channel] * 10.0**-density)
    return table.reshape(-1, 4).view("<u4").ravel()


def _by_distance(*points: tuple[float, float]) -> list[int]:
    """Return a table over the map's 256 values from amounts at distances in pixels."""
    distance = (np.arange(256) - 128) * (BORDER_RANGE / 127)
    knots, amounts = zip(*points, strict=True)
    return [round(float(value)) for value in np.interp(distance, knots, amounts)]


# From the lumen (negative) over the epithelium to the stroma (positive).
_NUCLEI = _by_distance((-36, 0), (-29, 245), (-10, 245), (-5, 0))
_STROMA = _by_distance((0, 0), (5, 245))
_BLUE_GROUND = _by_distance((-58, 2), (-52, 40), (-40, 34), (-30, 52), (-4, 46), (2, 14), (60, 12))
_PINK_GROUND = _by_distance(
    (-58, 6), (-53, 74), (-44, 58), (-30, 72), (-2, 74), (0, 120), (4, 60), (8, 8)
)
