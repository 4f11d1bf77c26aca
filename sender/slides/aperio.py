"""Aperio SVS: a TIFF whose tiles are abbreviated JPEG.

Tiled directories are the levels of the pyramid.  Striped ones are the
thumbnail (the second directory) and, by the first word of the second line of
their description, label and macro.  The description of the first holds
``|key = value`` pairs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.dicom.testmark import is_test_description
from common.errors import SlideUnreadable, SlideUnsupported
from sender.slides import associated, jpeg
from sender.slides.case import SlideCase
from sender.slides.header import Picture, Scanner, build, instance_uid
from sender.slides.slide import Flavor, Slide, SourceFile, VirtualInstance
from sender.slides.tiff import Page

VENDOR = "aperio"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"

_COMPRESSIONS = {
    1: "uncompressed tiles",
    5: "LZW tiles",
    6: "old-style JPEG tiles",
    8: "Deflate tiles",
    32946: "Deflate tiles",
    33003: "JPEG 2000 tiles",
    33005: "JPEG 2000 tiles",
    34712: "JPEG 2000 tiles",
}
_TIFF_JPEG, _RGB, _YCBCR = 7, 2, 6
_LARGEST_TILE_PIXELS = 1 << 24


def claims(pages: tuple[Page, ...]) -> bool:
    """Tell whether the directories are those of an Aperio file."""
    return pages[0].description.startswith("Aperio") and pages[0].tiled


def open_pages(path: Path, case: SlideCase, source: SourceFile, pages: tuple[Page, ...]) -> Slide:
    """Make the virtual instances of an Aperio file.

    Raises
    ------
    SlideUnreadable, SlideUnsupported
    """
    levels = _levels(pages)
    keys = _keys(pages[0].description)
    scanner = _scanner(keys, levels[0], case)
    test = case.test or is_test_description(pages[0].description)
    if test != case.test:
        case = SlideCase.from_json(case.to_json() | {"test": True})
    found, omitted = _associated(pages, case)
    instances: list[VirtualInstance] = []
    for flavor, page in found:
        number = len(instances) + 1
        try:
            made = associated.instance(source, page, flavor, case, scanner, number)
        except SlideUnsupported as failure:  # the tissue still travels
            omitted.append(f"{flavor}: {failure.facts['cause']}")
        else:
            instances.append(made)
    for level in range(len(levels) - 1, -1, -1):
        instances.append(_level(source, levels[level], level, case, scanner, len(instances) + 1))
    return Slide(
        path=path,
        vendor=VENDOR,
        instances=tuple(instances),
        sources=(source,),
        omitted=tuple(omitted),
        test=test,
        icc=bool(levels[0].icc),
    )


def _levels(pages: tuple[Page, ...]) -> list[Page]:
    """Return the pyramid, largest first, each level checked against the first."""
    levels = sorted((page for page in pages if page.tiled), key=lambda page: -page.width)
    base = pages[0]
    if levels[0] is not base:
        raise SlideUnsupported(cause="a first directory that is not the largest level")
    for page in levels:
        _check_level(page)
    for above, page in pairwise(levels):
        if page.width >= above.width:
            raise SlideUnsupported(cause="two levels of one size")
        # the widths, give or take the pixel that scanners round, bound the factor
        least, most = base.width / (page.width + 1), base.width / max(page.width - 1, 0.5)
        if not base.length / most - 1 <= page.length <= base.length / least + 1:
            raise SlideUnsupported(cause="a level of another shape")
    return levels


def _check_level(page: Page) -> None:
    if page.depth != 1:
        raise SlideUnsupported(cause=f"{page.depth} focal planes")
    if page.compression != _TIFF_JPEG:
        kind = _COMPRESSIONS.get(page.compression, f"compression {page.compression}")
        raise SlideUnsupported(cause=kind)
    if page.bits != (8, 8, 8) or page.planar != 1 or page.photometric not in {_RGB, _YCBCR}:
        raise SlideUnsupported(cause=f"samples of {page.bits} bits, colours {page.photometric}")
    if page.tile_width * page.tile_length > _LARGEST_TILE_PIXELS:
        raise SlideUnsupported(cause=f"tiles of {page.tile_width} x {page.tile_length}")
    there = page.counts[page.counts > 0]
    if not len(there):
        raise SlideUnreadable(cause="a level without a single tile")
    if int(there.min()) < 4:
        raise SlideUnreadable(cause="tiles that are cut")
    jpeg.check_tables(page.jpeg_tables)


def _level(
    source: SourceFile, page: Page, level: int, case: SlideCase, scanner: Scanner, number: int
) -> VirtualInstance:
    rgb = page.photometric == _RGB
    first = int(np.argmax(page.counts > 0))
    tile = source.read(int(page.counts[first]), int(page.offsets[first]))
    whole = jpeg.prefix(page.jpeg_tables, b"") + tile[2 if page.jpeg_tables else 0 :]
    jpeg.segments(tile)
    code = jpeg.look(whole)
    if (code.columns, code.rows) != (page.tile_width, page.tile_length):
        raise SlideUnreadable(
            cause=f"JPEG tiles of {code.columns} x {code.rows}, not "
            f"{page.tile_width} x {page.tile_length}"
        )
    if code.tables != {0xDB, 0xC4}:
        raise SlideUnreadable(cause="JPEG tiles without their tables")
    prefix = jpeg.prefix(page.jpeg_tables, jpeg.colour_marker(code, rgb=rgb))
    skip = 2 if prefix else 0  # the prefix brings the start marker
    white = jpeg.blank(page.tile_width, page.tile_length, rgb=rgb)[skip:]
    lengths = _lengths(page, len(prefix) - skip, len(prefix) + len(white))
    picture = Picture(
        flavor="VOLUME",
        level=level,
        number=number,
        columns=page.width,
        rows=page.length,
        tile_columns=page.tile_width,
        tile_rows=page.tile_length,
        frames=len(lengths),
        photometric=jpeg.photometric(rgb=rgb),
        encoding="stored",
        lossy_bytes=int(lengths.sum()),
    )
    return VirtualInstance(
        sop_instance_uid=instance_uid(case, "VOLUME", level),
        transfer_syntax_uid=JPEG_BASELINE,
        flavor="VOLUME",
        level=level,
        columns=page.width,
        rows=page.length,
        tile_columns=page.tile_width,
        tile_rows=page.tile_length,
        spacing_um=scanner.spacing(page.width, page.length)[0],
        photometric=picture.photometric,
        encoding="stored",
        header=build(case, scanner, picture),
        prefix=prefix,
        lengths=lengths,
        unscanned=frozenset(np.flatnonzero(page.counts == 0).tolist()),
        reader=_reader(source, page, skip, white),
    )


def _lengths(page: Page, added: int, white: int) -> npt.NDArray[np.int64]:
    lengths = page.counts.astype(np.int64) + added
    lengths[page.counts == 0] = white
    return lengths


def _reader(source: SourceFile, page: Page, skip: int, white: bytes) -> Callable[[int], bytes]:
    def read(i: int) -> bytes:
        count = int(page.counts[i])
        if not count:
            return white
        tile = source.read(count, int(page.offsets[i]))
        if not tile.startswith(jpeg.SOI):
            raise SlideUnreadable(cause=f"tile {i} is no JPEG")
        return tile[skip:]

    return read


def _associated(
    pages: tuple[Page, ...], case: SlideCase
) -> tuple[list[tuple[Flavor, Page]], list[str]]:
    found: dict[Flavor, Page] = {}
    omitted: list[str] = []
    for page in pages[1:]:
        if page.tiled:
            continue
        lines = page.description.splitlines()
        word = lines[1].split(" ")[0].lower() if len(lines) > 1 else ""
        flavor: Flavor
        if word == "label":
            flavor = "LABEL"
        elif word == "macro":
            flavor = "OVERVIEW"
        elif page.number == 1 and _same_shape(page, pages[0]):
            flavor = "THUMBNAIL"
        elif page.number == 1:  # it shows more than was scanned
            omitted.append("THUMBNAIL: of another shape than the scan, the label may be in it")
            continue
        else:
            omitted.append(f"directory {page.number}: not known")
            continue
        if (flavor == "LABEL" and not case.send_label) or (
            flavor == "OVERVIEW" and not case.send_macro
        ):
            omitted.append(f"{flavor}: by setting")
        elif flavor in found:
            omitted.append(f"directory {page.number}: a second {flavor}")
        else:
            found[flavor] = page
    order: tuple[Flavor, ...] = ("THUMBNAIL", "OVERVIEW", "LABEL")
    return [(flavor, found[flavor]) for flavor in order if flavor in found], omitted


def _same_shape(page: Page, base: Page) -> bool:
    """Whether a picture can be the whole scan made smaller, give or take a rounded pixel."""
    across, down = page.width / base.width, page.length / base.length
    return abs(across - down) * max(base.width, base.length) <= 1.5


def _keys(description: str) -> dict[str, str]:
    keys: dict[str, str] = {}
    for pair in description.split("|")[1:]:
        name, equals, value = pair.partition("=")
        if equals:
            keys.setdefault(name.strip(), value.strip())
    return keys


def _positive(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 1e-3 <= value <= 1e3 else None


def _scanner(keys: dict[str, str], base: Page, case: SlideCase) -> Scanner:
    spacing = _positive(keys.get("MPP", "")) or case.spacing_um
    if spacing is None or _positive(str(spacing)) is None:
        raise SlideUnsupported(cause="no pixel size (MPP); a person must attest it")
    power = keys.get("AppMag", "")
    version = re.match(r"Aperio[^\r\n|;]*?\b(v[\w.]+)", base.description)
    return Scanner(
        manufacturer="Aperio",
        model=_plain(keys.get("ScannerType", "")) or "ScanScope",
        serial=_plain(keys.get("ScanScope ID", "")) or "UNKNOWN",
        software=_plain(version.group(1)) if version else "UNKNOWN",
        acquired=_acquired(keys),
        objective_power=power if re.fullmatch(r"\d{1,3}(\.\d{1,3})?", power) else "",
        columns=base.width,
        rows=base.length,
        spacing_um=spacing,
        icc=base.icc,
    )


def _plain(text: str) -> str:
    """Return text that may stand in an LO element."""
    return re.sub(r"[\\\x00-\x1f\x7f]", " ", text)[:64].strip()


def _acquired(keys: dict[str, str]) -> str:
    day = re.fullmatch(r"(\d\d)/(\d\d)/(\d\d(?:\d\d)?)", keys.get("Date", ""))
    if not day or not (1 <= int(day[1]) <= 12 and 1 <= int(day[2]) <= 31):
        return ""
    year = day[3] if len(day[3]) == 4 else f"20{day[3]}"
    clock = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d):([0-5]\d)", keys.get("Time", ""))
    zone = re.fullmatch(r"GMT([+-](?:0\d|1[0-4])):?([0-5]\d)", keys.get("Time Zone", ""))
    time = "".join(clock.groups()) if clock else "000000"
    return f"{year}{day[1]}{day[2]}{time}" + ("".join(zone.groups()) if zone else "")
