"""A layout is the same data set whichever way its bytes are put down."""

from __future__ import annotations

import io
import random
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames, parse_basic_offsets
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_file_meta_info
from pydicom.uid import UID, JPEGBaseline8Bit

from common.dicom.layout import Layout
from common.errors import InputError, IntegrityError

GIB4 = 1 << 32


def header(frames: int) -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.6"
    dataset.SOPInstanceUID = "2.25.1"
    dataset.SamplesPerPixel = 1
    dataset.NumberOfFrames = frames
    dataset.Rows = dataset.Columns = 16
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def part10(data_set: bytes) -> Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.77.1.6")
    meta.MediaStorageSOPInstanceUID = UID("2.25.1")
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    buffer = DicomBytesIO()
    buffer.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(buffer, meta, enforce_standard=True)
    buffer.write(data_set)
    return dcmread(io.BytesIO(buffer.getvalue()))


frames_of = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=40)


@given(frames=frames_of, seed=st.integers())
def test_streamed_and_placed_bytes_are_equal(frames: list[bytes], seed: int) -> None:
    layout = Layout(header(len(frames)), [len(frame) for frame in frames])
    streamed = b"".join(layout.stream(lambda i: frames[i]))
    laid = bytearray(b"\xaa" * layout.length)
    laid[: len(layout.head)] = layout.head
    laid[layout.length - len(layout.tail) :] = layout.tail
    order = list(range(len(frames)))
    random.Random(seed).shuffle(order)
    for i in order:
        offset, data = layout.place(i, memoryview(frames[i]))
        laid[offset : offset + len(data)] = data
    assert len(streamed) == layout.length
    assert bytes(laid) == streamed


@given(frames=frames_of)
def test_pydicom_finds_each_frame(frames: list[bytes]) -> None:
    layout = Layout(header(len(frames)), [len(frame) for frame in frames])
    streamed = b"".join(layout.stream(lambda i: frames[i]))
    read = part10(streamed)
    found = list(generate_frames(read.PixelData, number_of_frames=len(frames)))
    assert found == [frame + b"\0" * (len(frame) % 2) for frame in frames]
    offsets = parse_basic_offsets(read.PixelData)
    first = layout.offset(0) - 8
    assert offsets == [layout.offset(i) - 8 - first for i in range(len(frames))]
    for i, frame in enumerate(frames):
        assert streamed[layout.offset(i) :].startswith(frame)
        assert streamed[layout.offset(i) - 8 : layout.offset(i)] == layout.item(i)
    pairs = struct.unpack(f"<{2 * len(frames)}Q", layout.frame_table())
    assert pairs[::2] == tuple(layout.offset(i) for i in range(len(frames)))
    assert pairs[1::2] == tuple(len(frame) for frame in frames)


def walk_offsets(layout: Layout, lengths: list[int]) -> list[int]:
    """Item header offsets by counting, the way a reader walks them."""
    offsets, at = [], 0
    for length in lengths:
        offsets.append(at)
        at += 8 + length + length % 2
    return offsets


@given(st.lists(st.integers(1, 0xFFFFFFFE), min_size=1, max_size=60))
def test_offsets_are_those_a_walk_over_the_items_finds(lengths: list[int]) -> None:
    layout = Layout(header(len(lengths)), lengths)
    walked = walk_offsets(layout, lengths)
    assert [layout.offset(i) - 8 - len(layout.head) for i in range(len(lengths))] == walked
    total = walked[-1] + 8 + lengths[-1] + lengths[-1] % 2
    assert layout.length == len(layout.head) + total + 8
    assert layout.extended == (total >= GIB4)
    read = part10(layout.head + layout.tail)
    if layout.extended:
        assert np.frombuffer(read.ExtendedOffsetTable, "<u8").tolist() == walked
        even = [length + length % 2 for length in lengths]
        assert np.frombuffer(read.ExtendedOffsetTableLengths, "<u8").tolist() == even
        assert parse_basic_offsets(read.PixelData) == []
    else:
        assert "ExtendedOffsetTable" not in read
        assert parse_basic_offsets(read.PixelData) == walked


@pytest.mark.requirement("WSI-14")
@pytest.mark.parametrize(("spare", "extended"), [(2, False), (0, True)])
def test_the_extended_table_begins_at_4_gib_exactly(spare: int, extended: bool) -> None:
    half = GIB4 // 2 - 8
    layout = Layout(header(2), [half, half - spare])
    assert layout.extended is extended
    assert layout.length == len(layout.head) + GIB4 - spare + 8


@pytest.mark.requirement("WSI-14")
def test_a_layout_of_many_frames_stays_small() -> None:
    import tracemalloc

    lengths = np.random.default_rng(1).integers(1, 90_000, 130_000)
    tracemalloc.start()
    try:
        layout = Layout(header(130_000), lengths)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert layout.extended
    assert peak < 16e6  # 130,000 frames: 1 MB per column of 64 bit values


def test_a_frame_of_another_length_is_refused() -> None:
    layout = Layout(header(1), [5])
    with pytest.raises(IntegrityError):
        layout.place(0, b"four")
    with pytest.raises(IntegrityError):
        list(layout.stream(lambda i: b"sixsix"))


@pytest.mark.parametrize("i", [-1, 2])
def test_a_frame_that_is_not_there_is_refused(i: int) -> None:
    with pytest.raises(InputError):
        Layout(header(2), [1, 1]).offset(i)


@pytest.mark.parametrize(
    "lengths", [[], [0], [4, -1], [0xFFFFFFFF], [1 << 70], [1.5], ["4"], [[4]], [True, None]]
)
def test_lengths_that_no_data_set_can_have_are_refused(lengths: list[Any]) -> None:
    with pytest.raises(InputError):
        Layout(header(1), lengths)


def test_a_header_of_odd_length_is_refused() -> None:
    with pytest.raises(InputError):
        Layout(b"odd", [2])
