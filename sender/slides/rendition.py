"""Every other format that OpenSlide opens: decoded by it and coded again once.

What comes out of OpenSlide is a rendition, never the vendor's bytes: the frames
say so in their headers, and the digest of the vendor's file set is what binds
them to the source.  The file is read in a process apart whose memory and time are
limited, and its parts are checked before (:mod:`sender.sidecars`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import SlideUnreadable, SlideUnsupported, StorageError
from common.workers import Worker, WorkerLost
from sender import sidecars
from sender.slides import coding, encoded, scale
from sender.slides.case import SlideCase
from sender.slides.coding import LOSSLESS, Coding
from sender.slides.encoded import Encoded
from sender.slides.header import Picture, Scanner, build, instance_uid
from sender.slides.segments import LARGEST, Pixels
from sender.slides.slide import Flavor, Loss, Slide, SourceFile, VirtualInstance
from sender.slides.tiff import Page

EDGE = 512  # of a tile in pixels
_BATCH = 8  # tiles asked for at a time
_SECONDS = 60.0  # that one request may take, with the start of the process
_SMALLEST = 128  # pixels: a level whose longer side is below adds nothing
_LARGEST_SIDE = 1 << 31


@dataclass(frozen=True, slots=True)
class Vendor:
    """What a name of OpenSlide's stands for.

    Attributes
    ----------
    maker : str
        Manufacturer.
    lossy : bool
        Its files hold lossy JPEG.
    shown : bool
        Opened with a file that this project's samples or the real files hold.
    """

    maker: str
    lossy: bool = True
    shown: bool = False


VENDORS = {
    "hamamatsu": Vendor("Hamamatsu", shown=True),  # VMS and VMU; NDPI has its own room
    "mirax": Vendor("3DHISTECH"),
    "leica": Vendor("Leica"),
    "ventana": Vendor("Ventana"),
    "trestle": Vendor("Trestle"),
    "sakura": Vendor("Sakura"),
    "zeiss": Vendor("Zeiss"),
}


VENDOR = "openslide"
#: Said where a format that no real file was there for cannot be read, after all.
UNTRIED = "実物で試していない形式 / a format never tried on a real file"

_LEICA, _TRESTLE = "http://www.leica-microsystems.com/scn", "MedScan"


def claims(pages: tuple[Page, ...]) -> bool:
    """Tell whether the directories are those of a TIFF that only OpenSlide knows."""
    first = pages[0]
    return (
        _LEICA in first.description[:65536]
        or first.software.startswith(_TRESTLE)
        or any(page.description.startswith("level=") for page in pages)  # Ventana
    )


def open_pages(path: Path, case: SlideCase, source: SourceFile, pages: tuple[Page, ...]) -> Slide:
    """Make the virtual instances of such a TIFF, see :func:`open_source`."""
    del pages
    return open_source(path, case, source)


def open_source(path: Path, case: SlideCase, source: SourceFile) -> Slide:
    """Make the virtual instances of a slide that OpenSlide reads.

    Parameters
    ----------
    source : SourceFile
        The file itself; the parts beside it are opened here.

    Raises
    ------
    SidecarOutside, SlideUnreadable, SlideUnsupported
    """
    sources = [source]
    reader = _Reader(path)
    try:
        for name in sidecars.members(str(path)):
            try:
                sources.append(SourceFile(Path(name)))
            except StorageError as failure:
                raise SlideUnreadable(cause=f"{Path(name).name} cannot be opened") from failure
        return _slide(path, case, sources, reader)
    except BaseException:
        reader.close()
        for one in sources[1:]:  # the first is the caller's
            one.close()
        raise


def _slide(path: Path, case: SlideCase, sources: list[SourceFile], reader: _Reader) -> Slide:
    facts = reader.facts()
    if (vendor := VENDORS.get(facts["vendor"])) is None:
        raise SlideUnsupported(cause=f"OpenSlide calls it {facts['vendor']}")
    try:
        return _made(path, case, sources, reader, facts, vendor)
    except SlideUnreadable as failure:
        if vendor.shown:
            raise
        raise SlideUnreadable(cause=f"{failure.facts['cause']}; {UNTRIED}") from failure


def _made(
    path: Path,
    case: SlideCase,
    sources: list[SourceFile],
    reader: _Reader,
    facts: dict[str, Any],
    vendor: Vendor,
) -> Slide:
    properties: dict[str, str] = facts["properties"]
    for value in properties.values():
        case = case.marked(value)
    levels, omitted = _levels(facts["levels"])
    scanner = _scanner(facts, vendor, levels[0], case)
    stored = sum(source.size for source in sources)
    pixels = sum(width * length for width, length in levels.values())
    instances: list[VirtualInstance] = []
    for flavor, name in _pictures(facts["pictures"], case, omitted):
        size = facts["pictures"][name]
        frame = encoded.encode(reader.picture(name, *size))
        number = len(instances) + 1
        picture = _picture(flavor, None, number, (size[0], size[1]), (size[0], size[1]), None)
        lengths = np.array([len(frame)], np.int64)
        instances.append(_instance(picture, case, scanner, lengths, _always(frame)))
    again = coding.of_case(case)
    for level, (width, length) in sorted(levels.items(), reverse=True):
        count = -(-width // EDGE) * -(-length // EDGE)
        frames = Encoded(count, partial(reader.tiles, level, (width, length)), again.encode)
        loss = again.loss(partial(reader.some, level, coding.spread(count)))
        # the share of the file that its pixels take: no file tells it per level
        lossy = max(1, stored * width * length // pixels) if _lossy(vendor, properties) else None
        picture = _picture(
            "VOLUME", level, len(instances) + 1, (width, length), (EDGE, EDGE), lossy, again, loss
        )
        instances.append(_instance(picture, case, scanner, frames.lengths, frames.read, again))
    return Slide(
        path=path,
        vendor=facts["vendor"],
        instances=tuple(instances),
        sources=tuple(sources),
        omitted=tuple(omitted),
        test=case.test,
        icc=bool(scanner.icc),
        untried=not vendor.shown,
        ended=reader.close,
    )


class _Reader:
    """The parent's side of the process that reads the slide."""

    def __init__(self, path: Path) -> None:
        self._path = str(path.absolute())
        self._worker = Worker("sender.slides.renderer")

    def close(self) -> None:
        self._worker.stop()

    def facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(self._ask({"do": "facts"}))
        return facts

    def picture(self, name: str, width: int, length: int) -> Pixels:
        raw = self._ask({"do": "picture", "name": name})
        if len(raw) != width * length * 3:
            raise SlideUnreadable(cause=f"{name} of another size")
        return np.frombuffer(raw, np.uint8).reshape(length, width, 3)

    def tiles(self, level: int, size: tuple[int, int]) -> Iterator[Pixels]:
        count = -(-size[0] // EDGE) * -(-size[1] // EDGE)
        for first in range(0, count, _BATCH):
            yield from self._tiles(level, first, min(_BATCH, count - first))

    def some(self, level: int, numbers: Sequence[int]) -> Iterator[Pixels]:
        for number in numbers:
            yield from self._tiles(level, number, 1)

    def _tiles(self, level: int, first: int, number: int) -> Pixels:
        ask = {"do": "tiles", "level": level, "edge": EDGE, "first": first, "count": number}
        raw = np.frombuffer(self._ask(ask), np.uint8)
        if raw.size != number * EDGE * EDGE * 3:
            raise SlideUnreadable(cause="tiles of another size")
        return raw.reshape(number, EDGE, EDGE, 3)

    def _ask(self, request: dict[str, Any]) -> bytes:
        try:
            good, body = self._worker.ask(request | {"path": self._path}, _SECONDS)
        except WorkerLost as failure:
            how = "took too long" if failure.late else "ended before it was done"
            raise SlideUnreadable(cause=f"OpenSlide {how}") from failure
        if good:
            return body
        name = body.decode("ascii", "replace")
        if name == "OpenSlideUnsupportedFormatError":
            raise SlideUnsupported(cause="OpenSlide does not know it")
        raise SlideUnreadable(cause=f"OpenSlide: {name}")


def _levels(found: list[list[float]]) -> tuple[dict[int, tuple[int, int]], list[str]]:
    """Return the size of each level that is sent, by its number, and what is left out."""
    kept: dict[int, tuple[int, int]] = {}
    omitted: list[str] = []
    for number, (width, length, factor) in enumerate(found):
        if min(width, length) < 1 or max(width, length) >= _LARGEST_SIDE:
            raise SlideUnreadable(cause=f"a level of {width} x {length}")
        if number and max(width, length) < _SMALLEST:
            continue
        if factor != round(factor) and width * length > LARGEST:
            # no whole place of the largest level hits a tile's corner: pixels would be mixed
            omitted.append(f"level {number}: shrunk by {factor:g}")
            continue
        kept[number] = int(width), int(length)
    if 0 not in kept:
        raise SlideUnreadable(cause="a slide without its largest level")
    return kept, omitted


def _pictures(
    found: dict[str, list[int]], case: SlideCase, omitted: list[str]
) -> list[tuple[Flavor, str]]:
    known: dict[str, Flavor] = {"thumbnail": "THUMBNAIL", "macro": "OVERVIEW", "label": "LABEL"}
    asked = {"LABEL": case.send_label, "OVERVIEW": case.send_macro}
    kept: list[tuple[Flavor, str]] = []
    for name in found:
        if name not in known:
            omitted.append(f"{name[:64]}: not known")
    for name, flavor in known.items():
        if name not in found:
            continue
        width, length = found[name]
        if not asked.get(flavor, True):
            omitted.append(f"{flavor}: by setting")
        elif min(width, length) < 1 or width * length > LARGEST or max(width, length) > 0xFFFF:
            omitted.append(f"{flavor}: {width} x {length} pixels in one picture")
        else:
            kept.append((flavor, name))
    return kept


def _picture(
    flavor: Flavor,
    level: int | None,
    number: int,
    size: tuple[int, int],
    tile: tuple[int, int],
    lossy_bytes: int | None,
    again: Coding = LOSSLESS,
    loss: Loss | None = None,
) -> Picture:
    return Picture(
        flavor=flavor,
        level=level,
        number=number,
        columns=size[0],
        rows=size[1],
        tile_columns=tile[0],
        tile_rows=tile[1],
        frames=-(-size[0] // tile[0]) * -(-size[1] // tile[1]),
        photometric=again.photometric,
        encoding="reencoded",
        lossy_bytes=lossy_bytes,
        recoded=loss,
    )


def _instance(
    picture: Picture,
    case: SlideCase,
    scanner: Scanner,
    lengths: Any,
    reader: Callable[[int], bytes],
    again: Coding = LOSSLESS,
) -> VirtualInstance:
    known = picture.flavor in {"VOLUME", "THUMBNAIL"}
    return VirtualInstance(
        sop_instance_uid=instance_uid(case, picture.flavor, picture.level),
        transfer_syntax_uid=again.transfer_syntax_uid,
        flavor=picture.flavor,
        level=picture.level,
        columns=picture.columns,
        rows=picture.rows,
        tile_columns=picture.tile_columns,
        tile_rows=picture.tile_rows,
        spacing_um=scanner.spacing(picture.columns, picture.rows)[0] if known else None,
        photometric=picture.photometric,
        encoding="reencoded",
        header=build(case, scanner, picture),
        prefix=b"",
        lengths=lengths,
        unscanned=frozenset(),
        reader=reader,
        recoded=picture.recoded,
    )


def _always(frame: bytes) -> Callable[[int], bytes]:
    return lambda _: frame


def _lossy(vendor: Vendor, properties: dict[str, str]) -> bool:
    """MRXS says its coding, VMU is raw; all else that OpenSlide opens is taken for lossy."""
    coding = properties.get("mirax.LAYER_0_LEVEL_0_SECTION.IMAGE_FORMAT", "")
    raw = "hamamatsu.BitsPerPixel" in properties
    return vendor.lossy and coding not in {"PNG", "BMP24"} and not raw


def _scanner(
    facts: dict[str, Any], vendor: Vendor, base: tuple[int, int], case: SlideCase
) -> Scanner:
    properties: dict[str, str] = facts["properties"]
    across, along_column = (_number(properties.get(f"openslide.mpp-{x}", "")) for x in "xy")
    stated = (across, along_column) if across is not None and along_column is not None else None
    spacing, down, given = scale.known(stated, case, "openslide.mpp-x")
    power = properties.get("openslide.objective-power", "")
    return Scanner(
        manufacturer=vendor.maker,
        model="",
        serial="",
        software="",
        acquired="",
        objective_power=power if re.fullmatch(r"\d{1,3}(\.\d{1,3})?", power) else "",
        columns=base[0],
        rows=base[1],
        spacing_um=spacing,
        icc=bytes.fromhex(facts["icc"]),
        spacing_down_um=down,
        spacing_given=given,
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if scale.plausible(value) else None
