"""Decoded samples against other decoders, and against the native originals of WG-04."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openjpeg.utils import decode as openjpeg_decode
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.uid import RLELossless

from common.dicom import dataset, digest, samples
from common.dicom.samples import Shape
from common.errors import InputError, NotDicom

FOLDERS = ("wg04", "cornerstone3D", "pydicom", "pydicom-data", "highdicom", "dicomParser")
#: Fragments without an offset table in an image of several frames: no D3.
UNCERTAIN = ".fragmented_no_bot"
#: A file that is broken on purpose, and two whose codestream has another sign or precision.
NONE_OF = {
    "emri_small_jpeg_2k_lossless_too_short.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "693_J2KR.dcm",
}


def coded(real_data: Path, syntaxes: set[str]) -> list[Path]:
    found = []
    for folder in FOLDERS:
        for path in sorted((real_data / "dicom" / folder).rglob("*")):
            try:
                if not path.is_file() or dataset.read_part10(path).transfer_syntax_uid not in (
                    syntaxes
                ):
                    continue
                header, _ = dataset.open_header(path)
            except NotDicom:
                continue
            if "BitsAllocated" in header:
                found.append(path)
    return found


def our_frames(path: Path) -> list[bytes]:
    part = dataset.read_part10(path)
    header, at = dataset.open_header(path)
    fd = os.open(path, os.O_RDONLY)
    try:
        pixels = dataset.find_pixels(fd, at, path.stat().st_size, part.transfer_syntax_uid)
        assert pixels is not None
        return list(samples.frames(fd, pixels, Shape.of(header), part.transfer_syntax_uid))
    finally:
        os.close(fd)


def native_value(ds: Any) -> bytes:
    """The native value as pydicom's decoder makes it, with its own plugins."""
    syntax = ds.file_meta.TransferSyntaxUID
    if syntax in (samples.RLE, samples.JPEG_LS):
        plugin = "pydicom" if syntax == samples.RLE else "pyjpegls"
        ds.pixel_array_options(raw=True, decoding_plugin=plugin)
        array = ds.pixel_array
    else:
        count = int(ds.get("NumberOfFrames") or 1)
        frames = generate_frames(ds.PixelData, number_of_frames=count)
        array = np.stack([openjpeg_decode(frame) for frame in frames])
    if ds.get("SamplesPerPixel", 1) > 1 and ds.get("PlanarConfiguration") == 1:
        array = np.moveaxis(array, -1, -3)
    return bytes(array.astype(f"{array.dtype.kind}{ds.BitsAllocated // 8}").tobytes())


@pytest.mark.requirement("DIR-06")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", [samples.JPEG_2000, samples.JPEG_LS, samples.RLE])
def test_samples_are_those_of_another_decoder(real_data: Path, syntax: str) -> None:
    compared = 0
    for path in coded(real_data, {syntax}):
        ds = dcmread(path)
        several = int(ds.get("NumberOfFrames") or 1) > 1
        if path.name in NONE_OF or ds.BitsAllocated == 1 or (UNCERTAIN in path.name and several):
            with pytest.raises(InputError):  # NotDicom is one
                our_frames(path)
            continue
        found = b"".join(our_frames(path))
        try:
            other = native_value(ds)
        except RuntimeError:  # pyjpegls joins no fragments, and stops at what pads some streams
            assert syntax == samples.JPEG_LS
            continue
        assert found == other, path
        compared += 1
    assert compared > 10


@pytest.mark.requirement("DIR-06")
@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_lossless_jpeg_gives_the_samples_of_dcmtk(real_data: Path, tmp_path: Path) -> None:
    compared = 0
    for path in coded(real_data, set(samples.JPEG_LOSSLESS)):
        if UNCERTAIN in path.name:
            continue
        # DCMTK must not change colours or planes
        command = ["/usr/bin/dcmdjpeg", "--conv-never", "--planar-auto"]
        files = [str(path), str(tmp_path / "native")]
        done = subprocess.run([*command, *files], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        ds = dcmread(tmp_path / "native")
        frames = b"".join(our_frames(path))
        assert frames == ds.PixelData[: len(frames)], path
        compared += 1
    assert compared > 5


@pytest.mark.requirement("DIR-06")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("coding", ["JPLL", "JLSL", "J2KR", "RLE"])
def test_d3_of_a_coding_is_that_of_its_original(real_data: Path, coding: str) -> None:
    compared = 0
    for path in sorted((real_data / "dicom/wg04" / coding).iterdir()):
        original = real_data / "dicom/wg04/REF" / path.name.replace(coding, "UNC")
        if not original.exists():
            continue
        found = []
        for one in (original, path):
            part = dataset.read_part10(one)
            found.append(digest.of_file(one, part.offset, part.transfer_syntax_uid, decoded=True))
        if dcmread(original).PixelData != b"" and found[0].d3 is not None:
            same = digest.descriptor(dcmread(original)) == digest.descriptor(dcmread(path))
            assert (found[0].d3 == found[1].d3) is same, path
            compared += same
    assert compared > 2


def test_d3_of_lossy_pixels_is_never_made(real_data: Path) -> None:
    lossy = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91"}
    paths = coded(real_data, {*lossy, "1.2.840.10008.1.2.4.203"})
    assert len(paths) > 5
    for path in paths:
        part = dataset.read_part10(path)
        found = digest.of_file(path, part.offset, part.transfer_syntax_uid, decoded=True)
        assert (found.d2 is None, found.d3 is None) == (False, True)


# -- no doubtful samples ------------------------------------------------------

SHAPE = Shape(9, 7, 1, 16, 12, signed=True)
FRAME = np.arange(-30, 33, dtype="<i2").reshape(9, 7)
CODES = {
    samples.HTJ2K: bytes(imagecodecs.htj2k_encode(FRAME, reversible=True)),
    samples.JPEG_2000: bytes(imagecodecs.jpeg2k_encode(FRAME, reversible=True, codecformat="j2k")),
    samples.JPEG_LS: bytes(imagecodecs.jpegls_encode(FRAME.view("<u2"))),
}


@pytest.mark.parametrize("syntax", sorted(CODES))
@pytest.mark.parametrize(
    "other",
    [
        Shape(7, 9, 1, 16, 12, signed=True),
        Shape(9, 7, 3, 16, 12, signed=True),
        Shape(9, 7, 1, 8, 8, signed=True),
    ],
)
def test_a_code_of_another_shape_has_no_samples(syntax: str, other: Shape) -> None:
    assert samples.decode(CODES[syntax], SHAPE, syntax) == FRAME.tobytes()
    with pytest.raises(InputError):
        samples.decode(CODES[syntax], other, syntax)


# not JPEG-LS: CharLS takes seconds to see that some damaged codes have no end; and not
# HTJ2K: OpenJPH dies of some headers (a receiver decodes in processes apart)
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 200), st.integers(0, 7), st.integers(0, 80))
def test_a_damaged_code_has_samples_of_the_shape_or_none(at: int, bit: int, cut: int) -> None:
    syntax = samples.JPEG_2000
    code = bytearray(CODES[syntax])
    code[at % len(code)] ^= 1 << bit
    try:
        frame = samples.decode(bytes(code[: len(code) - cut]), SHAPE, syntax)
    except InputError:
        return
    assert len(frame) == SHAPE.frame_bytes


@given(st.binary(max_size=300))
def test_any_bytes_are_samples_or_an_input_error(code: bytes) -> None:
    for syntax in samples.LOSSLESS | {"1.2.840.10008.1.2.4.50"}:
        with pytest.raises(InputError):
            samples.decode(code, SHAPE, syntax)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("allocated", [8, 16])
def test_runs_come_out_as_the_planes_of_the_header(planar: int, allocated: int) -> None:
    values = np.random.default_rng(3).integers(0, 250, (6, 5, 3)).astype(f"<u{allocated // 8}")
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.Rows, ds.Columns, ds.SamplesPerPixel = 6, 5, 3
    ds.BitsAllocated = ds.BitsStored = allocated
    ds.PixelRepresentation = ds.PlanarConfiguration = 0
    ds.PhotometricInterpretation, ds.SOPInstanceUID = "RGB", "1.2"
    ds.compress(RLELossless, values, encoding_plugin="pydicom", generate_instance_uid=False)
    (code,) = generate_frames(ds.PixelData, number_of_frames=1)
    shape = Shape(6, 5, 3, allocated, allocated, planar=bool(planar))
    expected = np.moveaxis(values, 2, 0) if planar else values
    assert samples.decode(code, shape, samples.RLE) == expected.tobytes()


@pytest.mark.parametrize(
    "change",
    [{"Rows": None}, {"BitsAllocated": 1}, {"Rows": 0}, {"SamplesPerPixel": 9}, {"BitsStored": 17}],
)
def test_a_header_that_describes_no_samples_has_no_shape(change: dict[str, Any]) -> None:
    header = Dataset()
    header.Rows, header.Columns, header.BitsAllocated = 4, 4, 16
    assert Shape.of(header) == Shape(4, 4, 1, 16, 16)
    for keyword, value in change.items():
        setattr(header, keyword, value)
    with pytest.raises(InputError):
        Shape.of(header)
