"""What a stored slide is, counted against its source by readers that are not ours."""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import tifffile
from pydicom import dcmread
from pydicom.encaps import generate_frames

from sender.slides import Slide, VirtualInstance, open_slide
from tests.sender.slides.conftest import stored
from tests.sender.slides.vendor_files import CASE

EDGE = 96
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


@dataclass(frozen=True)
class Measured:
    """Counts of one slide.

    Attributes
    ----------
    pieces, same
        Tiles or restart intervals in the levels, and those whose coded bytes stand in the source.
    blanks
        Frames that the scanner left out.
    regions, equal
        Regions compared with another reader of the source, and those equal in every pixel.
    """

    vendor: str
    encodings: str
    levels: int
    pictures: int
    pieces: int
    same: int
    blanks: int
    regions: int
    equal: int


def store(source: Path, folder: Path) -> tuple[Slide, list[Path]]:
    """Open a slide and write what a receiver would have of it."""
    slide = open_slide(source, replace(CASE, spacing_um=0.5))  # used where the file holds none
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.dcm" for number in range(len(slide.instances))]
    for instance, path in zip(slide.instances, paths, strict=True):
        path.write_bytes(stored(instance))
    return slide, paths


def measure(source: Path, folder: Path, regions: int, *, seed: int = 7) -> Measured:
    """Count tiles and regions of a slide; `regions` are compared on every level."""
    slide, paths = store(source, folder)
    with slide:
        return counted(source, slide, paths, regions, seed=seed)


def counted(
    source: Path, slide: Slide, paths: list[Path], regions: int, *, seed: int = 7
) -> Measured:
    """Count what is stored already."""
    levels = [
        (one, path)
        for one, path in zip(slide.instances, paths, strict=True)
        if one.flavor == "VOLUME"
    ]
    counts = [_pieces(source, one, path) for one, path in levels]
    compared = _compare(source, levels, regions, random.Random(seed))
    return Measured(
        vendor=slide.vendor,
        encodings=", ".join(sorted({one.encoding for one, _ in levels})),
        levels=len(levels),
        pictures=len(slide.instances) - len(levels),
        pieces=sum(pieces for pieces, _ in counts),
        same=sum(same for _, same in counts),
        blanks=sum(len(one.unscanned) for one, _ in levels),
        regions=len(compared),
        equal=sum(compared),
    )


def frames_of(path: Path) -> list[bytes]:
    read = dcmread(path)
    return list(generate_frames(read.PixelData, number_of_frames=int(read.NumberOfFrames)))


def _sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _pieces(source: Path, one: VirtualInstance, path: Path) -> tuple[int, int]:
    """Return the number of coded pieces of a level, and of those that stand in the source."""
    frames = [
        frame[len(one.prefix) : int(length)]
        for frame, length in zip(frames_of(path), np.asarray(one.lengths), strict=True)
    ]
    if one.encoding == "reencoded":
        return len(frames), 0
    if source.suffix == ".ndpi":
        return _intervals(source, one, frames)
    known: set[bytes] = set()
    with tifffile.TiffFile(source) as tiff:
        for page in _pages(tiff):
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
                tiff.filehandle.seek(offset)
                tile = tiff.filehandle.read(count)
                known |= {_sha(tile), _sha(tile[2:])}
    scanned = [frame for i, frame in enumerate(frames) if i not in one.unscanned]
    return len(scanned), sum(_sha(frame) in known for frame in scanned)


def _pages(tiff: tifffile.TiffFile) -> list[Any]:
    pages: list[Any] = []
    for page in tiff.pages:
        pages += [page, *(getattr(page, "pages", None) or ())]
    return pages


def _intervals(source: Path, one: VirtualInstance, frames: list[bytes]) -> tuple[int, int]:
    """Split the source's own stream at its restart markers; each piece must be sent once."""
    with tifffile.TiffFile(source) as tiff:
        streams = []
        for page in _pages(tiff):
            if (page.imagewidth, page.imagelength) == (one.columns, one.rows):
                tiff.filehandle.seek(page.tags[273].value[0])
                streams.append(tiff.filehandle.read(page.tags[279].value[0]))
    pieces = [piece for stream in streams for piece in _split(stream)]
    sent: dict[bytes, int] = {}
    for frame in frames:
        for piece in _RESTART.split(frame[:-2]):
            sent[_sha(piece)] = sent.get(_sha(piece), 0) + 1
    same = 0
    for piece in pieces:
        left = sent.get(_sha(piece), 0)
        same += left > 0
        sent[_sha(piece)] = left - 1
    return len(pieces), same


def _split(stream: bytes) -> list[bytes]:
    at = 2
    while stream[at + 1] != 0xDA:
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return _RESTART.split(stream[at:-2])


def _compare(
    source: Path, levels: list[tuple[VirtualInstance, Path]], regions: int, rng: random.Random
) -> list[bool]:
    """Compare regions whose corners are whole pixels of their level, clear of holes."""
    base = levels[-1][0]
    if base.frames > -(-base.columns // base.tile_columns) * -(-base.rows // base.tile_rows):
        return []  # focal planes: no other reader here takes them
    try:
        ours = openslide.OpenSlide(levels[-1][1])
    except openslide.OpenSlideError:
        return []  # JPEG 2000 in YCbCr: a codestream of the source that it knows in SVS only
    # OpenSlide fills what lies under and above a hole of an Aperio file from other levels
    holes = source.suffix == ".svs" and any(one.unscanned for one, _ in levels)
    reader = _tiff_reader(source) if holes else _reader(source)
    compared: list[bool] = []
    for one, _ in levels:
        level = ours.level_dimensions.index((one.columns, one.rows))
        factor = round(ours.level_downsamples[level])
        across = -(-one.columns // one.tile_columns)
        done = tried = 0
        while done < regions and tried < 50 * regions:
            tried += 1
            x = rng.randrange(max(1, one.columns - EDGE))
            y = rng.randrange(max(1, one.rows - EDGE))
            corners = ((x + a, y + b) for a in (0, EDGE) for b in (0, EDGE))
            tiles = {v // one.tile_rows * across + u // one.tile_columns for u, v in corners}
            if tiles & one.unscanned:
                continue
            size = min(EDGE, one.columns - x), min(EDGE, one.rows - y)
            mine = np.asarray(
                ours.read_region((x * factor, y * factor), level, size).convert("RGB")
            )
            compared.append(bool((mine == reader(one, x, y, size)).all()))
            done += 1
    ours.close()
    return compared


def _reader(source: Path) -> Any:
    """Return OpenSlide's reading of the source, or tifffile's where it cannot open it."""
    try:
        theirs = openslide.OpenSlide(source)
    except openslide.OpenSlideError:
        return _tiff_reader(source)

    beside: list[Any] = []

    def read(one: VirtualInstance, x: int, y: int, size: tuple[int, int]) -> Any:
        if (one.columns, one.rows) not in theirs.level_dimensions:  # it sees no SubIFD
            beside.extend(() if beside else (_tiff_reader(source),))
            return beside[0](one, x, y, size)
        level = theirs.level_dimensions.index((one.columns, one.rows))
        factor = round(theirs.level_downsamples[level])
        region = theirs.read_region((x * factor, y * factor), level, size)
        return np.asarray(region.convert("RGB"))

    return read


def _tiff_reader(source: Path) -> Any:
    whole: dict[tuple[int, int], Any] = {}
    with tifffile.TiffFile(source) as tiff:
        for page in _pages(tiff):
            whole.setdefault((page.imagewidth, page.imagelength), page.asarray())

    def read(one: VirtualInstance, x: int, y: int, size: tuple[int, int]) -> Any:
        return whole[one.columns, one.rows][y : y + size[1], x : x + size[0]]

    return read
