"""A large slide in Aperio form, quickly: the tiles of a smaller one, laid again and again.

The smaller one is drawn by ``todoke samples slide`` (stained tissue, seeded).  The
streams of its two largest levels are copied as they are; the small levels and the
pictures are drawn from them.  So a slide of 40,000 x 30,000 holds some ten sections of
the same tissue and costs seconds where drawing all of it would cost minutes.  Nothing
that is measured looks at whether two tiles are equal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
import tifffile
from numpy.typing import NDArray
from PIL import Image

from conformance.bench.processes import verb

SHRINK = 4  # from level to level, as scanners of this form do
BASE, QUICK_BASE = (12_288, 9_216), (3_072, 2_048)  # whole tiles at both copied levels
SIZE, QUICK_SIZE = (40_000, 30_000), (14_000, 10_000)
SEED = 7
QUALITY = 88  # JPEG; with it the slide has 200 MB
COPIED = 2  # levels whose streams are copied

Picture = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Slide:
    """A slide as a bench sends and serves it.

    Attributes
    ----------
    size : tuple of int
        Width and height of level 0 in pixels.
    tile : int
        Width and height of its tiles in pixels.
    bytes : int
        Of the file.
    lengths : ndarray of int
        Bytes of each tile of level 0, rows x columns.
    """

    path: Path
    size: tuple[int, int]
    tile: int
    bytes: int
    lengths: NDArray[np.int64]

    @property
    def across(self) -> int:
        """Tiles in a row of level 0."""
        return int(self.lengths.shape[1])

    @property
    def down(self) -> int:
        """Tiles in a column of level 0."""
        return int(self.lengths.shape[0])

    @property
    def tiles(self) -> int:
        """Tiles of level 0."""
        return int(self.lengths.size)

    def viewport(self, columns: int = 8, rows: int = 6) -> list[int]:
        """Return tiles of level 0 (row by row from 0) as a screen shows them: all tissue.

        They lie in the lower half, which is sent last, where the streams are longest:
        glass takes a fraction of what tissue does.
        """
        columns, rows = min(columns, self.across), min(rows, self.down)
        sums = np.lib.stride_tricks.sliding_window_view(self.lengths, (rows, columns))
        sums = sums.sum(axis=(2, 3))
        sums[: min(self.down // 2, len(sums) - 1)] = -1
        top, left = np.unravel_index(int(sums.argmax()), sums.shape)
        return [
            (int(top) + row) * self.across + int(left) + column
            for row in range(rows)
            for column in range(columns)
        ]


def of_file(path: Path) -> Slide:
    """Return what a bench has to know of a slide in Aperio form."""
    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        size, tile = (int(page.imagewidth), int(page.imagelength)), int(page.tilewidth)
        lengths = np.array(page.databytecounts, np.int64).reshape(-1, -(-size[0] // tile))
        return Slide(path, size, tile, path.stat().st_size, lengths)


def make(folder: Path, log: Path, *, quick: bool = False, seed: int = SEED) -> Slide:
    """Write the slide into a new folder; the same seed gives the same tiles.

    Parameters
    ----------
    log : Path
        Where the verb's words go.
    quick : bool
        A small one.

    Raises
    ------
    VerbFailed
    """
    return make_several(folder, log, [QUICK_SIZE if quick else SIZE], quick=quick, seed=seed)[0]


def make_several(
    folder: Path,
    log: Path,
    sizes: Sequence[tuple[int, int]],
    *,
    quick: bool = False,
    seed: int = SEED,
) -> list[Slide]:
    """Write slides of several sizes, all laid of the tiles of one; see :func:`make`.

    Parameters
    ----------
    sizes : sequence of tuple of int
        Width and height of each in pixels, none twice.
    """
    folder.mkdir(parents=True)
    width, height = QUICK_BASE if quick else BASE
    options = ("--size", f"{width}x{height}", "--colour", "ycbcr", "--quality", QUALITY)
    made = verb("samples", "slide", folder / "base", *options, "--seed", seed, log=log)
    source = Path(made["path"])
    slides = []
    for number, size in enumerate(sizes):
        path = folder / ("bench.svs" if number == 0 else f"bench-{number}.svs")
        _lay(source, path, size)
        slides.append(of_file(path))
    source.unlink()
    return slides


def _lay(source: Path, path: Path, size: tuple[int, int]) -> None:
    with (
        tifffile.TiffFile(source) as file,
        tifffile.TiffWriter(path, bigtiff=True, byteorder="<") as writer,
    ):
        # thumbnail, label and macro are no levels: their pages have no tiles
        every: list[Any] = list(file.pages)
        pages = [page for page in every if page.is_tiled]
        profile = pages[0].tags["InterColorProfile"].value
        small = _small(pages[COPIED - 1].asarray(), size)
        first = 0, size, _streams(pages[0], size), pages[0].jpegtables
        _level(writer, pages[0], first, size, profile)
        _thumbnail(writer, pages[0], small, size)
        for number in range(1, COPIED):
            shape = _shrunk(size, number)
            level = number, shape, _streams(pages[number], shape), pages[number].jpegtables
            _level(writer, pages[0], level, size, profile)
        number, drawn = COPIED, small
        while True:
            shape = drawn.shape[1], drawn.shape[0]
            level = number, shape, _encoded(drawn, pages[0].tilewidth), None
            _level(writer, pages[0], level, size, profile)
            if max(shape) <= 2048:
                return
            number, drawn = number + 1, _reduced(drawn, _shrunk(size, number + 1))


Level = tuple[int, tuple[int, int], Iterator[bytes], bytes | None]


def _level(
    writer: tifffile.TiffWriter, first: Any, level: Level, size: tuple[int, int], profile: bytes
) -> None:
    number, (width, height), streams, tables = level
    writer.write(
        streams,
        shape=(height, width, 3),
        dtype=np.uint8,
        tile=(first.tilelength, first.tilewidth),
        compression="jpeg",
        jpegtables=tables,
        photometric="ycbcr",
        subsampling=(2, 2),
        description=_described(first.description, size, (width, height) if number else None),
        iccprofile=profile,
        metadata=None,
        software=False,
    )


def _thumbnail(
    writer: tifffile.TiffWriter, first: Any, small: Picture, size: tuple[int, int]
) -> None:
    picture = _reduced(small, (1024, round(1024 * size[1] / size[0])))
    shape = picture.shape[1], picture.shape[0]
    writer.write(
        iter([simplejpeg.encode_jpeg(picture, QUALITY, "RGB", "420")]),
        shape=picture.shape,
        dtype=np.uint8,
        compression="jpeg",
        rowsperstrip=picture.shape[0],
        photometric="ycbcr",
        subsampling=(2, 2),
        description=_described(first.description, size, shape),
        metadata=None,
        software=False,
    )


def _described(words: str, size: tuple[int, int], shape: tuple[int, int] | None) -> str:
    """Say another size in the words of the smaller slide's first page."""
    whole = f"{size[0]}x{size[1]}"
    words = re.sub(r"\d+x\d+ \[0,0[ ,]\d+x\d+\]", f"{whole} [0,0 {whole}]", words, count=1)
    return words if shape is None else words.replace(" JPEG", f" -> {shape[0]}x{shape[1]} JPEG", 1)


def _streams(page: Any, size: tuple[int, int]) -> Iterator[bytes]:
    """Yield the streams of a level of that size, row by row."""
    across, down = (-(-side // page.tilewidth) for side in size)
    own_across = -(-page.imagewidth // page.tilewidth)
    own_down = -(-page.imagelength // page.tilelength)
    with Path(page.parent.filehandle.path).open("rb") as file:
        for row in range(down):
            for column in range(across):
                place = (row % own_down) * own_across + column % own_across
                file.seek(page.dataoffsets[place])
                yield file.read(page.databytecounts[place])


def _small(pixels: Picture, size: tuple[int, int]) -> Picture:
    """Return the first level that is drawn, from the pixels of the last that is copied."""
    width, height = pixels.shape[1] // SHRINK, pixels.shape[0] // SHRINK
    section = _reduced(pixels, (width, height))
    across, down = _shrunk(size, COPIED)
    repeated = np.tile(section, (-(-down // height), -(-across // width), 1))
    return np.ascontiguousarray(repeated[:down, :across])


def _reduced(pixels: Picture, size: tuple[int, int]) -> Picture:
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def _shrunk(size: tuple[int, int], number: int) -> tuple[int, int]:
    return size[0] // SHRINK**number, size[1] // SHRINK**number


def _encoded(pixels: Picture, tile: int) -> Iterator[bytes]:
    height, width = pixels.shape[:2]
    padding = (-height % tile, -width % tile)
    whole = np.pad(pixels, ((0, padding[0]), (0, padding[1]), (0, 0)), mode="edge")
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            part = np.ascontiguousarray(whole[top : top + tile, left : left + tile])
            yield bytes(simplejpeg.encode_jpeg(part, QUALITY, "RGB", "420"))


def describe(slide: Slide) -> dict[str, Any]:
    """Return what the bench says of the slide it used."""
    return {
        "pixels": list(slide.size),
        "tile": slide.tile,
        "tiles": slide.tiles,
        "bytes": slide.bytes,
    }
