"""In which colours a JPEG is: by its markers and its data set, as the pages decide it too."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, SecondaryCaptureImageStorage, generate_uid

from receiver import decoder, deriver, jpeg_colours
from tests.receiver import filled, jpegs

CASES: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("jpeg_colours.json").read_text("utf-8")
)
#: Of 255: one stream through the same transforms of one library, or through Pillow's copy of it.
NEAR = 1


def _picture() -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[0:32, 0:48]
    return np.stack([5 * x, 7 * y, 255 - 3 * x - 2 * y], axis=-1).astype(np.uint8)


@pytest.mark.requirement("RAD-02", "WSI-05")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_a_decoder_that_goes_by_markers_sees_the_colours_that_are_meant(
    case: dict[str, Any],
) -> None:
    frame = jpegs.made(_picture(), **jpegs.asked(case))
    told, doubtful = jpeg_colours.settled(frame, case["photometric"])
    assert doubtful is case["doubtful"]
    seen = np.asarray(Image.open(io.BytesIO(told)).convert("RGB")).astype(int)
    space = "RGB" if case["rgb"] else "YCBCR"
    meant = imagecodecs.jpeg_decode(frame, colorspace=space, outcolorspace="RGB")
    assert np.abs(seen - meant).max() <= NEAR
    other = "YCBCR" if case["rgb"] else "RGB"
    assert (
        np.abs(seen - imagecodecs.jpeg_decode(frame, colorspace=other, outcolorspace="RGB")).max()
        > 50
    )
    assert 0x0112 not in Image.open(io.BytesIO(told)).getexif()  # nothing turns it


def test_what_says_it_already_stays_byte_for_byte() -> None:
    usual = jpegs.made(_picture(), rgb=False, ids=[1, 2, 3], markers=["jfif"])
    assert jpeg_colours.settled(usual, "YBR_FULL_422") == (usual, False)
    grey = io.BytesIO()
    Image.fromarray(_picture()[..., 0]).save(grey, "JPEG")
    assert jpeg_colours.settled(grey.getvalue(), "MONOCHROME2") == (grey.getvalue(), False)


@pytest.mark.parametrize("case", [CASES[0], CASES[4], CASES[14]], ids=lambda case: str(case["why"]))
def test_thumbnails_and_coarser_levels_have_the_colours_too(
    case: dict[str, Any], tmp_path: Path
) -> None:
    frame = jpegs.made(_picture(), **jpegs.asked(case))
    ds = filled.patient("jpeg")
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid(prefix=None)
    ds.StudyInstanceUID = ds.SeriesInstanceUID = generate_uid(prefix=None)
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PlanarConfiguration = 32, 48, 3, 0
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.PhotometricInterpretation = case["photometric"]
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR = "OB"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    ds.save_as(tmp_path / "jpeg.dcm", enforce_file_format=True)
    asked = {"do": "picture", "path": str(tmp_path / "jpeg.dcm"), "frame": 0}
    thumbnail = np.asarray(Image.open(io.BytesIO(decoder._answer(asked))))
    asked = {"syntax": JPEGBaseline8Bit, "photometric": case["photometric"]}
    for seen in (thumbnail, deriver._decoded(frame, asked)):
        assert np.abs(seen.astype(int) - _picture()).mean() < 6  # the wrong ones: far above


@pytest.mark.parametrize("end", [0, 1, 2, 5, 20, 60, 160])
def test_a_stream_that_breaks_off_is_left_to_the_decoder(end: int) -> None:
    frame = jpegs.made(_picture(), rgb=True, ids=[0, 1, 2], markers=[])
    assert jpeg_colours.settled(frame[:end], "RGB") == (frame[:end], False)
