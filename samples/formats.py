"""One small slide of every TIFF kind that scanners and converters write.

Each shows stained tissue with the patient's code and the word 試験 drawn into the
picture, for most of these files have no label; the description carries the mark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import quoteattr

import imagecodecs
import numpy as np
import simplejpeg
import tifffile
from PIL import Image

from common.dicom.testmark import TEST_DESCRIPTION
from samples import hamamatsu, philips
from samples.aperio import LIBRARY, Coding, Picture
from samples.lettering import stamp_test_word
from samples.names import PATIENTS, Patient
from samples.pixelcode import draw_code
from samples.study import Study
from samples.tissue import Tissue

SIZE: Final = (1100, 840)
TILE: Final = (256, 256)  # rows, columns
UM: Final = 0.5
PLANES, PLANE_UM = 3, 1.5
_STRIP: Final = 120  # of the drawing; its textures repeat after a few of them
_RESOLUTION: Final = (10_000 / UM, 10_000 / UM)  # pixels per centimetre

Encode = Callable[[Picture], bytes]


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of file.

    Attributes
    ----------
    name
        Of the kind, and of the file with `suffix`.
    apart
        It is several files, in a folder of their own.
    """

    name: str
    suffix: str
    write: Callable[[Path, Study, list[Picture]], None]
    apart: bool = False


def write_formats(
    folder: Path,
    seed: int,
    step: Callable[[int], None] = lambda _number: None,
    forms: Sequence[Form] | None = None,
) -> Iterator[tuple[Path, Study]]:
    """Write one slide of each kind below ``folder``, the same bytes for the same seed.

    Parameters
    ----------
    step
        Called with the number of slides written.
    forms
        The kinds; those of TIFF when not given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = _drawn(Study("slide-formats", PATIENTS[0], seed, SIZE[0]))
    for number, (form, patient) in enumerate(zip(forms or FORMS, cycle(PATIENTS), strict=False)):
        study = Study(f"slide-{form.name}", patient, seed, SIZE[0])
        name = f"{study.folder}-{form.name}"
        path = folder / (f"{name}/slide" if form.apart else name)
        path = path.with_name(path.name + form.suffix)
        path.parent.mkdir(exist_ok=True)
        # one drawing for all, turned so that no two slides of a person are alike
        turned = drawn[:: (-1) ** (number >> 1), :: (-1) ** (number >> 2)]
        form.write(path, study, _halves(_lettered(turned.copy(), patient, seed)))
        step(number + 1)
        yield (path.parent if form.apart else path), study


def _drawn(study: Study) -> Picture:
    width, height = SIZE
    tissue = Tissue(study.generator(), width, height, _STRIP)
    strips = [tissue.strip(top) for top in range(0, height, _STRIP)]
    packed = np.concatenate(strips)[:height, :width]
    return np.ascontiguousarray(packed).view(np.uint8).reshape(height, width, 4)[..., :3]


def _lettered(whole: Picture, patient: Patient, seed: int) -> Picture:
    code = np.full(whole.shape[:2], 255, np.uint8)
    draw_code(code, patient.code, seed & 0xFFFF, low=20, high=248)
    drawn = code < 255
    whole[drawn] = code[drawn, None]
    stamp_test_word(whole, (20, 20, 20), 3)
    return whole


def _halves(whole: Picture) -> list[Picture]:
    levels = [whole]
    while max(levels[-1].shape[:2]) > 300:
        height, width = (side // 2 * 2 for side in levels[-1].shape[:2])
        picture = Image.fromarray(levels[-1][:height, :width])
        levels.append(np.asarray(picture.reduce(2)))
    return levels


def _tiles(pixels: Picture, tile: tuple[int, int]) -> Iterator[Picture]:
    """Yield the tiles of a picture by rows, the last ones filled with their edge."""
    height, width = pixels.shape[:2]
    rows, columns = -(-height // tile[0]), -(-width // tile[1])
    filled = np.pad(
        pixels,
        ((0, rows * tile[0] - height), (0, columns * tile[1] - width), (0, 0)),
        mode="edge",
    )
    for i in range(rows):
        for j in range(columns):
            part = filled[i * tile[0] : (i + 1) * tile[0], j * tile[1] : (j + 1) * tile[1]]
            yield np.ascontiguousarray(part)


def _page(
    tiff: tifffile.TiffWriter,
    pixels: Picture,
    encode: Encode | None,
    *,
    tile: tuple[int, int] = TILE,
    missing: int = 0,
    **options: Any,
) -> None:
    """Write one tiled directory; without `encode` tifffile codes the tiles itself.

    ``missing`` tiles at the end have length 0, as where a scanner stopped early.
    """
    common: dict[str, Any] = {"tile": tile, "metadata": None, "software": False}
    if encode is None:
        tiff.write(pixels, **common, **options)
        return
    streams = [encode(part) for part in _tiles(pixels, tile)]
    for i in range(missing):
        streams[-1 - i] = b""
    tiff.write(iter(streams), shape=pixels.shape, dtype=np.uint8, **common, **options)


# -- Aperio -------------------------------------------------------------------------


def _aperio(study: Study, kind: str, *, spacing: bool = True) -> str:
    width, height = SIZE
    day = study.date
    mpp = f"|MPP = {UM:.4f}" if spacing else ""
    return (
        f"{LIBRARY}{width}x{height} [0,0 {width}x{height}] (256x256) {kind}"
        f"|AppMag = 20|ScanScope ID = TODOKETEST|Date = {day[4:6]}/{day[6:]}/{day[2:4]}"
        f"|Time = 09:15:00{mpp}{TEST_DESCRIPTION}"
    )


def _j2k(*, transformed: bool, lossy: bool = True) -> Encode:
    def encode(pixels: Picture) -> bytes:
        level = 40 if lossy else 0  # PSNR in dB
        stream = imagecodecs.jpeg2k_encode(
            pixels, level=level, codecformat="j2k", reversible=not lossy, mct=transformed,
            numthreads=1,
        )  # fmt: skip
        return bytes(stream)

    return encode


def _j2k_ycbcr(pixels: Picture) -> bytes:
    ycbcr = np.asarray(Image.fromarray(pixels).convert("YCbCr"))
    return _j2k(transformed=False)(ycbcr)


def _svs_j2k_rgb(path: Path, study: Study, levels: list[Picture]) -> None:
    with tifffile.TiffWriter(path, byteorder="<") as tiff:
        for pixels in levels:
            _page(
                tiff, pixels, _j2k(transformed=True), compression=33005, photometric="rgb",
                description=_aperio(study, "J2K/KDU Q=70"),
            )  # fmt: skip


def _svs_j2k_ycbcr(path: Path, study: Study, levels: list[Picture]) -> None:
    with tifffile.TiffWriter(path, byteorder="<") as tiff:
        for pixels in levels:
            # real files of this kind say RGB here, and hold YCbCr
            _page(
                tiff, pixels, _j2k_ycbcr, compression=33003, photometric="rgb",
                description=_aperio(study, "J2K/YUV16 Q=70"),
            )  # fmt: skip


def _svs_jpeg(path: Path, levels: list[Picture], description: str, missing: int = 0) -> None:
    coding = Coding("rgb", 60)
    tables, _ = coding.encode(next(_tiles(levels[0], TILE)))
    with tifffile.TiffWriter(path, byteorder="<") as tiff:
        for number, pixels in enumerate(levels):
            _page(
                tiff, pixels, lambda part: coding.encode(part)[1], compression="jpeg",
                compressionargs={"outcolorspace": "RGB"}, jpegtables=tables,
                subsampling=(2, 2), description=description, missing=0 if number else missing,
            )  # fmt: skip


def _svs_without_spacing(path: Path, study: Study, levels: list[Picture]) -> None:
    _svs_jpeg(path, levels, _aperio(study, "JPEG/RGB Q=60", spacing=False))


def _svs_without_last_row(path: Path, study: Study, levels: list[Picture]) -> None:
    across = -(-SIZE[0] // TILE[1])
    _svs_jpeg(path, levels, _aperio(study, "JPEG/RGB Q=60"), missing=across)


# -- no scanner in particular -------------------------------------------------------


def _whole_jpeg(pixels: Picture) -> bytes:
    return bytes(simplejpeg.encode_jpeg(pixels, 75, "RGB", "420"))


def _generic(study: Study) -> dict[str, Any]:
    return {
        "description": f"todoke sample, study {study.accession_number}{TEST_DESCRIPTION}",
        "resolution": _RESOLUTION,
        "resolutionunit": "CENTIMETER",
    }


def _tiff_jpeg(path: Path, study: Study, levels: list[Picture]) -> None:
    _ycbcr_pages(path, study, levels, TILE)


def _ycbcr_pages(path: Path, study: Study, levels: list[Picture], tile: tuple[int, int]) -> None:
    with tifffile.TiffWriter(path, byteorder="<") as tiff:
        for number, pixels in enumerate(levels):
            _page(
                tiff, pixels, _whole_jpeg, tile=tile, compression="jpeg", photometric="ycbcr",
                subsampling=(2, 2), subfiletype=int(number > 0), **_generic(study),
            )  # fmt: skip


def _tiff_deflate(path: Path, study: Study, levels: list[Picture]) -> None:
    with tifffile.TiffWriter(path, byteorder=">") as tiff:
        for number, pixels in enumerate(levels):
            _page(
                tiff, pixels, None, compression="zlib", predictor=True, photometric="rgb",
                subfiletype=int(number > 0), **_generic(study),
            )  # fmt: skip


def _bigtiff(path: Path, study: Study, levels: list[Picture]) -> None:
    with tifffile.TiffWriter(path, bigtiff=True, byteorder="<") as tiff:
        for number, pixels in enumerate(levels):
            more = _generic(study) if not number else {"subfiletype": 1}
            _page(
                tiff, pixels, _j2k(transformed=False, lossy=False), compression=34712,
                photometric="rgb", subifds=0 if number else len(levels) - 1, **more,
            )  # fmt: skip


def _one_level(path: Path, study: Study, levels: list[Picture]) -> None:
    with tifffile.TiffWriter(path, byteorder="<") as tiff:
        _page(
            tiff, levels[1], None, tile=(512, 512), compression="lzw", predictor=True,
            photometric="rgb", **_generic(study),
        )  # fmt: skip


def _odd_tiles(path: Path, study: Study, levels: list[Picture]) -> None:
    _ycbcr_pages(path, study, levels, (112, 240))


# -- OME ----------------------------------------------------------------------------


def _ome_xml(study: Study, size: tuple[int, int], planes: int) -> str:
    height, width = size
    note = quoteattr(f"todoke sample {study.accession_number}{TEST_DESCRIPTION}|")
    depth = f' PhysicalSizeZ="{PLANE_UM}" PhysicalSizeZUnit="µm"' if planes > 1 else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" Creator="todoke samples">'
        '<Instrument ID="Instrument:0">'
        '<Microscope Manufacturer="TODOKE" Model="Synthetic" SerialNumber="0"/>'
        '<Objective ID="Objective:0:0" NominalMagnification="20.0"/></Instrument>'
        f'<Image ID="Image:0" Name={note}><InstrumentRef ID="Instrument:0"/>'
        '<ObjectiveSettings ID="Objective:0:0"/>'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="{width}"'
        f' SizeY="{height}" SizeC="3" SizeZ="{planes}" SizeT="1" PhysicalSizeX="{UM}"'
        f' PhysicalSizeXUnit="µm" PhysicalSizeY="{UM}" PhysicalSizeYUnit="µm"{depth}'
        ' Interleaved="true"><Channel ID="Channel:0:0" SamplesPerPixel="3"/>'
        f'<TiffData IFD="0" PlaneCount="{planes}"/></Pixels></Image></OME>'
    )


def _ome(path: Path, study: Study, stacks: list[list[Picture]]) -> None:
    with tifffile.TiffWriter(path, byteorder="<") as tiff:
        for plane, levels in enumerate(stacks):
            for number, pixels in enumerate(levels):
                text = _ome_xml(study, pixels.shape[:2], len(stacks))
                first: dict[str, Any] = (
                    {"description": text.encode()} if plane == number == 0 else {}
                )
                _page(
                    tiff, pixels, _whole_jpeg, compression="jpeg", photometric="ycbcr",
                    subsampling=(2, 2), subifds=0 if number else len(levels) - 1,
                    subfiletype=int(number > 0), **first,
                )  # fmt: skip


def _ome_tiff(path: Path, study: Study, levels: list[Picture]) -> None:
    _ome(path, study, [levels])


def _ome_stack(path: Path, study: Study, levels: list[Picture]) -> None:
    """Write focal planes: the middle one is sharp, its neighbours are blurred."""
    stacks = []
    for plane in range(PLANES):
        away = abs(plane - PLANES // 2)
        height, width = levels[1].shape[:2]
        small = Image.fromarray(levels[1]).resize((width >> away, height >> away))
        soft = np.array(small.resize((width, height), Image.Resampling.BICUBIC))
        stacks.append(_halves(_lettered(soft, study.patient, study.seed)))
    _ome(path, study, stacks)


# -- other scanners -----------------------------------------------------------------


def _ndpi(path: Path, _study: Study, levels: list[Picture]) -> None:
    hamamatsu.sample_ndpi(path, levels, UM)


def _ndpi_stack(path: Path, _study: Study, levels: list[Picture]) -> None:
    hamamatsu.sample_stack(path, levels, UM)


def _vms(path: Path, _study: Study, levels: list[Picture]) -> None:
    hamamatsu.sample_vms(path, levels, UM)


def _philips(path: Path, _study: Study, levels: list[Picture]) -> None:
    philips.sample_philips(path, levels, UM)


FORMS: Final = (
    Form("svs-j2k-rgb", ".svs", _svs_j2k_rgb),
    Form("svs-j2k-ycbcr", ".svs", _svs_j2k_ycbcr),
    Form("svs-no-spacing", ".svs", _svs_without_spacing),
    Form("svs-no-last-row", ".svs", _svs_without_last_row),
    Form("tiff-jpeg", ".tif", _tiff_jpeg),
    Form("tiff-deflate", ".tif", _tiff_deflate),
    Form("bigtiff-j2k", ".tif", _bigtiff),
    Form("one-level-lzw", ".tif", _one_level),
    Form("odd-tiles", ".tif", _odd_tiles),
    Form("ome", ".ome.tif", _ome_tiff),
    Form("ome-z", ".ome.tif", _ome_stack),
)
VENDOR_FORMS: Final = (
    Form("ndpi", ".ndpi", _ndpi),
    Form("ndpi-z", ".ndpi", _ndpi_stack),
    Form("vms", ".vms", _vms, apart=True),
    Form("philips", ".tiff", _philips),
)
