"""Pixels that no decoder wants: stored as they came; one frame is an error, the rest is served."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from common.errors import DataSetCut
from receiver.verifying import Verifiers
from tests.hostile import dataset_codestreams as coded
from tests.hostile.dataset_objects import (
    PIXELS,
    UNDEFINED,
    Changes,
    Instance,
    element,
    encapsulated,
    implicit,
    instance,
    item,
    us,
)
from tests.hostile.dataset_rig import Standing, standing, verified

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom's, which the programs ignore too

JPEG, EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
J2K, HTJ2K = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201"
JPEG_LS, RLE = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.5"
EIGHT: Changes = {
    0x00280100: (b"US", us(8)), 0x00280101: (b"US", us(8)), 0x00280102: (b"US", us(7)),
}  # fmt: skip
HUGE: Changes = {0x00280010: (b"US", us(65535)), 0x00280011: (b"US", us(65535))}


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes
    ----------
    fails : bool
        Whether a picture of it cannot be made; else it may or may not be.
    frames : str
        The frames asked for.
    """

    number: int
    variant: str
    made: Instance
    fails: bool = False
    frames: str = "1"

    @property
    def param(self) -> Any:
        mark = pytest.mark.badinput(self.number, self.variant)
        return pytest.param(self, marks=mark, id=f"{self.number} {self.variant}")


def _native(number: int, variant: str, changes: Changes, *, fails: bool = False) -> Case:
    return Case(number, variant, instance(f"{number} {variant}", changes), fails)


def _coded(
    number: int,
    variant: str,
    syntax: str,
    fragments: list[bytes],
    changes: Changes = EIGHT,
    *,
    table: bytes = b"",
    fails: bool = False,
    frames: str = "1",
) -> Case:
    made = encapsulated(f"{number} {variant}", syntax, fragments, changes, table=table)
    return Case(number, variant, made, fails, frames)


def _number(tag: int, value: int) -> Changes:
    return {tag: (b"US", us(value))}


def _shapes() -> Iterator[Case]:
    few = {**HUGE, PIXELS: (b"OW", bytes(100))}
    yield _native(52, "65535 x 65535 with 100 bytes", few, fails=True)
    yield _native(53, "Rows as UL", {0x00280010: (b"UL", struct.pack("<I", 16))})
    yield _native(53, "Rows 0", _number(0x00280010, 0), fails=True)
    yield _native(53, "Rows missing", {0x00280010: None}, fails=True)
    yield _native(53, "Rows VM 2", {0x00280010: (b"US", us(16, 16))}, fails=True)
    yield _native(54, "frames 2^31-1", {0x00280008: (b"IS", b"2147483647")})
    for value in ("0", "-1", "abc"):
        text = value.encode() + b" " * (len(value) & 1)
        yield _native(54, f"frames {value}", {0x00280008: (b"IS", text)})
    for bits in (0, 1, 12, 64):
        yield _native(55, f"BitsAllocated {bits}", _number(0x00280100, bits), fails=bits == 0)
    yield _native(55, "BitsStored over BitsAllocated", _number(0x00280101, 40))
    yield _native(55, "HighBit odd", _number(0x00280102, 3))
    for samples in (0, 2, 255):
        yield _native(56, f"samples {samples}", _number(0x00280002, samples), fails=samples == 255)
    yield _native(56, "planar 2", {0x00280002: (b"US", us(3)), 0x00280006: (b"US", us(2))})
    yield _native(57, "longer", {PIXELS: (b"OW", bytes(700))})
    yield _native(57, "shorter", {PIXELS: (b"OW", bytes(300))}, fails=True)
    yield _native(57, "odd by 1", {PIXELS: (b"OB", bytes(513))})


def _offsets() -> Iterator[Case]:
    one = coded.jpeg()
    two: Changes = {**EIGHT, 0x00280008: (b"IS", b"2 ")}
    halves = [one[:200], one[200:]] * 2  # two fragments a frame, found by their table
    for variant, table in (
        ("BOT outside", struct.pack("<2I", 0, 1 << 30)),
        ("BOT not monotonic", struct.pack("<2I", 400, 0)),
    ):
        yield _coded(58, variant, JPEG, halves, two, table=table, frames="2")
    for variant, offsets in (
        ("EOT outside", (0, 1 << 40)),
        ("EOT not monotonic", (400, 0)),
        ("EOT 2^63", (0, 1 << 63)),
    ):
        extended: Changes = {
            **two,
            0x7FE00001: (b"OV", struct.pack("<2Q", *offsets)),
            0x7FE00002: (b"OV", struct.pack("<2Q", len(one), len(one))),
        }
        yield _coded(58, variant, JPEG, halves, extended, frames="2")
    yield _coded(59, "no fragment", JPEG, [], fails=True)
    yield _coded(59, "fragment of length 0", JPEG, [b""], fails=True)
    yield _coded(59, "count other than frames", JPEG, [one] * 3, two, frames="2")


def _codestreams() -> Iterator[Case]:
    yield _coded(60, "SOF size other than tags", JPEG, [coded.jpeg_of_size(8, 8)])
    large = coded.jpeg_of_size(65535, 65535)
    yield _coded(60, "65535 x 65535 of 1 kB", JPEG, [large], {**EIGHT, **HUGE}, fails=True)
    small = encapsulated("60 large in small tags", JPEG, [large], EIGHT)
    yield Case(60, "65535 x 65535 of 1 kB", small)
    yield _coded(60, "progressive bomb", JPEG, [coded.progressive_bomb()])
    yield _coded(60, "truncated JPEG", JPEG, [coded.jpeg()[:150]])
    yield _coded(60, "arithmetic", EXTENDED, [coded.jpeg_with_sof(0xC9)])
    yield _coded(60, "12-bit", EXTENDED, [coded.jpeg_with_sof(0xC1, 12)])
    yield _coded(61, "10^9 tiles of 1x1", J2K, [coded.j2k_tiles()])
    yield _coded(61, "16384 components", J2K, [coded.j2k_components()])
    yield _coded(61, "layers bomb", J2K, [coded.j2k_layers()])
    yield _coded(61, "HTJ2K broken", HTJ2K, [coded.htj2k_broken()])
    yield _coded(61, "NEAR out of range", JPEG_LS, [coded.jpegls_near()])
    run = b"\x81\x07" * 2
    yield _coded(62, "16 segments", RLE, [coded.rle(16, [64] * 15, run)], fails=True)
    yield _coded(62, "offsets backward", RLE, [coded.rle(2, [66, 64], run)], fails=True)
    yield _coded(62, "literal overrun", RLE, [coded.rle(1, [64], b"\x7f\x01")], fails=True)


def _palette(variant: str, entries: int, data: bytes) -> Case:
    changes: dict[int, Any] = {**EIGHT, 0x00280004: (b"CS", b"PALETTE COLOR ")}
    for channel in (1, 2, 3):
        changes[0x00281100 + channel] = (b"US", us(entries, 0, 16))
        changes[0x00281200 + channel] = (b"OW", data)
    changes[PIXELS] = (b"OB", bytes(range(256)))
    return _native(63, variant, changes)


def _tables() -> Iterator[Case]:
    yield _palette("descriptor 0 entries", 0, bytes(512))
    yield _palette("descriptor 65536", 0, bytes(131072))
    yield _palette("short data", 256, bytes(10))
    yield _palette("index out of range", 4, bytes(8))
    for value in ("0", "NaN", "1e308"):
        text = value.encode() + b" " * (len(value) & 1)
        slope = {0x00281052: (b"DS", b"1e308 "), 0x00281053: (b"DS", text)}
        yield _native(64, f"slope {value}", slope)
    for value in ("0", "-1"):
        text = value.encode() + b" " * (len(value) & 1)
        window = {0x00281050: (b"DS", b"40"), 0x00281051: (b"DS", text)}
        yield _native(64, f"window width {value}", window)
    for variant, group in (("overlay 65535 x 65535", 0x6000), ("group 60FF", 0x60FF)):
        overlay: Changes = {
            group << 16 | 0x10: (b"US", us(65535)),
            group << 16 | 0x11: (b"US", us(65535)),
            group << 16 | 0x50: (b"SS", struct.pack("<2h", 1, 1)),
            group << 16 | 0x100: (b"US", us(1)),
            group << 16 | 0x3000: (b"OW", bytes(100)),
        }
        yield _native(65, variant, overlay)
    head = struct.pack(">I", 1 << 31) + b"lcms\2\x10\0\0mntrRGB XYZ " + bytes(104)
    profile = head + struct.pack(">I", 0xFFFFFFFF) + bytes(8 << 20)
    yield _native(66, "profile bomb", {0x00282000: (b"OB", profile)})
    yield _native(66, "profile of rubbish", {0x00282000: (b"OB", b"\xff" * 600)})


MAKERS = (_shapes, _offsets, _codestreams, _tables)
CASES = [case for maker in MAKERS for case in maker()]
SERVED = {200, 406}


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with standing(tmp_path_factory.mktemp("pixels")) as made:
        yield made


@pytest.fixture(scope="module")
def verifiers(receiver: Standing) -> Iterator[Verifiers]:
    made = Verifiers(receiver.filled.index, receiver.filled.store)
    yield made
    made.close()


@pytest.fixture(scope="module")
def good(receiver: Standing) -> Instance:
    """An image beside all the others."""
    made = instance("good pixels")
    receiver.takes(made)
    return made


@pytest.mark.timeout(180)
@pytest.mark.parametrize("case", [case.param for case in CASES])
def test_one_frame_is_an_error_and_the_rest_is_served(
    receiver: Standing, verifiers: Verifiers, good: Instance, case: Case
) -> None:
    row = receiver.takes(case.made)
    at = receiver.at(case.made.uid)
    frame = receiver.viewer.get(f"{at}/frames/{case.frames}")
    assert frame.status_code in SERVED
    picture = receiver.viewer.get(f"{at}/frames/1/rendered")
    assert picture.status_code in ({406} if case.fails else SERVED)
    for answer in (frame, picture):
        if answer.status_code == 406:
            assert answer.json()["error"]["number"] == "E-4110"
    assert receiver.viewer.get(f"{at}/metadata").status_code == 200
    beside = receiver.viewer.get(f"{receiver.at(good.uid)}/frames/1/rendered")
    assert beside.status_code == 200
    assert beside.headers["content-type"] == "image/jpeg"
    assert verified(verifiers, row) == hashlib.sha256(case.made.data).hexdigest()


@pytest.mark.badinput(59, "sum over 4 GiB")
def test_fragments_longer_than_the_file_are_cut(receiver: Standing) -> None:
    made = instance("59 sum", {**EIGHT, PIXELS: None})
    items = item(b"") + item(bytes(100)) + item(bytes(100), 0xFFFFFF00) * 2
    pixels = element(PIXELS, b"OB", items, UNDEFINED) + implicit(0xFFFEE0DD, b"")
    receiver.refuses(replace(made, data=made.data + pixels, syntax=JPEG), DataSetCut)
