"""Identity, header and pixels of a data set, read from its bytes."""

from __future__ import annotations

import io
import os
import struct
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames

from common.dicom import dataset, uids
from common.errors import NotDicom
from tests.system.series import write_series

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
UIDS = st.integers(0, 1 << 120).map(lambda n: f"2.25.{n}")
FOLDERS = ("wg04", "cornerstone3D", "ct_philips_phantom", "mr_enhanced")


@given(UIDS, UIDS, st.sampled_from(sorted(uids.TRANSFER_SYNTAXES)))
def test_the_prefix_is_what_pydicom_reads(sop_class: str, uid: str, syntax: str) -> None:
    prefix = dataset.file_prefix(sop_class, uid, syntax)
    assert prefix == dataset.file_prefix(sop_class, uid, syntax)
    assert prefix[:132] == bytes(128) + b"DICM"
    meta = dcmread(io.BytesIO(prefix)).file_meta
    assert meta.FileMetaInformationGroupLength == len(prefix) - 144
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (sop_class, uid)
    assert meta.TransferSyntaxUID == syntax
    assert meta.ImplementationClassUID == uids.IMPLEMENTATION_CLASS_UID


def test_a_file_is_its_prefix_and_its_data_set(tmp_path: Path) -> None:
    (path,) = write_series(tmp_path / "a", 1, slices=1, side=8)
    part = dataset.read_part10(path)
    data = path.read_bytes()[part.offset :]
    assert len(data) == part.length
    again = tmp_path / "again.dcm"
    prefix = dataset.file_prefix(CT, part.sop_instance_uid, EXPLICIT)
    again.write_bytes(prefix + data)
    assert dcmread(again) == dcmread(path)
    read = dataset.read_part10(again)
    assert (read.offset, read.length) == (len(prefix), part.length)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_a_file_or_not_dicom(tmp_path: Path, some: bytes, marked: bool) -> None:
    path = tmp_path / "one"
    path.write_bytes(bytes(128) + b"DICM" + some if marked else some)
    try:
        part = dataset.read_part10(path)
    except NotDicom:
        return
    assert part.offset + part.length == path.stat().st_size


def _open(path: Path) -> tuple[int, Dataset, int]:
    header, at = dataset.open_header(path)
    return os.open(path, os.O_RDONLY), header, at


@pytest.mark.requirement("DAT-15")
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_pixels_never_lie_beyond_the_file(tmp_path: Path, data: st.DataObject) -> None:
    """Items of any lengths behind a pixel element: offsets inside the file, or NotDicom."""
    items = data.draw(st.lists(st.tuples(st.binary(max_size=40), st.integers(-3, 3)), max_size=5))
    body = b"".join(
        struct.pack("<HHI", 0xFFFE, 0xE000, max(0, len(some) + wrong)) + some
        for some, wrong in items
    )
    body += data.draw(
        st.sampled_from([b"\xfe\xff\xdd\xe0\0\0\0\0", b"", b"\xfe\xff\xdd", b"\0" * 9])
    )
    length = data.draw(st.sampled_from([0xFFFFFFFF, len(body), len(body) + 1, 0, 0xFFFFFFFE]))
    head = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, length)
    path = tmp_path / "one"
    path.write_bytes(b"12345678" + head + body)
    size = path.stat().st_size
    fd = os.open(path, os.O_RDONLY)
    try:
        pixels = dataset.find_pixels(fd, 8, size, EXPLICIT)
    except NotDicom:
        return
    finally:
        os.close(fd)
    assert pixels is not None
    assert pixels.offset + (pixels.length or 0) <= size
    for offset, count in pixels.fragments:
        assert 20 < offset <= offset + count <= size


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("folder", FOLDERS)
def test_the_frame_table_points_at_the_frames_that_pydicom_finds(
    real_data: Path, folder: str
) -> None:
    compared = 0
    for path in sorted((real_data / "dicom" / folder).rglob("*")):
        if not path.is_file() or path.stat().st_size > 4 << 20 or compared == 20:
            continue
        try:
            part = dataset.read_part10(path)
            fd, header, at = _open(path)
        except NotDicom:
            continue
        try:
            end = part.offset + part.length
            pixels = dataset.find_pixels(fd, at, end, part.transfer_syntax_uid)
            table = dataset.frame_table(pixels, header, part.offset) if pixels else None
        except NotDicom:
            continue
        finally:
            os.close(fd)
        if table is None:
            continue
        ds = dcmread(path)
        whole = path.read_bytes()[part.offset :]
        spans = list(struct.iter_unpack("<QQ", table))
        found = [whole[offset : offset + length] for offset, length in spans]
        if ds.file_meta.TransferSyntaxUID.is_encapsulated:
            count = int(ds.get("NumberOfFrames") or 1)
            assert found == list(generate_frames(ds.PixelData, number_of_frames=count))
        else:
            assert b"".join(found) == ds.PixelData[: sum(map(len, found))]
            assert len({len(frame) for frame in found}) == 1
        compared += 1
    assert compared > 2


@pytest.mark.parametrize(
    ("number", "read"),
    [("7", 7), ("-1", -1), (None, None), ("", None), ("9" * 12, 10**12 - 1)],
)
def test_an_instance_number_is_one_that_an_index_can_hold(
    number: str | None, read: int | None
) -> None:
    header = Dataset()
    if number is not None:
        header.InstanceNumber = number
    assert dataset.instance_number(header) == read


def test_no_identity_is_not_dicom(tmp_path: Path) -> None:
    (path,) = write_series(tmp_path / "a", 1, slices=1, side=8)
    for missing in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        ds = dcmread(path)
        delattr(ds, missing)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds.save_as(tmp_path / "less.dcm")
        with pytest.raises(NotDicom, match=missing):
            dataset.open_header(tmp_path / "less.dcm")
