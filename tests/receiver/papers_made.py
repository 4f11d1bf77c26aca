"""Documents and videos as devices make them: a PDF by hand, a video by a real encoder."""

from __future__ import annotations

import io
import struct

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian

from tests.receiver.filled import patient, uid

PDF, CDA, STL = (f"1.2.840.10008.5.1.4.1.1.104.{number}" for number in (1, 2, 3))
ENDOSCOPE = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
AVC, AVC_IN_PARTS, HEVC = (f"1.2.840.10008.1.2.4.{tail}" for tail in ("102", "102.1", "107"))
WIDTH, HEIGHT, BITS = 320, 240, 8
RATE = 25


def pdf(
    words: str = "Request form", *, script: str = "", pages: int = 1, japanese: str = ""
) -> bytes:
    """Return a PDF with a line of text on each page.

    Parameters
    ----------
    script : str
        JavaScript that a reader of PDF runs when it opens the document (ISO 32000-1 12.6.4.16),
        and when a link over the page is clicked.
    japanese : str
        A second line in a font that is not embedded, by a Japanese character map.
    """
    escaped = "".join(f"\\{one}" if one in "()\\" else one for one in words)
    spoken = "".join(f"\\{one}" if one in "()\\" else one for one in script)
    action = f"<< /S /JavaScript /JS ({spoken}) >>"
    kids = " ".join(f"{10 + 2 * number} 0 R" for number in range(pages))
    objects = {
        1: f"<< /Type /Catalog /Pages 2 0 R {f'/OpenAction {action}' if script else ''} >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>",
        3: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        4: "<< /Type /Font /Subtype /Type0 /BaseFont /HeiseiKakuGo-W5-90ms-RKSJ-H"
        " /Encoding /90ms-RKSJ-H /DescendantFonts [5 0 R] >>",
        5: "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /HeiseiKakuGo-W5 /CIDSystemInfo"
        " << /Registry (Adobe) /Ordering (Japan1) /Supplement 2 >> /FontDescriptor 6 0 R >>",
        6: "<< /Type /FontDescriptor /FontName /HeiseiKakuGo-W5 /Flags 4 /FontBBox"
        " [-92 -250 1010 922] /ItalicAngle 0 /Ascent 752 /Descent -271 /CapHeight 737 /StemV 58 >>",
    }
    for number in range(pages):
        link = (
            f"/Annots [<< /Type /Annot /Subtype /Link /Rect [0 0 595 842] /A {action} >>]"
            if script
            else ""
        )
        drawn = f"BT /F1 36 Tf 60 {700 - 40 * number} Td ({escaped} {number + 1}) Tj ET"
        if japanese:
            drawn += f" BT /F2 36 Tf 60 500 Td <{japanese.encode('cp932').hex()}> Tj ET"
        objects[10 + 2 * number] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {11 + 2 * number} 0 R"
            f" /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> {link} >>"
        )
        objects[11 + 2 * number] = f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream"
    made = b"%PDF-1.7\n"
    places = {}
    for number, text in objects.items():
        places[number] = len(made)
        made += f"{number} 0 obj\n{text}\nendobj\n".encode("latin-1")
    start = len(made)
    last = max(objects)
    rows = [
        f"{places[n]:010} 00000 n \n" if n in places else "0000000000 65535 f \n"
        for n in range(last + 1)
    ]
    made += f"xref\n0 {last + 1}\n{''.join(rows)}".encode()
    return (
        made + f"trailer << /Root 1 0 R /Size {last + 1} >>\nstartxref\n{start}\n%%EOF\n".encode()
    )


def document(name: str, data: bytes, sop_class: str = PDF, *, title: str = "紹介状") -> Dataset:
    """Return an encapsulated document of the study that a name stands for."""
    ds = _paper(name, sop_class, str(ExplicitVRLittleEndian), f"{title}/{len(data)}")
    ds.Modality, ds.ConversionType = "DOC", "SD"
    ds.DocumentTitle = title
    media = {PDF: "application/pdf", CDA: "text/XML"}
    ds.MIMETypeOfEncapsulatedDocument = media.get(sop_class, "model/stl")
    ds.EncapsulatedDocument = data + b"\0" * (len(data) % 2)
    ds.EncapsulatedDocumentLength = len(data)
    return ds


def video(
    name: str,
    stream: bytes,
    syntax: str = AVC,
    *,
    frames: int = 50,
    fragments: int = 1,
    **attributes: object,
) -> Dataset:
    """Return a video of an endoscope (PS3.3 A.32.5) of the study that a name stands for."""
    ds = _paper(name, ENDOSCOPE, syntax, f"video/{syntax}/{len(stream)}")
    ds.Modality = "ES"
    ds.SeriesDescription, ds.BodyPartExamined = "上部消化管", "STOMACH"
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = (
        3,
        "YBR_PARTIAL_420",
        0,
    )
    ds.Rows, ds.Columns = HEIGHT, WIDTH
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.NumberOfFrames = frames
    ds.FrameIncrementPointer = 0x00181063
    ds.FrameTime = 1000 / RATE
    ds.LossyImageCompression = "01"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    ds.PixelData = encapsulate([stream], fragments_per_frame=fragments, has_bot=False)
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return ds


def _paper(name: str, sop_class: str, syntax: str, which: str) -> Dataset:
    ds = patient(name)
    ds.StudyInstanceUID = uid(f"{name}/study")
    ds.SeriesInstanceUID = uid(f"{name}/{which}/series")
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, uid(f"{name}/{which}")
    ds.SeriesNumber, ds.InstanceNumber = 90, 1
    ds.ContentDate = "20261122"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    ds.file_meta.MediaStorageSOPInstanceUID = UID(ds.SOPInstanceUID)
    return ds


def numbered(number: int) -> npt.NDArray[np.uint8]:
    """Return a frame that says its own number: bits of it as white and black columns."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    wide = WIDTH // BITS
    for bit in range(BITS):
        picture[:, bit * wide : (bit + 1) * wide] = 230 if number >> bit & 1 else 20
    return picture


def number_of(picture: npt.NDArray[np.uint8]) -> int:
    """Return the number that a picture of such a frame says, whatever its size."""
    across = picture[picture.shape[0] // 2, :, 0]
    wide = picture.shape[1] / BITS
    return sum(int(across[int((bit + 0.5) * wide)] > 128) << bit for bit in range(BITS))


def encoded(frames: int = 50, *, container: str = "mp4", codec: str = "libx264") -> bytes:
    """Return a video of numbered frames; with frames that lie in another order than they show."""
    import av

    kept = io.BytesIO()
    with av.open(kept, "w", format=container) as out:
        stream = out.add_stream(codec, rate=RATE)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "18", "bf": "2", "g": "12"}
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return kept.getvalue()


def boxed(size: int) -> bytes:
    """Return what begins as MP4 does, and is no video: bytes that tell where they lie."""
    head = struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0)
    return (head + b"".join(struct.pack(">I", at) for at in range(16, size, 4)))[:size]
