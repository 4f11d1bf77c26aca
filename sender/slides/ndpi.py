"""Hamamatsu NDPI: one huge JPEG stream per level, cut at its restart markers.

Levels have a lens above 0, the macro -1, the map of what was scanned -2.  Frames
are rectangles of restart intervals, see :mod:`sender.slides.intervals`: every coded
byte of the file is sent as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from common.errors import SlideUnreadable, SlideUnsupported
from sender.slides import intervals, jpeg, ndpi_index, scale
from sender.slides.case import SlideCase
from sender.slides.header import Picture, Scanner, build, instance_uid, plain
from sender.slides.light import Fluorescence
from sender.slides.ndpi_index import NdpiPage
from sender.slides.slide import Encoding, Flavor, Slide, SourceFile, VirtualInstance

VENDOR = "hamamatsu"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"

_JPEG, _YCBCR, _RGB = 7, 6, 2
_LONGEST_HEADER = 1 << 16
_LARGEST_FRAME = 1 << 24  # pixels of a level that cannot be cut
_LONGEST_SEARCH = 1 << 28  # bytes looked through when the file does not tell its intervals
_CHUNK = 1 << 20
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


def open_source(path: Path, case: SlideCase, source: SourceFile) -> Slide:
    """Make the virtual instances of an NDPI file.

    Raises
    ------
    SlideUnreadable, SlideUnsupported
    """
    pages = ndpi_index.read_pages(source.fd)
    levels, omitted = _levels(pages)
    case = case.marked(levels[0][0].texts.get(270, ""))
    scanner = _scanner(levels[0], case)
    instances: list[VirtualInstance] = []
    for page in pages:
        if page.lens >= 0:
            continue
        if page.lens != -1:
            omitted.append(f"directory {page.number}: map of what was scanned")
        elif not case.send_macro:
            omitted.append("OVERVIEW: by setting")
        elif instances:
            omitted.append(f"directory {page.number}: a second OVERVIEW")
        else:
            try:
                frames = _frames(source, page)
                instances.append(_instance([page], frames, "OVERVIEW", None, case, scanner, 1))
            except (SlideUnsupported, SlideUnreadable) as failure:  # the tissue still travels
                omitted.append(f"OVERVIEW: {failure.facts['cause']}")
    # the largest is cut first: its frames give the size of the others'
    made = [_stacked([_frames(source, plane) for plane in levels[0]])]
    size = made[0].columns, made[0].rows
    made += [_stacked([_frames(source, plane, size) for plane in level]) for level in levels[1:]]
    for level in range(len(levels) - 1, -1, -1):
        frames, number = made[level], len(instances) + 1
        instances.append(_instance(levels[level], frames, "VOLUME", level, case, scanner, number))
    return Slide(
        path=path,
        vendor=VENDOR,
        instances=tuple(instances),
        sources=(source,),
        omitted=tuple(omitted),
        test=case.test,
        icc=False,
    )


def _levels(pages: tuple[NdpiPage, ...]) -> tuple[list[list[NdpiPage]], list[str]]:
    """Return the pyramid, largest first, the planes of each level from the glass up.

    Planes at uneven distances have no place in one instance: of them the one in
    focus is kept, and the others are among what is left out.
    """
    found = [page for page in pages if page.lens > 0]
    if not found:
        raise SlideUnreadable(cause="an NDPI file without a level")
    planes = sorted({page.focal_plane for page in found})
    omitted: list[str] = []
    if len({below - above for above, below in pairwise(planes)}) > 1:
        focus = min(planes, key=abs)
        omitted = [f"focal plane {plane:+d} nm" for plane in planes if plane != focus]
        planes = [focus]
    levels: dict[int, list[NdpiPage]] = {}
    for page in sorted(found, key=lambda page: (-page.width, page.focal_plane)):
        if page.focal_plane in planes:
            levels.setdefault(page.width, []).append(page)
    base = next(iter(levels.values()))[0]
    for level in levels.values():
        if [page.focal_plane for page in level] != planes:
            raise SlideUnsupported(cause="levels of different focal planes, or two of one size")
        page = level[0]
        # the widths, give or take the pixel that scanners round, bound the factor
        least, most = base.width / (page.width + 1), base.width / max(page.width - 1, 0.5)
        if not base.length / most - 1 <= page.length <= base.length / least + 1:
            raise SlideUnsupported(cause="a level of another shape")
    return list(levels.values()), omitted


def _instance(
    planes: Sequence[NdpiPage],
    made: _Frames,
    flavor: Flavor,
    level: int | None,
    case: SlideCase,
    scanner: Scanner,
    number: int,
) -> VirtualInstance:
    page = planes[0]
    picture = Picture(
        flavor=flavor,
        level=level,
        number=number,
        columns=page.width,
        rows=page.length,
        tile_columns=made.columns,
        tile_rows=made.rows,
        frames=len(made.lengths),
        photometric=jpeg.photometric(rgb=page.photometric == _RGB),
        encoding=made.encoding,
        lossy_bytes=int(made.lengths.sum()),
        planes=len(planes),
    )
    known = flavor == "VOLUME"
    return VirtualInstance(
        sop_instance_uid=instance_uid(case, flavor, level),
        transfer_syntax_uid=JPEG_BASELINE,
        flavor=flavor,
        level=level,
        columns=page.width,
        rows=page.length,
        tile_columns=made.columns,
        tile_rows=made.rows,
        spacing_um=scanner.spacing(page.width, page.length)[0] if known else None,
        photometric=picture.photometric,
        encoding=made.encoding,
        header=build(case, scanner, picture),
        prefix=made.prefix,
        lengths=made.lengths,
        unscanned=frozenset(),
        reader=made.read,
    )


class _Frames:
    """The frames of one picture: where they are cut, and how they are read."""

    def __init__(
        self,
        size: tuple[int, int],
        encoding: Encoding,
        prefix: bytes,
        lengths: npt.NDArray[np.int64],
        read: Callable[[int], bytes],
    ) -> None:
        self.columns, self.rows = size
        self.encoding, self.prefix, self.lengths, self.read = encoding, prefix, lengths, read


def _stacked(planes: list[_Frames]) -> _Frames:
    """Return the frames of all planes, plane after plane (PS3.3 C.7.6.17.3)."""
    first, count = planes[0], len(planes[0].lengths)
    if len(planes) == 1:
        return first
    if any(
        (one.columns, one.rows, one.prefix, len(one.lengths))
        != (first.columns, first.rows, first.prefix, count)
        for one in planes
    ):
        raise SlideUnsupported(cause="focal planes of different kinds")

    def read(i: int) -> bytes:
        return planes[i // count].read(i % count)

    lengths = np.concatenate([one.lengths for one in planes])
    return _Frames((first.columns, first.rows), first.encoding, first.prefix, lengths, read)


def _frames(source: SourceFile, page: NdpiPage, like: tuple[int, int] | None = None) -> _Frames:
    """Cut a picture into frames; one that cannot be cut is one frame."""
    if page.compression != _JPEG or page.photometric not in {_YCBCR, _RGB}:
        kind = f"compression {page.compression}, colours {page.photometric}"
        raise SlideUnsupported(cause=kind)
    rgb = page.photometric == _RGB
    raw = source.read(min(page.count, _LONGEST_HEADER), page.offset)
    # sizes past 65535 stand as 0 in the stream; the directory's are the true ones
    looked = intervals.sized(raw, min(page.width, 0xFFFF), min(page.length, 0xFFFF))
    code = jpeg.look(looked)
    if code.tables != {0xDB, 0xC4}:
        raise SlideUnreadable(cause="a JPEG stream without its tables")
    marker = jpeg.colour_marker(code, rgb=rgb)
    data_at = jpeg.segments(raw)[-1][2]
    grid = intervals.gather(page.width, page.length, code, like)
    if grid is None or (grid.frames == 1 and like is None):
        return _whole(source, page, looked, marker, data_at)
    size = grid.wide * grid.columns, grid.high * grid.rows
    prefix = _with(intervals.sized(looked, *size), marker)
    starts = page.starts if len(page.starts) else _search(source, page, data_at)
    if len(starts) and int(starts[0]) != data_at:
        raise SlideUnreadable(cause="restart intervals that do not begin behind their header")
    blank = intervals.white(looked, code.restart, rgb=rgb)
    cut = intervals.Cut(source.read, page.offset, page.count, starts, grid, blank)
    return _Frames(size, "joined", prefix, cut.lengths(len(prefix)), cut.frame)


def _whole(
    source: SourceFile, page: NdpiPage, header: bytes, marker: bytes, data_at: int
) -> _Frames:
    if page.width * page.length > _LARGEST_FRAME or max(page.width, page.length) > 0xFFFF:
        cause = f"{page.width} x {page.length} pixels in one JPEG that cannot be cut"
        raise SlideUnsupported(cause=cause)
    prefix, size = _with(header, marker), page.count - data_at
    if size < 3 or source.read(2, page.offset + page.count - 2) != jpeg.EOI:
        raise SlideUnreadable(cause="a JPEG stream without its end")

    def read(i: int) -> bytes:
        del i
        return source.read(size, page.offset + data_at)

    lengths = np.array([len(prefix) + size], np.int64)
    return _Frames((page.width, page.length), "stored", prefix, lengths, read)


def _with(header: bytes, marker: bytes) -> bytes:
    return header[:2] + marker + header[2:]


def _search(source: SourceFile, page: NdpiPage, data_at: int) -> npt.NDArray[np.uint64]:
    """Find the intervals of a stream whose directory does not list them."""
    if page.count > _LONGEST_SEARCH:
        raise SlideUnsupported(cause="a long JPEG stream whose restart intervals are not listed")
    starts, at, kept = [data_at], data_at, b""
    while at < page.count:
        raw = kept + source.read(min(_CHUNK, page.count - at), page.offset + at)
        begin = at - len(kept)
        starts += [begin + match.end() for match in _RESTART.finditer(raw)]
        at += len(raw) - len(kept)
        kept = b"\xff" if raw[-1:] == b"\xff" else b""
    return np.array(starts, np.uint64)


def _scanner(planes: Sequence[NdpiPage], case: SlideCase) -> Scanner:
    base = planes[0]
    stated = base.spacing_um
    if stated is not None and not (scale.plausible(stated[0]) and scale.plausible(stated[1])):
        stated = None
    spacing, down, given = scale.known(stated, case, "XResolution, YResolution")
    power = f"{base.lens:g}"
    return Scanner(
        manufacturer=plain(base.texts.get(271, "")) or "Hamamatsu",
        model=plain(base.texts.get(272, "")) or "NanoZoomer",
        serial=plain(base.texts.get(ndpi_index.SERIAL, "")),
        software=plain(base.texts.get(305, "")),
        acquired=_acquired(base.texts.get(306, "")),
        objective_power=power if re.fullmatch(r"\d{1,3}(\.\d{1,3})?", power) else "",
        columns=base.width,
        rows=base.length,
        spacing_um=spacing,
        icc=b"",
        spacing_down_um=down,
        spacing_given=given,
        plane_step_um=(planes[1].focal_plane - base.focal_plane) / 1000 if planes[1:] else None,
        fluorescence=_fluorescence(base),
    )


def _fluorescence(base: NdpiPage) -> Fluorescence | None:
    """A filter set in the light path means fluorescence; brightfield scans name none."""
    name = plain(base.texts.get(ndpi_index.FILTER_SET, ""))
    if not name:
        return None
    found = re.search(
        r"\bExcitationWaveLength=(\d{3,4})\b", base.texts.get(ndpi_index.PROPERTIES, "")
    )
    return Fluorescence(name, float(found[1]) if found else None, base.wavelength_nm)


def _acquired(text: str) -> str:
    found = re.fullmatch(
        r"(\d{4}):(0[1-9]|1[0-2]):(0[1-9]|[12]\d|3[01]) ([01]\d|2[0-3]):([0-5]\d):([0-5]\d)", text
    )
    return "".join(found.groups()) if found else ""
