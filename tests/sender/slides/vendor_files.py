"""Vendor files made in the test: Aperio SVS through tifffile, broken TIFF by hand."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile

from sender.slides import SlideCase
from sender.slides.icc import assumed_srgb

CASE = SlideCase(
    patient_name="TAKAHASHI^HANAKO=髙橋^花子=タカハシ^ハナコ",
    patient_id="0012345",
    issuer="1312345678",
    birth_date="19500401",
    sex="F",
    accession_number="P26-000123",
    study_uid="2.25.7001",
    series_uid="2.25.7002",
    study_date="20260401",
    study_time="093000",
    container_id="P26-000123-1-A",
    uid_seed="transfer-1",
    created="20260401094500+0900",
    institution_name="届け市立病院",
    send_label=True,
    send_macro=True,
)


def tissue(width: int, height: int, seed: int = 1) -> np.ndarray[Any, Any]:
    """Smooth colours with some grain, so that JPEG has something of every frequency."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [128 + 90 * np.sin(x / (17 + 5 * c) + y / (23 - 4 * c) + c) for c in range(3)]
    noise = rng.normal(0, 12, (height, width, 3))
    return np.clip(np.stack(waves, axis=2) + noise, 0, 255).astype(np.uint8)


def split(stream: bytes) -> list[tuple[int, bytes]]:
    """Marker segments of a JPEG stream; the scan with its data is the last."""
    found, at = [], 2
    while True:
        marker = stream[at + 1]
        if marker == 0xDA:
            found.append((marker, stream[at:-2]))
            return found
        (length,) = struct.unpack_from(">H", stream, at + 2)
        found.append((marker, stream[at : at + 2 + length]))
        at += 2 + length


def abbreviated(pixels: np.ndarray[Any, Any], *, rgb: bool, chroma: str) -> tuple[bytes, bytes]:
    """Tables and tile as Aperio stores them: components 0, 1, 2, no APP marker."""
    space = "RGB" if rgb else "YCBCR"
    whole = imagecodecs.jpeg8_encode(
        pixels, level=80, colorspace="RGB", outcolorspace=space, subsampling=chroma
    )
    tables, tile = [], []
    for marker, segment in split(bytes(whole)):
        if marker in {0xDB, 0xC4}:
            tables.append(segment)
        elif marker in {0xC0, 0xDA}:
            names = bytearray(segment)
            first, step = (10, 3) if marker == 0xC0 else (5, 2)
            for i in range(3):
                names[first + step * i] = i
            tile.append(bytes(names))
    return b"\xff\xd8" + b"".join(tables) + b"\xff\xd9", b"\xff\xd8" + b"".join(tile) + b"\xff\xd9"


@dataclass
class Svs:
    """What a synthetic SVS is to be; `write` makes it."""

    width: int = 1000
    height: int = 700
    tile: int = 128
    factors: tuple[int, ...] = (1, 2, 4)
    rgb: bool = False
    chroma: str = "420"
    icc: bytes = b""
    holes: frozenset[int] = frozenset()
    label: bool = True
    macro: bool = True
    strip_rows: int = 16  # tifffile makes it a multiple of 16
    strips: str = "abbreviated"  # or: whole, restarts
    bigtiff: bool = False
    test: bool = False
    mpp: str = "0.2500"
    keys: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> Path:
        with tifffile.TiffWriter(path, bigtiff=self.bigtiff) as tiff:
            self._level(tiff, self.factors[0], self.holes)
            self._strips(tiff, tissue(301, round(301 * self.height / self.width), 5), "", 0)
            for factor in self.factors[1:]:
                self._level(tiff, factor, frozenset())
            if self.label:
                tiff.write(
                    tissue(161, 203, 7),
                    compression="lzw",
                    predictor=True,
                    rowsperstrip=20,
                    photometric="rgb",
                    description="Aperio Image Library v12.0.15\r\nlabel 161x203",
                    metadata=None,
                    software=False,
                    subfiletype=1,
                )
            if self.macro:
                self._strips(tiff, tissue(401, 139, 6), "macro 401x139", 9)
        return path

    def _options(self) -> dict[str, Any]:
        chroma = {"420": (2, 2), "422": (2, 1), "444": (1, 1)}[self.chroma]
        options = {"compression": "jpeg", "metadata": None, "software": False}
        if self.rgb:  # tifffile would write YCbCr otherwise
            return options | {"photometric": "rgb", "compressionargs": {"outcolorspace": "rgb"}}
        return options | {"photometric": "ycbcr", "subsampling": chroma}

    def _description(self, width: int, height: int) -> str:
        kind = "RGB" if self.rgb else "YCC"
        keys = {
            "AppMag": "40",
            "MPP": self.mpp,
            "ScanScope ID": "SS1234",
            "Date": "03/31/26",
            "Time": "10:11:12",
        } | self.keys
        pairs = "".join(f"|{name} = {value}" for name, value in keys.items() if value)
        return (
            f"Aperio Image Library v12.0.15\r\n{self.width}x{self.height} "
            f"[0,0 {width}x{height}] ({self.tile}x{self.tile}) JPEG/{kind} Q=80{pairs}"
            + ("|todoke = TEST" if self.test else "")
        )

    def _level(self, tiff: tifffile.TiffWriter, factor: int, holes: frozenset[int]) -> None:
        width, height, tile = self.width // factor, self.height // factor, self.tile
        pixels = tissue(width, height, factor)
        across, down = -(-width // tile), -(-height // tile)
        padded = np.pad(
            pixels, ((0, down * tile - height), (0, across * tile - width), (0, 0)), mode="edge"
        )

        def parts(i: int) -> tuple[bytes, bytes]:
            y, x = divmod(i, across)
            part = padded[y * tile : (y + 1) * tile, x * tile : (x + 1) * tile]
            return abbreviated(np.ascontiguousarray(part), rgb=self.rgb, chroma=self.chroma)

        def tiles() -> Iterator[bytes]:
            for i in range(across * down):
                yield b"" if i in holes else parts(i)[1]

        tiff.write(
            tiles(),
            shape=(height, width, 3),
            dtype=np.uint8,
            tile=(tile, tile),
            jpegtables=parts(0)[0],
            description=self._description(width, height),
            iccprofile=self.icc or None,
            **self._options(),
        )

    def _strips(
        self, tiff: tifffile.TiffWriter, pixels: np.ndarray[Any, Any], second: str, kind: int
    ) -> None:
        height, width, _ = pixels.shape
        rows = self.strip_rows
        second = second or f"1x1 -> {width}x{height} - "
        parts = [np.ascontiguousarray(pixels[y : y + rows]) for y in range(0, height, rows)]
        if self.strips == "whole":  # tables of its own in each strip
            whole = [bytes(imagecodecs.jpeg8_encode(part, optimize=True)) for part in parts]
            made = [(b"", strip) for strip in whole]
        else:
            made = [abbreviated(part, rgb=self.rgb, chroma=self.chroma) for part in parts]
        if self.strips == "restarts":  # an interval that is never reached
            made = [(tables, s[:2] + b"\xff\xdd\0\x04\xff\xff" + s[2:]) for tables, s in made]
        tiff.write(
            iter([strip for _, strip in made]),
            shape=pixels.shape,
            dtype=np.uint8,
            rowsperstrip=rows,
            jpegtables=made[0][0] or None,
            subfiletype=kind,
            description=f"Aperio Image Library v12.0.15\r\n{second}",
            **self._options(),
        )


OTHER_PROFILE = assumed_srgb().replace(
    "(assumed".encode("utf-16-be"), "(scanner".encode("utf-16-be")
)


def tiff_bytes(
    tags: dict[int, tuple[int, int, bytes]],
    *,
    big: bool = False,
    next_at: int | None = None,
    tail: bytes = b"",
) -> bytes:
    """A one-directory little-endian TIFF from raw entries: tag -> (type, count, value bytes).

    Values longer than a word go behind the directory.
    """
    word, entry = (8, "<HHQ") if big else (4, "<HHL")
    head = b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) if big else b"II*\0" + struct.pack("<L", 8)
    count = struct.pack("<Q" if big else "<H", len(tags))
    size = len(head) + len(count) + len(tags) * (struct.calcsize(entry) + word) + word
    body, behind = b"", b""
    for tag, (kind, number, value) in sorted(tags.items()):
        body += struct.pack(entry, tag, kind, number)
        if len(value) <= word:
            body += value.ljust(word, b"\0")
        else:
            body += (size + len(behind)).to_bytes(word, "little")
            behind += value
    link = (0 if next_at is None else next_at).to_bytes(word, "little")
    return head + count + body + link + behind + tail


def aperio_tags(
    width: int, length: int, tile: int, offsets: np.ndarray[Any, Any], counts: np.ndarray[Any, Any]
) -> dict[int, tuple[int, int, bytes]]:
    """Entries of one level of an Aperio file with JPEG/RGB tiles."""

    def short(value: int) -> tuple[int, int, bytes]:
        return 3, 1, struct.pack("<H", value)

    def long(value: int) -> tuple[int, int, bytes]:
        return 4, 1, struct.pack("<L", value)

    text = b"Aperio Image Library v12.0.15\r\n|AppMag = 20|MPP = 0.5\0"
    return {
        256: long(width),
        257: long(length),
        258: (3, 3, struct.pack("<3H", 8, 8, 8)),
        259: short(7),
        262: short(2),
        270: (2, len(text), text),
        277: short(3),
        322: short(tile),
        323: short(tile),
        324: (16, len(offsets), offsets.astype("<u8").tobytes()),
        325: (4, len(counts), counts.astype("<u4").tobytes()),
    }
