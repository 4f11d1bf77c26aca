"""Coded and decoded again: the same instance, and what is odd goes as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openjpeg.utils import decode as openjpeg_decode
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRLittleEndian

from common import link
from common.dicom import dataset, digest
from common.dicom.samples import HTJ2K, JPEG_LS
from common.errors import NotDicom
from common.link import Digest
from common.workers import Worker, WorkerLost
from sender.compression import splice
from sender.compression.eligible import look
from sender.compression.splice import Spliced, compress

SYNTAXES = [HTJ2K, JPEG_LS]
CT = "1.2.840.10008.5.1.4.1.1.2"


def image(frame: Any, **changes: Any) -> Dataset:
    """A small instance; `frame` is rows x columns, frames or samples around it by `changes`."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = CT, "1.2.3"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.1", "1.2.2"
    ds.Rows, ds.Columns = frame.shape[:2]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8 * frame.itemsize
    ds.PixelRepresentation = int(frame.dtype.kind == "i")
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    if "HighBit" not in changes:
        ds.HighBit = ds.BitsStored - 1
    value = frame.tobytes()
    ds.PixelData = changes.get("PixelData", value + b"\0" * (len(value) % 2))
    ds["PixelData"].VR = "OB" if frame.itemsize == 1 else "OW"
    return ds


def encoded(ds: Dataset, folder: Path) -> tuple[Path, bytes]:
    """Write an instance; return its path and its data set."""
    path = folder / "native.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path, path.read_bytes()[dataset.read_part10(path).offset :]


def stored(spliced: Spliced, folder: Path) -> Path:
    """Write what was spliced as a receiver stores it."""
    path = folder / "coded.dcm"
    prefix = dataset.file_prefix(CT, "1.2.3", spliced.transfer_syntax_uid)
    path.write_bytes(prefix + b"".join(spliced.parts))
    assert path.stat().st_size == len(prefix) + spliced.length
    return path


def end(path: Path, syntax: str = "") -> Digest:
    """What an end finds of its own bytes."""
    part = dataset.read_part10(path)
    found = digest.of_file(path, part.offset, part.transfer_syntax_uid, decoded=True)
    rest = (found.rest or "") if syntax else ""
    return Digest("1.2.3", part.length, found.d1, found.d2, found.d3, syntax=syntax, rest=rest)


def smooth(*shape: int, dtype: str = "<i2") -> Any:
    """Something that compresses: a slope, a little noise."""
    values = np.indices(shape).sum(axis=0) + np.random.default_rng(1).integers(0, 3, shape)
    return values.astype(dtype)


KINDS: dict[str, Callable[[], Dataset]] = {
    "CT": lambda: image(smooth(40, 30) - 20),
    "12 of 16 bits": lambda: image(smooth(40, 30, dtype="<u2"), BitsStored=12),
    "12 of 16 bits, signed": lambda: image(smooth(40, 30) - 20, BitsStored=12),
    "8 bits": lambda: image(smooth(40, 30, dtype="u1")),
    "8 bits, signed": lambda: image(smooth(40, 30, dtype="i1")),
    "odd number of bytes": lambda: image(smooth(41, 31, dtype="u1")),
    "MONOCHROME1": lambda: image(smooth(40, 30), PhotometricInterpretation="MONOCHROME1"),
    "frames": lambda: image(smooth(40, 30), PixelData=smooth(120, 30).tobytes(), NumberOfFrames=3),
    "more after the pixels": lambda: image(smooth(40, 30), DataSetTrailingPadding=bytes(66)),
}  # fmt: skip


@pytest.mark.requirement("DIR-06")
@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("kind", KINDS)
def test_only_the_pixel_element_is_made_anew(tmp_path: Path, kind: str, syntax: str) -> None:
    path, data_set = encoded(KINDS[kind](), tmp_path)
    native = look(data_set)
    assert native is not None
    spliced = compress(data_set, native, syntax)
    assert spliced is not None
    assert spliced.length < len(data_set)
    whole = b"".join(spliced.parts)
    assert whole.startswith(data_set[: native.element])
    assert whole.endswith(data_set[native.end :])
    coded = stored(spliced, tmp_path)
    assert link.compare([end(path, syntax)], [end(coded, syntax)]) == []
    assert link.compare([end(path)], [end(coded)]) == ["1.2.3"], "strict where none was named"
    # pydicom sees the same data set around the same samples
    one, other = dcmread(path), dcmread(coded)
    for ds in (one, other):
        del ds.PixelData
    assert one == other


@pytest.mark.parametrize("kind", KINDS)
def test_another_decoder_reads_htj2k(tmp_path: Path, kind: str) -> None:
    path, data_set = encoded(KINDS[kind](), tmp_path)
    native = look(data_set)
    assert native is not None
    spliced = compress(data_set, native, HTJ2K)
    assert spliced is not None
    value = dcmread(stored(spliced, tmp_path)).PixelData
    frames = [
        openjpeg_decode(f) for f in generate_frames(value, number_of_frames=native.shape.frames)
    ]
    found = b"".join(np.asarray(frame).tobytes() for frame in frames)
    assert found == dcmread(path).PixelData[: len(found)]


@pytest.mark.peer
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "8 bits, signed"])
def test_dcmtk_reads_jpeg_ls(tmp_path: Path, kind: str) -> None:
    path, data_set = encoded(KINDS[kind](), tmp_path)
    native = look(data_set)
    assert native is not None
    spliced = compress(data_set, native, JPEG_LS)
    assert spliced is not None
    coded, decoded = stored(spliced, tmp_path), tmp_path / "decoded.dcm"
    command = ["/usr/bin/dcmdjpls", "--planar-auto", str(coded), str(decoded)]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 0, done.stderr
    length = native.shape.frames * native.shape.frame_bytes
    assert dcmread(decoded).PixelData[:length] == dcmread(path).PixelData[:length]


@pytest.fixture(scope="module")
def decoder() -> Iterator[Worker]:
    worker = Worker("receiver.verifier")
    yield worker
    worker.stop()


@pytest.mark.requirement("DIR-06")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # OpenJPH's
@settings(deadline=None, max_examples=150)
@given(st.data())
def test_no_changed_bit_of_samples_or_header_gets_through(
    decoder: Worker, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Any bit changed on the way, but for those that code nothing, is found."""
    folder = tmp_path_factory.mktemp("bits")
    syntax = HTJ2K  # not JPEG-LS: CharLS takes seconds to see that some codes have no end
    path, data_set = encoded(KINDS["more after the pixels"](), folder)
    native = look(data_set)
    assert native is not None
    spliced = compress(data_set, native, syntax)
    assert spliced is not None
    coded = stored(spliced, folder)
    whole = bytearray(coded.read_bytes())
    base = len(whole) - spliced.length
    at = data.draw(st.integers(base, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    coded.write_bytes(whole)
    # in a process apart, as at a receiver: OpenJPH dies of some damaged headers
    asked = {"do": "instance", "path": str(coded), "base": base, "syntax": syntax}
    try:
        good, answer = decoder.ask(asked, 20)
    except WorkerLost:
        return
    found: dict[str, Any] = json.loads(answer) if good else {"failed": ""}
    if "failed" in found:
        return
    held = Digest("1.2.3", found["length"], **found["digests"])
    if link.compare([end(path, syntax)], [held]) == []:
        code = native.element + 12 + 12 + 8  # element, offset table, item
        inside = code <= at - base < spliced.length - (len(data_set) - native.end) - 8
        assert inside, "a byte outside the codestream was changed"
        value = dcmread(coded).PixelData
        (frame,) = generate_frames(value, number_of_frames=1)
        try:
            seen = openjpeg_decode(frame).tobytes()
        except RuntimeError:
            return  # OpenJPH is more patient with a header; nobody sees other samples
        assert seen == dcmread(path).PixelData


@pytest.mark.requirement("DIR-06")
@pytest.mark.parametrize(
    ("at", "value"),
    [
        (4, b"UN"),  # VR
        (6, b"\1\0"),  # reserved
        (12 + 8, b"\1\0\0\0"),  # first offset of the table
        (12 + 8 + 4, b"\0\0\0\0"),  # second offset: that of the first frame
        (12 + 8 + 12 + 8 + 42, b"\x87"),  # precision of the first codestream: 8 bits, signed
        (-4, b"\2\0\0\0"),  # length of the delimiter
    ],
)
def test_what_is_said_around_the_samples_is_part_of_the_proof(
    tmp_path: Path, at: int, value: bytes
) -> None:
    path, data_set = encoded(KINDS["frames"](), tmp_path)
    native = look(data_set)
    assert native is not None
    spliced = compress(data_set, native, HTJ2K)
    assert spliced is not None
    coded = stored(spliced, tmp_path)
    whole = bytearray(coded.read_bytes())
    place = len(whole) - spliced.length + native.element + at if at >= 0 else len(whole) + at
    assert whole[place : place + len(value)] != value
    whole[place : place + len(value)] = value
    coded.write_bytes(whole)
    assert link.compare([end(path, HTJ2K)], [end(coded, HTJ2K)]) == ["1.2.3"]


@pytest.mark.requirement("DIR-06")
@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 20), st.integers(1, 20), st.sampled_from(["u1", "i1", "<u2", "<i2"]),
    st.sampled_from(SYNTAXES), st.randoms(use_true_random=False),
)  # fmt: skip
def test_any_samples_come_back(
    rows: int, columns: int, dtype: str, syntax: str, random: Any
) -> None:
    from common.dicom import samples
    from common.dicom.samples import Shape

    raw = random.randbytes(rows * columns * np.dtype(dtype).itemsize)
    bits = 8 * np.dtype(dtype).itemsize
    shape = Shape(rows, columns, 1, bits, bits, "i" in dtype)
    code = splice._code(memoryview(raw), shape, syntax)
    assert code is not None
    assert samples.decode(code, shape, syntax) == raw


# -- what goes as it was ------------------------------------------------------

ODD: dict[str, Callable[[], Dataset]] = {
    "RGB": lambda: image(
        smooth(8, 8, 3, dtype="u1"), SamplesPerPixel=3, PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
    ),
    "palette": lambda: image(smooth(8, 8), PhotometricInterpretation="PALETTE COLOR"),
    "32 bits": lambda: image(smooth(8, 8, dtype="<u4")),
    "1 bit": lambda: image(smooth(8, 8, dtype="u1"), BitsAllocated=1, BitsStored=1),
    "high bit": lambda: image(smooth(8, 8), BitsStored=12, HighBit=15),
    "planes": lambda: image(
        smooth(8, 8, 3, dtype="u1"), SamplesPerPixel=3, PhotometricInterpretation="RGB",
        PlanarConfiguration=1,
    ),
    "YBR": lambda: image(
        smooth(8, 8, 3, dtype="u1"), SamplesPerPixel=3, PhotometricInterpretation="YBR_FULL",
        PlanarConfiguration=0,
    ),
    "cut": lambda: image(smooth(8, 8), PixelData=smooth(8, 7).tobytes()),
    "too long": lambda: image(smooth(8, 8), PixelData=smooth(8, 9).tobytes()),
    "fewer frames": lambda: image(smooth(8, 8), NumberOfFrames=2),
    "no number of frames": lambda: image(smooth(8, 8), Rows=0, PixelData=b""),
}  # fmt: skip


@pytest.mark.parametrize("kind", ODD)
def test_what_is_odd_goes_as_it_was(tmp_path: Path, kind: str) -> None:
    _, data_set = encoded(ODD[kind](), tmp_path)
    assert look(data_set) is None


def test_signed_or_overlaid_or_floating_goes_as_it_was(tmp_path: Path) -> None:
    signed = image(smooth(8, 8))
    signed.MACParametersSequence = [Dataset()]
    overlaid = image(smooth(8, 8), BitsStored=12)
    overlaid.add_new(0x60000010, "US", 8)
    overlaid.add_new(0x60000102, "US", 12)
    floating = image(smooth(8, 8))
    floating.FloatPixelData = bytes(256)
    del floating.PixelData
    for ds in (signed, overlaid, floating):
        assert look(encoded(ds, tmp_path)[1]) is None
    overlaid.add_new(0x60000102, "US", 0)
    overlaid.add_new(0x60003000, "OW", bytes(8))
    assert look(encoded(overlaid, tmp_path)[1]) is not None, "an overlay of its own does not matter"


@given(st.binary(max_size=400), st.integers(0, 300))
@settings(deadline=None)
def test_any_bytes_go_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, cut: int
) -> None:
    assert look(data) is None
    _, data_set = encoded(image(smooth(8, 8)), tmp_path_factory.getbasetemp())
    assert look(data_set[: -1 - cut]) is None


@pytest.mark.parametrize("stored", [12, 16])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_unused_bits_that_hold_something_keep_an_image_as_it_was(
    tmp_path: Path, syntax: str, stored: int
) -> None:
    frame = smooth(40, 30, dtype="<u2")
    frame[0, 0] |= 1 << 13
    _, data_set = encoded(image(frame, BitsStored=stored), tmp_path)
    native = look(data_set)
    assert native is not None
    assert (compress(data_set, native, syntax) is None) is (stored == 12)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_noise_that_grows_goes_as_it_was(tmp_path: Path, syntax: str) -> None:
    noise = np.random.default_rng(2).integers(0, 1 << 16, (60, 60)).astype("<u2")
    _, data_set = encoded(image(noise), tmp_path)
    native = look(data_set)
    assert native is not None
    assert compress(data_set, native, syntax) is None


def test_a_codec_that_fails_keeps_an_image_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, data_set = encoded(image(smooth(40, 30)), tmp_path)
    native = look(data_set)
    assert native is not None

    def wrong(frame: Any) -> bytes:
        raise RuntimeError

    monkeypatch.setattr(splice, "_encoders", lambda: {HTJ2K: wrong})
    assert compress(data_set, native, HTJ2K) is None


TOGETHER = """
import sys, threading
import imagecodecs, numpy as np
from common.dicom.samples import HTJ2K
from sender.compression import splice
frame = (np.indices((64, 64)).sum(axis=0) * 37 % 4000).astype("<i2")
encode = splice._encoders()[HTJ2K]
codes, both = [b""] * 8, threading.Barrier(8)
sys.setswitchinterval(1e-5)
def work(place):
    both.wait()
    codes[place] = encode(frame)
threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(set(codes)) == 1, "not the same code"
assert (imagecodecs.htj2k_decode(codes[0]) == frame).all(), "other samples"
"""


@pytest.mark.requirement("DIR-06")
def test_threads_that_begin_together_code_the_same_samples() -> None:
    """OpenJPH alone gives wrong ones, in about one of four processes."""
    for _ in range(8):
        done = subprocess.run([sys.executable, "-c", TOGETHER], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()


def test_a_large_instance_goes_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, data_set = encoded(image(smooth(40, 30)), tmp_path)
    monkeypatch.setattr("sender.compression.eligible.LARGEST", 2399)
    assert look(data_set) is None
    monkeypatch.setattr("sender.compression.eligible.LARGEST", 2400)
    native = look(data_set)
    assert native is not None
    assert replace(native, length=0).end == native.value


@pytest.mark.requirement("DIR-06")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_real_images_come_back_or_go_as_they_were(
    real_data: Path, tmp_path: Path, syntax: str
) -> None:
    coded = 0
    for folder in ("cornerstone3D", "pydicom/test_files", "wg04/REF", "dcmqi", "highdicom"):
        for path in sorted((real_data / "dicom" / folder).rglob("*")):
            if not path.is_file() or path.stat().st_size > 4 << 20:
                continue
            try:
                part = dataset.read_part10(path)
                if part.transfer_syntax_uid != dataset.EXPLICIT_LE:
                    continue
                native = look(path.read_bytes()[part.offset :])
                expected = end(path, syntax)
            except NotDicom:
                continue
            if native is None:
                continue
            data_set = path.read_bytes()[part.offset :]
            spliced = compress(data_set, native, syntax)
            if spliced is None:
                continue
            held = stored(spliced, tmp_path)
            assert link.compare([expected], [end(held, syntax)]) == [], path
            coded += 1
    assert coded > 10
