"""Slides: stained tissue in Aperio form, with thumbnail, label, macro and ICC profile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageDraw, ImageFont

from common.dicom.testmark import TEST_DESCRIPTION
from samples.aperio import AperioFile, Coding, Colour, Picture, cut
from samples.lettering import word_ink
from samples.names import Patient
from samples.pixelcode import draw_code
from samples.study import Study
from samples.tissue import GLASS, Tissue

SIZE = (12_288, 9_216)
QUICK_SIZE = (3_000, 2_200)
MPP = 0.499  # um per pixel at 20x
SHRINK = 4
TILE: dict[Colour, int] = {"rgb": 240, "ycbcr": 256}
QUALITY: dict[Colour, int] = {"rgb": 50, "ycbcr": 75}


def write_slide(
    folder: Path,
    patient: Patient,
    *,
    seed: int = 1,
    colour: Colour = "rgb",
    size: tuple[int, int] = SIZE,
    quality: int | None = None,
    step: Callable[[int], None] = lambda row: None,
) -> tuple[Path, Study]:
    """Write one slide below ``folder``.

    Parameters
    ----------
    colour
        'rgb': JPEG/RGB in tiles of 240; 'ycbcr': JPEG/YCbCr 4:2:0 in tiles of 256.
    size
        Width and height of level 0 in pixels.
    quality
        Of the JPEG streams, 1 to 100; None for the colour's own.
    step
        Called with the number of rows of tiles done at level 0.

    Returns
    -------
    tuple of Path and Study
        The file, and the study it stands for: the file itself names no patient.
    """
    study = Study(f"slide-{colour}", patient, seed, size[0])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{study.folder}-{colour}.svs"
    pyramid = _Pyramid(study, size, TILE[colour], step)
    coding = Coding(colour, QUALITY[colour] if quality is None else quality)
    described = _descriptions(study, pyramid, coding)
    label = _label(study)
    with AperioFile(path, coding, icc=_srgb(), large=size[0] * size[1] > 2**31) as file:
        for number, level in enumerate(pyramid.sizes):
            tiles = cut(pyramid.strips(number), *pyramid.tiles(number), pyramid.tile)
            file.level(level, pyramid.tile, tiles, described[number])
            if number == 0:
                thumbnail = pyramid.thumbnail()
                small = f"{size[0]}x{size[1]} -> {thumbnail.shape[1]}x{thumbnail.shape[0]} - "
                file.picture(thumbnail, small + _properties(study))
        file.label(label, f"label {label.shape[1]}x{label.shape[0]}")
        macro = _macro(label, thumbnail)
        file.picture(macro, f"macro {macro.shape[1]}x{macro.shape[0]}", subfiletype=9)
    return path, study


class _Pyramid:
    """Levels by 4x: level 0 is drawn strip by strip, the others are kept and shrunk from it."""

    def __init__(
        self, study: Study, size: tuple[int, int], tile: int, step: Callable[[int], None]
    ) -> None:
        self.tile, self._step = tile, step
        self.sizes = [size]
        while len(self.sizes) < 2 or max(self.sizes[-1]) > 2048:
            width, height = self.sizes[-1]
            self.sizes.append((width // SHRINK, height // SHRINK))
        rows, columns = self.tiles(0)
        self._tissue = Tissue(study.generator(), columns * tile, rows * tile, tile)
        self._kept = [self._ground(number) for number in range(1, len(self.sizes))]

    def tiles(self, number: int) -> tuple[int, int]:
        """Return rows and columns of tiles of a level."""
        width, height = self.sizes[number]
        return -(-height // self.tile), -(-width // self.tile)

    def strips(self, number: int) -> Callable[[int], Picture]:
        """Return what gives the strips of a level; level 0 must be read through first."""
        if number == 0:
            return self._draw
        kept, tile = self._kept[number - 1], self.tile
        return lambda row: kept[row * tile : (row + 1) * tile]

    def thumbnail(self) -> Picture:
        """Return the whole slide, 1024 pixels wide, and shrink what the levels above need."""
        for number in range(1, len(self._kept)):
            width, height = self.sizes[number]
            source = Image.fromarray(self._kept[number - 1][: height - height % 4, :width])
            self._keep(number, 0, source)
        width, height = self.sizes[1]
        whole = Image.fromarray(self._kept[0][:height, :width])
        size = (1024, round(1024 * height / width))
        return np.asarray(whole.resize(size, Image.Resampling.BOX))

    def _draw(self, row: int) -> Picture:
        packed = self._tissue.strip(row * self.tile)
        picture = Image.frombuffer(
            "RGBX", packed.shape[::-1], packed.tobytes(), "raw", "RGBX", 0, 1
        ).convert("RGB")
        self._keep(0, row * self.tile // SHRINK, picture)
        self._step(row + 1)
        return np.asarray(picture)

    def _keep(self, number: int, top: int, picture: Image.Image) -> None:
        small = np.asarray(picture.reduce(SHRINK))
        kept = self._kept[number]
        part = kept[top : top + small.shape[0], : small.shape[1]]
        part[:] = small[: part.shape[0], : part.shape[1]]

    def _ground(self, number: int) -> Picture:
        rows, columns = self.tiles(number)
        shape = (rows * self.tile, columns * self.tile, 3)
        return np.broadcast_to(np.array(GLASS, np.uint8), shape).copy()


def _descriptions(study: Study, pyramid: _Pyramid, coding: Coding) -> list[str]:
    """Return the image description of each level, in Aperio's words."""
    (width, height), tile = pyramid.sizes[0], pyramid.tile
    scan = f"{width}x{height} [0,0 {width}x{height}] ({tile}x{tile})"
    reduced = [f"{scan} -> {w}x{h} {coding.words}" for w, h in pyramid.sizes[1:]]
    return [text + _properties(study) for text in (f"{scan} {coding.words}", *reduced)]


def _properties(study: Study) -> str:
    day = study.date
    return (
        f"|AppMag = 20|StripeWidth = 2040|ScanScope ID = TODOKETEST"
        f"|Filename = {study.folder}|Date = {day[4:6]}/{day[6:]}/{day[2:4]}|Time = 09:15:00"
        f"|User = synthetic|MPP = {MPP:.4f}|ICC Profile = sRGB{TEST_DESCRIPTION}"
    )


def _srgb() -> bytes:
    """Return an sRGB profile whose creation date does not change from run to run."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    moment = (2026, 4, 1, 0, 0, 0)
    profile[24:36] = b"".join(part.to_bytes(2, "big") for part in moment)  # ICC.1 7.2.8
    return bytes(profile)


def _label(study: Study) -> Picture:
    """Return the paper label: code, 試験, TEST and the case's number; no name."""
    pixels = np.full((463, 384, 3), 248, np.uint8)
    code = np.full((463, 384), 248, np.uint8)
    draw_code(code, study.patient.code, study.seed & 0xFFFF, low=20, high=248)
    pixels[:] = code[..., None]
    ink = word_ink(4)
    pixels[90 : 90 + ink.shape[0], 80 : 80 + ink.shape[1]][ink] = (20, 20, 20)
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    for top, size, text in (
        (215, 64, "TEST"),
        (300, 34, study.accession_number),
        (350, 30, "HE  x20"),
        (400, 22, "SYNTHETIC - TODOKE"),
    ):
        draw.text((40, top), text, fill=(20, 20, 20), font=ImageFont.load_default(size))
    return np.asarray(picture)


def _macro(label: Picture, thumbnail: Picture) -> Picture:
    """Return a photograph of the whole glass: label on the left, tissue under its cover slip."""
    picture = Image.new("RGB", (1280, 431), (196, 198, 200))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((8, 14, 1271, 416), fill=(232, 233, 236), outline=(150, 152, 156), width=2)
    picture.paste(Image.fromarray(label).resize((318, 383)), (24, 24))
    draw.rectangle((400, 26, 1230, 404), fill=(238, 238, 240), outline=(205, 207, 210), width=2)
    height = 320
    width = min(780, round(thumbnail.shape[1] / thumbnail.shape[0] * height))
    tissue = Image.fromarray(thumbnail).resize((width, height), Image.Resampling.BILINEAR)
    left = 815 - width // 2
    picture.paste(tissue, (left, 55))
    draw.rectangle((left, 55, left + width, 55 + height), outline=(40, 160, 60), width=1)
    return np.asarray(picture)
