"""Pictures of images, and documents: captures, photographs, films, sheets, reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from pydicom import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    EncapsulatedPDFStorage,
    JPEGBaseline8Bit,
    SecondaryCaptureImageStorage,
    VideoPhotographicImageStorage,
    VLPhotographicImageStorage,
    XRayRadiationDoseSRStorage,
)

from samples.aperio import Picture
from samples.forged.base import ct, eight_bits, encapsulated, first, jpeg, named, pixels_of, window
from samples.forged.case import Files
from samples.study import Study, describe, encode

DOSE: Final = (
    "TEST  Dose Report", "", "Series  Type     CTDIvol   DLP", "1       Scout     -         -",
    "2       Helical   8.10     310.2", "", "Total DLP 310.2 mGy.cm",
)  # fmt: skip
ORDER: Final = (
    "TEST  Request form", "", "Chest CT, contrast medium", "Clinical question: cough",
    "", "Signed: TEST PHYSICIAN",
)  # fmt: skip
EXIF: Final = (
    b"\xff\xe1\x00\x36Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x0f\0\x02\0\0\0\x0e\0\0\0\x1a"
    b"\0\0\0\0TODOKE CAMERA\0" + b"\0" * 4
)
"""An APP1 segment as a camera writes it: one tag, Make (EXIF 2.3 section 4.6)."""


def sheet(lines: tuple[str, ...], *, paper: bool) -> Picture:
    """Return a page of text: white on black as a console writes it, or as a scanner sees it."""
    picture = Image.new("L", (512, 512), 236 if paper else 0)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(22)
    for row, line in enumerate(lines):
        draw.text((40, 60 + 36 * row), line, fill=40 if paper else 230, font=font)
    return np.asarray(picture.rotate(1, fillcolor=250) if paper else picture)


def captured(
    study: Study, pixels: npt.NDArray[Any], conversion: str, *, modality: str = "CT", **more: Any
) -> Dataset:
    """Return an 8 bit picture as a Secondary Capture (PS3.3 section C.8.6.1).

    Parameters
    ----------
    conversion
        Conversion Type (0008,0064).
    """
    sop_class = SecondaryCaptureImageStorage
    ds = describe(study, sop_class=sop_class, modality=modality, description="Capture")
    ds.SOPInstanceUID = study.uid(f"image/capture/{conversion}")
    ds.InstanceNumber = 1
    ds.SeriesInstanceUID = study.uid(f"series/capture/{conversion}")
    ds.SeriesNumber = 99
    ds.ConversionType = conversion
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.BurnedInAnnotation = "YES"
    ds.Laterality = ds.PatientOrientation = ""
    eight_bits(ds, pixels)
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def dose_sheet(study: Study) -> Dataset:
    """Return the picture of a table that a CT console makes of the dose."""
    return captured(study, sheet(DOSE, paper=False), "WSD")


def order_form(study: Study) -> Dataset:
    """Return a 依頼票 that was scanned from paper."""
    return captured(study, sheet(ORDER, paper=True), "SD", modality="OT")


def screen(study: Study, conversion: str, **more: Any) -> Dataset:
    """Return what a screen shows of a slice, as a capture of some kind."""
    return captured(study, window(pixels_of(first(study))), conversion, **more)


def beside_ct(study: Study, *others: Dataset) -> Files:
    """Write a CT series, and other objects of the same study after it."""
    yield from named([*ct(study), *others])


def photographed(study: Study) -> npt.NDArray[np.float64]:
    """Return a photograph of a monitor, grey: askew, with the screen's lines; 1000 x 1200."""
    shown = Image.fromarray(window(pixels_of(first(study)))).resize((900, 900))
    photo = Image.new("L", (1200, 1000), 35)
    photo.paste(shown, (150, 50))
    grey = np.asarray(photo.rotate(4, Image.Resampling.BILINEAR, fillcolor=30)).astype(float)
    grey *= 1 - 0.12 * (np.arange(1000)[:, None] % 3 == 0)
    return grey


def tinted(grey: npt.NDArray[np.float64]) -> Picture:
    """Return it in the tint of a display, rows x columns x 3."""
    colours: Picture = np.stack([grey * 0.86, grey * 0.95, grey], axis=2).astype(np.uint8)
    return colours


def photo(study: Study, *, sop_class: UID = VLPhotographicImageStorage) -> Dataset:
    """Return the photograph as what it is (PS3.3 section A.32.4)."""
    ds = describe(study, sop_class=sop_class, modality="XC", description="Photo of a screen")
    ds.SOPInstanceUID, ds.InstanceNumber = study.uid("image/1"), 1
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.Laterality = ds.PatientOrientation = ""
    ds.AcquisitionContextSequence = []
    eight_bits(ds, tinted(photographed(study)))
    return ds


def film_clip(study: Study) -> Files:
    """Write two frames of a screen filmed with a camera (Video Photographic, PS3.3 A.32.7)."""
    ds = photo(study, sop_class=VideoPhotographicImageStorage)
    ds.NumberOfFrames, ds.FrameTime, ds.FrameIncrementPointer = 2, 33.3, 0x00181063
    ds.CineRate = 30
    grey = photographed(study)
    ds.AnatomicRegionSequence = [code("51185008", "SCT", "Chest")]
    del ds.Laterality
    _lossy(ds, 20)
    ds.PhotometricInterpretation = "YBR_FULL_422"
    frames = [jpeg(tinted(np.roll(grey, step, axis=1))) for step in (0, 2)]
    yield "IM0001.dcm", encapsulated(ds, frames[0], JPEGBaseline8Bit, frames[1])


def _lossy(ds: Dataset, ratio: float) -> None:
    ds.LossyImageCompression = "01"
    ds.LossyImageCompressionRatio = ratio
    ds.LossyImageCompressionMethod = "ISO_10918_1"


def photo_as_ct(study: Study) -> Dataset:
    """Return the photograph under the header of a slice, whose values stay as they are."""
    ds = first(study)
    eight_bits(ds, tinted(photographed(study)))
    return ds


def photo_bare(study: Study) -> Dataset:
    """Return the photograph in an object that says CT and little else, as a converter writes."""
    ds = describe(study, sop_class=CTImageStorage, modality="CT", description="CT")
    ds.SOPInstanceUID, ds.InstanceNumber = study.uid("image/1"), 1
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    del ds.FrameOfReferenceUID, ds.PositionReferenceIndicator
    eight_bits(ds, tinted(photographed(study)))
    return ds


def photo_jpeg(study: Study) -> bytes:
    """Return the camera's own JPEG, Exif and all, under the header of a slice."""
    ds = photo_as_ct(study)
    ds.PhotometricInterpretation = "YBR_FULL_422"
    stream = jpeg(tinted(photographed(study)))
    return encapsulated(ds, stream[:2] + EXIF + stream[2:], JPEGBaseline8Bit)


def careful(study: Study) -> Iterator[Dataset]:
    """Yield photographs turned into slices: grey, as HU, 16 bits, every attribute of CT.

    No attribute and no size of a value tells it from a slice.  What tells is the
    picture itself, and the path that it came by.
    """
    for ds in ct(study):
        shown = Image.fromarray(window(pixels_of(ds)))
        seen = np.asarray(shown.rotate(0.6, Image.Resampling.BILINEAR, fillcolor=3)).astype(float)
        seen *= 1 - 0.02 * (np.arange(ds.Rows)[:, None] % 3 == 0)
        noise = study.generator().normal(0, 4, seen.shape)
        ds.PixelData = np.rint(seen * (400 / 255) - 150 + noise).astype("<i2").tobytes()
        yield ds


def pdf(study: Study) -> Dataset:
    """Return a 依頼票 as Encapsulated PDF (PS3.3 section A.45.1)."""
    sop_class = EncapsulatedPDFStorage
    ds = describe(study, sop_class=sop_class, modality="DOC", description="Request form")
    ds.SOPInstanceUID, ds.InstanceNumber = study.uid("image/pdf"), 1
    ds.SeriesInstanceUID, ds.SeriesNumber = study.uid("series/pdf"), 98
    del ds.FrameOfReferenceUID, ds.PositionReferenceIndicator, ds.LossyImageCompression
    ds.ConversionType = "SD"
    ds.ContentTime, ds.AcquisitionDateTime = ds.SeriesTime, ""
    ds.BurnedInAnnotation = "YES"
    ds.DocumentTitle = "TEST REQUEST FORM"
    ds.ConceptNameCodeSequence = []
    ds.MIMETypeOfEncapsulatedDocument = "application/pdf"
    page = _one_page("TEST  Request form")
    ds.EncapsulatedDocumentLength = len(page)
    ds.EncapsulatedDocument = page + b"\0" * (len(page) % 2)
    return ds


def _one_page(text: str) -> bytes:
    """Return a PDF of one page with one line (ISO 32000-1 section 7.5)."""
    words = f"BT /F1 18 Tf 60 760 Td ({text}) Tj ET".encode()
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(words), words),
    )
    file, places = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, start=1):
        places.append(len(file))
        file += b"%d 0 obj%s endobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    file += b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\n" % (
        count, table, count,
    )  # fmt: skip
    return file + b"startxref\n%d\n%%%%EOF\n" % file.index(b"xref\n")


def dose_report(study: Study) -> Dataset:
    """Return an X-Ray Radiation Dose SR, the head of it (PS3.16 TID 10011)."""
    sop_class = XRayRadiationDoseSRStorage
    ds = describe(study, sop_class=sop_class, modality="SR", description="Dose report")
    ds.SOPInstanceUID, ds.InstanceNumber = study.uid("image/rdsr"), 1
    ds.SeriesInstanceUID, ds.SeriesNumber = study.uid("series/rdsr"), 97
    for keyword in (
        "FrameOfReferenceUID", "PositionReferenceIndicator", "BurnedInAnnotation",
        "LossyImageCompression", "AcquisitionNumber", "AcquisitionDate",
    ):  # fmt: skip
        delattr(ds, keyword)
    ds.ContentTime = ds.SeriesTime
    ds.ReferencedPerformedProcedureStepSequence = ds.PerformedProcedureCodeSequence = []
    ds.CompletionFlag, ds.VerificationFlag = "COMPLETE", "UNVERIFIED"
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    ds.ConceptNameCodeSequence = [code("113701", "DCM", "X-Ray Radiation Dose Report")]
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "10011"
    ds.ContentTemplateSequence = [template]
    procedure = Dataset()
    procedure.RelationshipType, procedure.ValueType = "HAS CONCEPT MOD", "CODE"
    procedure.ConceptNameCodeSequence = [code("121058", "DCM", "Procedure reported")]
    procedure.ConceptCodeSequence = [code("77477000", "SCT", "Computed Tomography X-Ray")]
    ds.ContentSequence = [procedure]
    return ds


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return one item of a code sequence (PS3.3 section 8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def alone(make: Callable[[Study], Dataset | bytes]) -> Callable[[Study], Files]:
    """Return what writes a study of this one object."""

    def write(study: Study) -> Files:
        made = make(study)
        yield "IM0001.dcm", made if isinstance(made, bytes) else encode(made)

    return write
