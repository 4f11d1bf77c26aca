"""Studies that only look like images straight from a device, and files that are odd but right.

Each case is one folder that stands for one thing a hospital has once sent; the list
says in words what is wrong with it, or that nothing is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    JPEG2000Lossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    VLPhotographicImageStorage,
)

from samples.aperio import Picture
from samples.ct import images
from samples.enhanced import enhanced_ct
from samples.names import KANJI, TAKAHASHI, YAMAZAKI, written_names
from samples.study import Study, describe, encode

SLICES = 3
LOSSY_DB = 80
"""Peak signal to noise of the lossy cases: about 18 : 1, 5 HU of error."""
Files = Iterator[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Case:
    """One case: its folder's name, what is the matter in words, and what writes it."""

    name: str
    ja: str
    en: str
    files: Callable[[Study], Files]


def _named(datasets: Iterator[Dataset], coded: Callable[[Dataset], bytes] = encode) -> Files:
    for number, ds in enumerate(datasets, start=1):
        yield f"IM{number:04d}.dcm", coded(ds)


def _dose_sheet(study: Study) -> Files:
    """Write a study of nothing but a picture of a table."""
    picture = Image.new("L", (512, 512), 0)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(22)
    for row, line in enumerate(
        ("TEST  Dose Report", "", "Series  Type     CTDIvol   DLP", "1       Scout     -         -",
         "2       Helical   8.10     310.2", "", "Total DLP 310.2 mGy.cm")
    ):  # fmt: skip
        draw.text((40, 60 + 36 * row), line, fill=230, font=font)
    yield "IM0001.dcm", encode(_captured(study, np.asarray(picture), "CT"))


def _captured(study: Study, pixels: Picture, modality: str) -> Dataset:
    """Return an 8 bit picture as a Secondary Capture."""
    ds = describe(
        study, sop_class=SecondaryCaptureImageStorage, modality=modality, description="Capture"
    )
    ds.SOPInstanceUID = study.uid("image/1")
    ds.InstanceNumber = 1
    ds.ConversionType = "WSD"
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.BurnedInAnnotation = "YES"
    ds.Laterality = ds.PatientOrientation = ""
    _eight_bits(ds, pixels)
    return ds


def _eight_bits(ds: Dataset, pixels: npt.NDArray[Any]) -> None:
    colour = pixels.ndim == 3
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.add_new("PixelData", "OB", pixels.astype(np.uint8).tobytes())


def _pixels(ds: Dataset) -> npt.NDArray[np.int16]:
    return np.frombuffer(ds.PixelData, "<i2").reshape(ds.Rows, ds.Columns)


def _window(pixels: npt.NDArray[np.int16]) -> Picture:
    """Return what a screen shows of HU at the mediastinal window, 8 bits."""
    shown: Picture = np.clip((pixels + 150) * (255 / 400), 0, 255).astype(np.uint8)
    return shown


def _mixed(study: Study) -> Files:
    """Write one study, one series, two patients."""
    datasets = list(images(study))
    for ds in images(replace(study, patient=YAMAZAKI)):
        ds.StudyInstanceUID, ds.SeriesInstanceUID = study.study_uid, study.uid("series")
        ds.InstanceNumber = int(ds.InstanceNumber) + SLICES
        datasets.append(ds)
    yield from _named(iter(datasets))


def _photo(study: Study, *, as_ct: bool) -> Files:
    """Write a photograph of a monitor: askew, tinted, with the screen's lines."""
    ds = next(images(study))
    screen = Image.fromarray(_window(_pixels(ds))).resize((900, 900))
    photo = Image.new("L", (1200, 1000), 35)
    photo.paste(screen, (150, 50))
    grey = np.asarray(photo.rotate(4, Image.Resampling.BILINEAR, fillcolor=30)).astype(float)
    grey *= 1 - 0.12 * (np.arange(1000)[:, None] % 3 == 0)
    rgb = np.stack([grey * 0.86, grey * 0.95, grey], axis=2)
    if not as_ct:
        photo_class = VLPhotographicImageStorage
        ds = describe(study, sop_class=photo_class, modality="XC", description="Photo of a screen")
        ds.SOPInstanceUID, ds.InstanceNumber = study.uid("image/1"), 1
        ds.ImageType = ["ORIGINAL", "PRIMARY"]
        ds.Laterality = ds.PatientOrientation = ""
        ds.AcquisitionContextSequence = []
    _eight_bits(ds, rgb)
    yield "IM0001.dcm", encode(ds)


def _projection(study: Study) -> Files:
    """Write a maximum intensity projection that a workstation made."""
    stack = list(images(study))
    ds = stack[0]
    ds.ImageType = ["DERIVED", "SECONDARY", "AXIAL", "MIP"]
    ds.DerivationDescription = "Maximum intensity projection"
    ds.PixelData = np.maximum.reduce([_pixels(one) for one in stack]).tobytes()
    yield "IM0001.dcm", encode(ds)


def _windowed(study: Study) -> Files:
    """Write CT whose 16 bits were windowed down to 8: the rest is gone."""
    for number, ds in enumerate(images(study), start=1):
        _eight_bits(ds, _window(_pixels(ds)))
        yield f"IM{number:04d}.dcm", encode(ds)


def _rle(ds: Dataset) -> bytes:
    low, high = (_pixels(ds).view(np.uint16) >> shift & 0xFF for shift in (0, 8))
    rows = [[plane[row].astype(np.uint8) for row in range(ds.Rows)] for plane in (high, low)]
    segments = [b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in one) for one in rows]
    segments = [one + b"\0" * (len(one) % 2) for one in segments]
    offsets = [2, 64, 64 + len(segments[0]), *[0] * 13]  # PS3.5 annex G.5
    header = np.array(offsets, "<u4").tobytes()
    return _encapsulated(ds, header + b"".join(segments), RLELossless)


def _j2k(ds: Dataset, level: int = 0) -> bytes:
    stream = imagecodecs.jpeg2k_encode(
        _pixels(ds), level=level, reversible=not level, codecformat="j2k"
    )
    return _encapsulated(ds, bytes(stream), JPEG2000 if level else JPEG2000Lossless)


def _encapsulated(ds: Dataset, stream: bytes, syntax: UID) -> bytes:
    ds.PixelData = encapsulate([stream])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return encode(ds, syntax)


def _lossy(study: Study, *, restored: bool, flagged: bool) -> Files:
    """Write CT that was compressed with loss; restored: decompressed again before sending."""
    for number, ds in enumerate(images(study), start=1):
        if flagged:
            ds.LossyImageCompression = "01"
            ds.LossyImageCompressionRatio = 18
            ds.LossyImageCompressionMethod = "ISO_15444_1"
            ds.ImageType = ["DERIVED", "PRIMARY", "AXIAL"]
        if restored:
            stream = imagecodecs.jpeg2k_encode(_pixels(ds), level=LOSSY_DB, codecformat="j2k")
            ds.PixelData = imagecodecs.jpeg2k_decode(stream).astype("<i2").tobytes()
        yield f"IM{number:04d}.dcm", encode(ds) if restored else _j2k(ds, LOSSY_DB)


def _twice(study: Study, *, other_pixels: bool) -> Files:
    """Write a series in which one instance comes twice under one UID."""
    datasets = list(images(study))
    yield from _named(iter(datasets))
    twin = datasets[-1]
    if other_pixels:
        twin.PixelData = _pixels(twin)[::-1].tobytes()
    yield f"IM{SLICES + 1:04d}.dcm", encode(twin)


def _preamble(study: Study, *, start: bytes) -> Files:
    """Write files whose 128 bytes of preamble make them look like something else."""
    for name, file in _named(images(study)):
        yield name, start.ljust(128, b"\0") + file[128:]


def _misdeclared(study: Study, *, declared: str | None, raw: bytes) -> Files:
    """Write a name whose bytes are not in the character set that is declared."""
    ds = next(images(study))
    ds.StudyDescription, ds.InstitutionalDepartmentName, ds.PatientComments = "TEST", "TEST", "TEST"
    ds.private_block(0x0011, "TODOKE 1.0")[0x01].value = "TEST"
    ds.SpecificCharacterSet = "ISO_IR 6" if declared is None else declared
    marker = b"@" * (len(raw) + len(raw) % 2)
    ds.PatientName = marker.decode()
    if declared is None:
        del ds.SpecificCharacterSet
    yield "IM0001.dcm", encode(ds).replace(marker, raw.ljust(len(marker)), 1)


_H31, _H32 = written_names()[0].raw, written_names()[1].raw

CASES: Final = (
    Case("sc-only", "線量レポートの画像だけ", "nothing but a dose sheet", _dose_sheet),
    Case("mixed-patients", "1検査に2名", "two patients in one study", _mixed),
    Case("photo", "モニターを撮った写真", "photograph of a monitor",
         lambda study: _photo(study, as_ct=False)),
    Case("photo-as-ct", "同じ写真をCTと名乗るもの", "the same photograph, said to be CT",
         lambda study: _photo(study, as_ct=True)),
    Case("mip", "作られた投影像", "a projection made by a workstation", _projection),
    Case("ct-8bit", "8ビットに落としたCT", "CT windowed down to 8 bits", _windowed),
    Case("ct-lossy", "非可逆圧縮 (申告あり)", "lossy, and says so",
         lambda study: _lossy(study, restored=False, flagged=True)),
    Case("ct-lossy-restored", "非可逆から伸長 (申告あり)", "once lossy, and says so",
         lambda study: _lossy(study, restored=True, flagged=True)),
    Case("ct-lossy-hidden", "非可逆から伸長 (申告なし)", "once lossy, and hides it",
         lambda study: _lossy(study, restored=True, flagged=False)),
    Case("ct-j2k", "可逆JPEG 2000: 正しい", "reversible JPEG 2000: right",
         lambda study: _named(images(study), _j2k)),
    Case("ct-rle", "RLE: 正しい", "RLE: right",
         lambda study: _named(images(study), _rle)),
    Case("ct-enhanced", "Enhanced CT: 正しい", "Enhanced CT: right",
         lambda study: _named(iter([enhanced_ct(study)]))),
    Case("same-uid-same-pixels", "同じUID・同じ中身", "one UID twice, same content",
         lambda study: _twice(study, other_pixels=False)),
    Case("same-uid-other-pixels", "同じUID・違う中身", "one UID twice, other content",
         lambda study: _twice(study, other_pixels=True)),
    Case("preamble-pe", "実行ファイルに見える先頭", "preamble of a program",
         lambda study: _preamble(study, start=b"MZ\x90\0")),
    Case("preamble-tiff", "TIFFに見える先頭: 正しい", "preamble of a TIFF: right",
         lambda study: _preamble(study, start=b"II*\0")),
    Case("charset-none", "文字集合の宣言なし", "JIS bytes, no charset declared",
         lambda study: _misdeclared(study, declared=None, raw=_H31)),
    Case("charset-sjis", "Latin-1と名乗るシフトJIS", "Shift JIS declared as Latin-1",
         lambda study: _misdeclared(
             study, declared="ISO_IR 100", raw="YAMADA^TARO=山田^太郎".encode("shift_jis"))),
    Case("charset-kana", "IR 87だけの宣言に半角カナ", "kana bytes under IR 87 alone",
         lambda study: _misdeclared(study, declared="\\".join(KANJI), raw=_H32)),
)  # fmt: skip


def write_forged(folder: Path, seed: int) -> Iterator[tuple[Case, Path, Study]]:
    """Write every case into a folder of its own below ``folder`` and yield it.

    Parameters
    ----------
    seed
        The same seed gives the same bytes.
    """
    for case in CASES:
        study = Study(f"forged-{case.name}", TAKAHASHI, seed, SLICES)
        target = folder / f"seed{seed}-{case.name}"
        target.mkdir(parents=True, exist_ok=True)
        for name, content in case.files(study):
            (target / name).write_bytes(content)
        yield case, target, study
