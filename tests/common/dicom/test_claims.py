"""What a file may claim, and what reading it may cost."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
from pydicom import Dataset

from common.dicom import budget, dataset, digest
from common.errors import NotDicom

CT = "1.2.840.10008.5.1.4.1.1.2"
DEFLATED = "1.2.840.10008.1.2.1.99"


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Encode one element, Explicit VR Little Endian, with any length it may claim."""
    group, number = tag >> 16, tag & 0xFFFF
    size = len(value) if length is None else length
    if vr in {b"OB", b"OW", b"UN"}:
        return struct.pack("<HH2sHI", group, number, vr, 0, size) + value
    return struct.pack("<HH2sH", group, number, vr, size) + value


IDENTITY = element(0x00080018, b"UI", b"1.2.3\0") + element(0x0020000D, b"UI", b"1.2\0")
IDENTITY += element(0x0020000E, b"UI", b"1.4\0")


@pytest.mark.requirement("DAT-15")
def test_no_more_is_inflated_than_a_header_may_have(tmp_path: Path) -> None:
    path = tmp_path / "bomb.dcm"
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    with path.open("wb") as file:
        file.write(dataset.file_prefix(CT, "1.2.3", DEFLATED))
        file.write(pack.compress(IDENTITY + element(0x00211010, b"OB", b"", 1 << 29)))
        for _ in range(512):
            file.write(pack.compress(bytes(1 << 20)))
        file.write(pack.flush())
    assert path.stat().st_size < 4 << 20
    tracemalloc.start()
    with pytest.raises(NotDicom):
        dataset.open_header(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * budget.HEADER_LIMIT


def test_a_deflated_header_is_read_with_what_comes_before_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    whole = IDENTITY + element(0x00280010, b"US", b"\7\0") + element(0x7FE00010, b"OW", bytes(98))
    pack = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    prefix = dataset.file_prefix(CT, "1.2.3", DEFLATED)
    path.write_bytes(prefix + pack.compress(whole) + pack.flush())
    header, _ = dataset.open_header(path)
    assert (header.SOPInstanceUID, header.Rows) == ("1.2.3", 7)
    assert "PixelData" not in header


@pytest.mark.requirement("DAT-15")
def test_a_header_larger_than_any_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.dcm"
    size = budget.HEADER_LIMIT + (1 << 20)
    prefix = dataset.file_prefix(CT, "1.2.3", "1.2.840.10008.1.2.1")
    with path.open("wb") as file:
        file.write(prefix + IDENTITY + element(0x00211010, b"OB", b"", size))
        file.truncate(file.tell() + size)
    with pytest.raises(NotDicom):
        dataset.open_header(path)


@pytest.mark.parametrize("said", ["2147483648", "-1", "0", "1e9", "abc"])
def test_a_number_of_frames_that_is_none_counts_as_one(said: str) -> None:
    header = Dataset()
    header.add_new(0x00280008, "LO", said)
    assert dataset.frame_count(header) == 1


def test_frames_of_nothing_make_no_table() -> None:
    header = Dataset()
    header.Rows, header.Columns, header.BitsAllocated = 0, 512, 16
    header.NumberOfFrames = dataset.FRAMES_LIMIT
    assert dataset.frame_table(dataset.Pixels(1000, 0), header, 0) is None
    header.Rows = header.Columns = 1
    many = budget.ITEMS_LIMIT + 1
    header.NumberOfFrames = many
    assert dataset.frame_table(dataset.Pixels(1000, 2 * many), header, 0) is None
    header.NumberOfFrames = 2
    assert dataset.frame_table(dataset.Pixels(1000, 4), header, 900) == struct.pack(
        "<4Q", 100, 2, 102, 2
    )


def test_a_value_that_is_several_is_digested_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.dcm"
    prefix = dataset.file_prefix(CT, "1.2.3", "1.2.840.10008.1.2.1")
    bits = element(0x00280100, b"US", b"\x10\0\x08\0")
    path.write_bytes(prefix + IDENTITY + bits + element(0x7FE00010, b"OW", bytes(98)))
    with pytest.raises(NotDicom):
        digest.of_file(path, len(prefix), "1.2.840.10008.1.2.1")
