"""Studies that are right, of other devices than a CT: the rules must let them go."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from pydicom import Dataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    JPEGBaseline8Bit,
    UltrasoundImageStorage,
    VLMicroscopicImageStorage,
    VLPhotographicImageStorage,
)

from samples import mr
from samples.aperio import Picture
from samples.forged.base import eight_bits, encapsulated, first, jpeg, stack
from samples.forged.case import Files
from samples.lettering import stamp_test_word
from samples.study import Study, describe, encode


def head(study: Study) -> Files:
    """Write an MR series."""
    for number, ds in enumerate(mr.images(study), start=1):
        yield f"IM{number:04d}.dcm", encode(ds)


def radiograph(study: Study) -> Dataset:
    """Return a Computed Radiography image (PS3.3 section A.2): the chest seen from the front."""
    ds = describe(
        study, sop_class=ComputedRadiographyImageStorage, modality="CR", description="Chest PA"
    )
    ds.SOPInstanceUID, ds.InstanceNumber = study.uid("image/1"), 1
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.BodyPartExamined, ds.ViewPosition = "CHEST", "PA"
    ds.PatientOrientation = ["L", "F"]
    ds.KVP, ds.Exposure = 125, 2
    ds.ImagerPixelSpacing = [0.8, 0.8]
    del ds.FrameOfReferenceUID, ds.PositionReferenceIndicator
    (_, slice_), *_ = stack(study)
    shadow = np.repeat(np.clip(slice_ + 1024, 0, 4095).mean(axis=0)[None], 512, axis=0)
    shadow = shadow * np.linspace(0.8, 1, 512)[:, None] + study.generator().normal(0, 8, (512, 512))
    pixels = np.clip(shadow, 0, 4095).astype("<u2")
    stamp_test_word(pixels, 4000)
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.add_new("PixelData", "OW", pixels.tobytes())
    return ds


def ultrasound(study: Study) -> bytes:
    """Return an Ultrasound image as the device itself compresses it (PS3.3 section A.6)."""
    ds = describe(study, sop_class=UltrasoundImageStorage, modality="US", description="Abdomen")
    ds.SOPInstanceUID, ds.InstanceNumber = study.uid("image/1"), 1
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.Laterality = ds.PatientOrientation = ""
    del ds.FrameOfReferenceUID, ds.PositionReferenceIndicator
    rows, columns = np.mgrid[0:384, 0:512]
    angle = np.abs(np.arctan2(columns - 256, rows + 40))
    depth = np.hypot(columns - 256, rows + 40)
    speckle = study.generator().rayleigh(45, rows.shape)
    fan: Picture = np.where((angle < 0.6) & (depth < 410), np.clip(speckle, 0, 255), 0).astype(
        np.uint8
    )
    stamp_test_word(fan, 220)
    eight_bits(ds, fan)
    ds.LossyImageCompression = "01"
    stream = jpeg(fan)
    ds.LossyImageCompressionRatio = round(fan.size / len(stream), 1)
    ds.LossyImageCompressionMethod = "ISO_10918_1"
    return encapsulated(ds, stream, JPEGBaseline8Bit)


def scout(study: Study) -> Dataset:
    """Return a localizer: ORIGINAL PRIMARY, though nobody reads it."""
    ds = first(study)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    return ds


def microscope(study: Study) -> Dataset:
    """Return one frame of a camera on a microscope (VL Microscopic, PS3.3 section A.32.2)."""
    ds = _seen(study, 1, VLMicroscopicImageStorage, "GM", "Frozen section")
    field = Image.new("RGB", (640, 480), (231, 178, 203))
    draw = ImageDraw.Draw(field)
    for x, y, size in study.generator().integers((0, 0, 3), (640, 480, 8), (700, 3)).tolist():
        draw.ellipse((x - size, y - size + 1, x + size, y + size - 1), (92, 62, 132))
    colours = np.array(field)
    stamp_test_word(colours, 20)
    eight_bits(ds, colours)
    return ds


def _seen(study: Study, number: int, sop_class: UID, modality: str, description: str) -> Dataset:
    """Return what every picture in visible light says, in a series of its own."""
    ds = describe(study, sop_class=sop_class, modality=modality, description=description)
    ds.SOPInstanceUID, ds.InstanceNumber = study.uid(f"image/{number}"), number
    ds.SeriesInstanceUID, ds.SeriesNumber = study.uid(f"series/{number}"), number
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.Laterality = ds.PatientOrientation = ""
    ds.AcquisitionContextSequence = []
    del ds.FrameOfReferenceUID, ds.PositionReferenceIndicator
    return ds


def specimen(study: Study) -> Dataset:
    """Return a gross photograph, which belongs to a pathology case as an accessory."""
    ds = _seen(study, 2, VLPhotographicImageStorage, "XC", "Gross photograph")
    board = Image.new("RGB", (640, 480), (38, 74, 120))
    draw = ImageDraw.Draw(board)
    draw.ellipse((140, 120, 500, 360), (176, 92, 88))
    draw.ellipse((270, 190, 350, 270), (226, 206, 190))
    for tick in range(40, 600, 40):
        draw.line((tick, 440, tick, 470), (255, 255, 255), 3)
    colours = np.array(board)
    stamp_test_word(colours, 255)
    eight_bits(ds, colours)
    return ds


def section(study: Study) -> Files:
    """Write a frozen section: the microscope's frame, and the gross photograph beside it."""
    yield "IM0001.dcm", encode(microscope(study))
    yield "IM0002.dcm", encode(specimen(study))
