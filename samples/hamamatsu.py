"""Slides in Hamamatsu's forms: NDPI with 64-bit offsets, and VMS with its files beside it.

As in real files a level is one JPEG stream with a restart marker every so many MCUs,
and a table says where the intervals begin.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from common.dicom.testmark import TEST_DESCRIPTION

Picture = npt.NDArray[np.uint8]
Value = int | float | str | Sequence[int]

_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
_KINDS = {"ascii": 2, "short": 3, "long": 4, "rational": 5, "slong": 9, "float": 11}
_SHIFTS = {"4:4:4": 1, "4:2:2": 2, "4:2:0": 2}


def coded(pixels: Picture, columns: int, *, chroma: str = "4:4:4", quality: int = 80) -> bytes:
    """Return one JPEG stream (YCbCr) with a restart marker every `columns` pixels.

    Parameters
    ----------
    pixels
        rows x columns x 3, RGB.
    columns
        Width of an interval; a whole number of them must make the width.
    chroma
        '4:4:4', '4:2:2' or '4:2:0'.
    """
    out = io.BytesIO()
    Image.fromarray(pixels).save(
        out,
        "JPEG",
        quality=quality,
        subsampling=chroma,
        restart_marker_blocks=columns // (8 * _SHIFTS[chroma]) if columns else 0,
    )
    return out.getvalue()


def starts(stream: bytes) -> list[int]:
    """Return where the restart intervals of a stream begin."""
    at = 2
    while stream[at + 1] != 0xDA:
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return [at, *(match.end() for match in _RESTART.finditer(stream, at))]


@dataclass(slots=True)
class Level:
    """One picture of an NDPI file: a level of the pyramid, or the macro with a lens of -1."""

    stream: bytes
    width: int
    length: int
    lens: float
    spacing_um: float
    focal_plane: int = 0
    told: bool = True  # its restart intervals are listed
    more: dict[int, tuple[str, Value]] = field(default_factory=dict)


def write_ndpi(path: Path, levels: Sequence[Level], *, begin: int = 12, test: bool = True) -> Path:
    """Write an NDPI file.

    Parameters
    ----------
    levels
        In the order of a scanner: by focal plane, then from largest to smallest; then the macro.
    begin
        Where the first stream lies; past 4 GiB every offset needs its high word.
    test
        Carries the mark 試験.
    """
    with path.open("wb") as file:
        file.write(b"II*\0" + bytes(8))
        file.seek(begin)
        link = 4
        for level in levels:
            offset = file.tell()
            file.write(level.stream)
            tags = _tags(level, offset) | level.more
            if test:
                tags[270] = ("ascii", f"TODOKE synthetic{TEST_DESCRIPTION}")
            link = _directory(file.write, file.tell, file.seek, tags, link)
    return path


def _tags(level: Level, offset: int) -> dict[int, tuple[str, Value]]:
    per_cm = round(10_000_000 / level.spacing_um)
    tags: dict[int, tuple[str, Value]] = {
        256: ("long", level.width),
        257: ("long", level.length),
        258: ("short", (8, 8, 8)),
        259: ("short", 7),
        262: ("short", 6),
        271: ("ascii", "Hamamatsu"),
        272: ("ascii", "C9600-12"),
        273: ("long", offset),
        277: ("short", 3),
        278: ("long", level.length),
        279: ("long", len(level.stream)),
        282: ("rational", (per_cm, 1000)),
        283: ("rational", (per_cm, 1000)),
        296: ("short", 3),
        305: ("ascii", "NDP.scan 0.0 TODOKE"),
        306: ("ascii", "2026:04:01 09:15:00"),
        65420: ("short", 1),
        65421: ("float", level.lens),
        65424: ("slong", level.focal_plane),
        65442: ("ascii", "TODOKETEST"),
    }
    found = starts(level.stream)
    if level.told and len(found) > 1:
        tags[65426] = ("long", found)
    return tags


def _directory(
    write: Callable[[bytes], object],
    tell: Callable[[], int],
    seek: Callable[[int], object],
    tags: dict[int, tuple[str, Value]],
    link: int,
) -> int:
    """Write a directory behind its values, and link it; return where its own link stands."""
    entries: list[tuple[int, int, int, bytes]] = []
    for tag, (kind, value) in sorted(tags.items()):
        raw, count = _packed(kind, value)
        if len(raw) > 4 and not (kind == "long" and count == 1):
            at = tell()
            write(raw + b"\0" * (len(raw) % 2))
            raw = struct.pack("<Q", at)
        entries.append((tag, _KINDS[kind], count, raw.ljust(8, b"\0")))
    here = tell() + tell() % 2
    seek(here)
    write(struct.pack("<H", len(entries)))
    for tag, number, count, raw in entries:
        write(struct.pack("<HHL", tag, number, count) + raw[:4])
    write(bytes(8))
    write(b"".join(raw[4:8] for *_, raw in entries))
    end = tell()
    seek(link)
    write(struct.pack("<Q", here))
    seek(end)
    return here + 2 + 12 * len(entries)


def _packed(kind: str, value: Value) -> tuple[bytes, int]:
    if isinstance(value, str):
        raw = value.encode() + b"\0"
        return raw, len(raw)
    if isinstance(value, int | float):
        if kind == "long":
            return struct.pack("<Q", value), 1  # the high word goes behind the entries
        form = {"short": "<H", "slong": "<l", "float": "<f"}[kind]
        return struct.pack(form, value), 1
    if kind == "rational":
        return struct.pack("<2L", *value), 1
    return struct.pack(f"<{len(value)}{'H' if kind == 'short' else 'L'}", *value), len(value)


def write_vms(
    folder: Path,
    name: str,
    base: Picture,
    small: Picture,
    macro: Picture,
    columns: int,
    *,
    um: float = 0.499,
) -> Path:
    """Write a VMS slide: a text file, and beside it picture, map, macro and offsets.

    Parameters
    ----------
    base, small, macro
        rows x columns x 3, RGB; base and small a whole number of 8 x `columns` pixels.
    columns
        Width of a restart interval.
    um
        Micrometres a pixel.
    """
    stream = coded(base, columns)
    (folder / f"{name}.jpg").write_bytes(stream)
    (folder / f"{name}_map2.jpg").write_bytes(coded(small, columns))
    (folder / f"{name}_macro.jpg").write_bytes(coded(macro, 0))
    across = base.shape[1] // columns
    rows = starts(stream)[::across]
    (folder / f"{name}.opt").write_bytes(b"".join(struct.pack("<Q32x", at) for at in rows))
    path = folder / f"{name}.vms"
    path.write_text(
        "[Virtual Microscope Specimen]\r\nNoLayers=1\r\nNoJpegColumns=1\r\nNoJpegRows=1\r\n"
        f"ImageFile={name}.jpg\r\nMapFile={name}_map2.jpg\r\nMacroImage={name}_macro.jpg\r\n"
        f"OptimisationFile={name}.opt\r\nSourceLens=20\r\nAuthCode=0\r\n"
        f"PhysicalWidth={round(base.shape[1] * um * 1000)}\r\n"
        f"PhysicalHeight={round(base.shape[0] * um * 1000)}\r\n"
        f"Reference=TODOKE synthetic{TEST_DESCRIPTION}\r\n",
        encoding="ascii",
        newline="",
    )
    return path


# -- one small slide of each form ---------------------------------------------------

_INTERVAL = 272
_PLANE_NM = 1500
_FIELD = 832, 1088  # rows, columns: whole intervals, at half and a quarter size too


def _pyramid(levels: list[Picture]) -> list[Picture]:
    field = Image.fromarray(levels[0][: _FIELD[0], : _FIELD[1]])
    return [np.asarray(field), *(np.asarray(field.reduce(factor)) for factor in (2, 4))]


def _ndpi(path: Path, stacks: list[list[Picture]], um: float) -> None:
    found = [
        Level(
            coded(pixels, _INTERVAL),
            pixels.shape[1],
            pixels.shape[0],
            20.0 / 2**number,
            um * 2**number,
            _PLANE_NM * (plane - len(stacks) // 2),
        )
        for plane, pyramid in enumerate(stacks)
        for number, pixels in enumerate(pyramid)
    ]
    macro = np.ascontiguousarray(stacks[0][-1][:200])
    found.append(Level(coded(macro, 0), macro.shape[1], macro.shape[0], -1.0, 64.0))
    write_ndpi(path, found)


def sample_ndpi(path: Path, levels: list[Picture], um: float) -> None:
    """Write an NDPI of the largest of `levels`, `um` micrometres a pixel."""
    _ndpi(path, [_pyramid(levels)], um)


def sample_stack(path: Path, levels: list[Picture], um: float) -> None:
    """Write an NDPI of three focal planes; the middle one is sharp."""
    sharp = _pyramid(levels)[1:]
    soft = [
        np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(2))) for pixels in sharp
    ]
    _ndpi(path, [soft, sharp, soft], um * 2)


def sample_vms(path: Path, levels: list[Picture], um: float) -> None:
    """Write a VMS slide, its parts beside it."""
    base, _, small = _pyramid(levels)
    write_vms(path.parent, path.stem, base, small, small, _INTERVAL, um=um)
