"""SubIFDs, JPEG 2000 headers and OME-XML that lie: refused in words, nothing runs away."""

from __future__ import annotations

import contextlib
import random
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import InputError, SlideUnreadable, SlideUnsupported
from sender.slides import j2k, omexml, open_slide
from sender.slides.tiff import MOST_PAGES
from tests.sender.slides.vendor_files import CASE, aperio_tags, tiff_bytes, tissue

ATTESTED = replace(CASE, spacing_um=0.5)
QUICK = settings(
    deadline=None,
    max_examples=80,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
AT = 1 << 12


@pytest.fixture(scope="module")
def ome(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small OME-TIFF with SubIFDs, Deflate tiles and two focal planes."""
    path = tmp_path_factory.mktemp("ome") / "a.ome.tif"
    options: dict[str, Any] = {"tile": (64, 64), "photometric": "rgb", "compression": "zlib"}
    with tifffile.TiffWriter(path) as tiff:
        for plane in range(2):
            first = {"description": ome_xml().encode()} if not plane else {}
            tiff.write(
                tissue(100, 90, plane), subifds=1, metadata=None, software=False, **options, **first
            )
            tiff.write(
                tissue(50, 45, plane), subfiletype=1, metadata=None, software=False, **options
            )
    return path


def ome_xml(pixels: str = "", data: str = '<TiffData IFD="0" PlaneCount="2"/>') -> str:
    known = {
        "Type": "uint8", "SizeX": "100", "SizeY": "90", "SizeC": "3", "SizeZ": "2", "SizeT": "1",
        "PhysicalSizeX": "0.5", "PhysicalSizeY": "0.5", "PhysicalSizeZ": "1", "ID": "P",
    }  # fmt: skip
    for pair in pixels.split():
        name, _, value = pair.partition("=")
        known[name] = value
    said = " ".join(f'{name}="{value}"' for name, value in known.items() if value)
    return (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
        f' UUID="urn:uuid:1"><Image ID="I"><Pixels DimensionOrder="XYCZT" {said}>'
        f'<Channel SamplesPerPixel="3"/>{data}</Pixels></Image></OME>'
    )


def retold(ome: Path, path: Path, text: str) -> Path:
    """The file with another description, put behind its end."""
    raw = bytearray(ome.read_bytes())
    with tifffile.TiffFile(ome) as tiff:
        entry = tiff.pages[0].tags["ImageDescription"].offset
    body = text.encode() + b"\0"
    raw[entry + 4 : entry + 12] = struct.pack("<LL", len(body), len(raw))
    path.write_bytes(raw + body)
    return path


def read_all(path: Path) -> None:
    """Open and read every frame; a broken file may only be refused in words."""
    with contextlib.suppress(InputError), open_slide(path, ATTESTED) as slide:
        for instance in slide.instances:
            for i in range(instance.frames):
                assert len(instance.frame(i)) == instance.lengths[i]


def test_the_file_itself_is_sound(ome: Path, tmp_path: Path) -> None:
    for path in (ome, retold(ome, tmp_path / "a.tif", ome_xml())):
        with open_slide(path, CASE) as slide:
            assert [i.frames for i in slide.instances] == [2, 8]


# -- directories --------------------------------------------------------------------


def level(*, children: tuple[int, ...] = (), big: bool = False) -> bytes:
    """A one-directory file at byte 8 (16 in BigTIFF) whose SubIFDs lie where they are told to."""
    tile = b"\0" * (64 * 64 * 3)
    tags = aperio_tags(120, 120, 64, np.full(4, AT), np.full(4, len(tile)))
    del tags[270]
    tags[259] = (3, 1, struct.pack("<H", 1))
    kind, form = (16, "Q") if big else (4, "L")
    if children:
        tags[330] = (kind, len(children), struct.pack(f"<{len(children)}{form}", *children))
    return tiff_bytes(tags, big=big).ljust(AT, b"\0") + tile


@pytest.mark.parametrize(
    ("children", "said"),
    [
        ((8,), "loop"),  # its own parent
        ((1 << 20,), "outside"),
        ((AT, AT), "entries|loop"),
        (tuple(range(8, 8 + MOST_PAGES + 1)), "SubIFDs"),
    ],
)
def test_subifds_that_lie_are_refused(tmp_path: Path, children: tuple[int, ...], said: str) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(level(children=children))
    with pytest.raises(SlideUnreadable, match=said):
        open_slide(path, ATTESTED)


def test_one_subifd_named_twice_is_a_loop(tmp_path: Path) -> None:
    at = AT + 64 * 64 * 3
    whole = level(children=(at, at))
    path = tmp_path / "a.tif"
    path.write_bytes(whole + whole[8:AT])
    with pytest.raises(SlideUnreadable, match="loop"):
        open_slide(path, ATTESTED)


@pytest.mark.badinput(67, "BigTIFF offset 2^63")
def test_a_subifd_at_2_63_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(level(children=(1 << 63,), big=True))
    with pytest.raises(SlideUnreadable, match="outside"):
        open_slide(path, ATTESTED)


def test_a_subifd_inside_a_subifd_is_not_followed(tmp_path: Path) -> None:
    """A pyramid is one step deep, so a chain of a million of them costs nothing."""
    at = AT + 64 * 64 * 3
    inner = level(children=(8, 8))[8:AT]
    path = tmp_path / "a.tif"
    path.write_bytes(level(children=(at,)) + inner)
    with open_slide(path, ATTESTED) as slide:  # the inner one is as large as its parent: no level
        assert len(slide.instances) == 1
        assert "SubIFD" in slide.omitted[0]


@pytest.mark.badinput(67, "header only")
@pytest.mark.parametrize("size", [8, 9, 16])
def test_a_file_of_a_header_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(level()[:size])
    with pytest.raises(SlideUnreadable):
        open_slide(path, ATTESTED)


def test_a_file_cut_anywhere_brings_no_crash(ome: Path, tmp_path: Path) -> None:
    raw = ome.read_bytes()
    for size in range(0, len(raw), 1999):
        path = tmp_path / "a.ome.tif"
        path.write_bytes(raw[:size])
        read_all(path)


@QUICK
@given(seed=st.integers(0, 1 << 32), strikes=st.integers(1, 8))
def test_struck_bytes_bring_no_crash(ome: Path, tmp_path: Path, seed: int, strikes: int) -> None:
    raw, rng = bytearray(ome.read_bytes()), random.Random(seed)
    with tifffile.TiffFile(ome) as tiff:
        pages: list[Any] = [page.aspage() for page in tiff.pages]
        pages += [child for page in list(pages) for child in page.pages]
        places = [page.offset + rng.randrange(250) for page in pages]
        places += [int(o) + rng.randrange(40) for page in pages for o in page.dataoffsets]
        places += [tag.valueoffset for page in pages for tag in page.tags]
    for _ in range(strikes):
        raw[min(rng.choice(places), len(raw) - 1)] = rng.choice((0, 1, 255, rng.randrange(256)))
    path = tmp_path / "struck.tif"
    path.write_bytes(raw)
    read_all(path)


@pytest.mark.badinput(68, "LZW strip bomb as label")
def test_tiles_that_unpack_to_more_are_refused(tmp_path: Path) -> None:
    for compression, bomb in (
        (8, imagecodecs.zlib_encode(bytes(1 << 26), level=9)),
        (5, imagecodecs.lzw_encode(bytes(1 << 24))),
        (50000, imagecodecs.zstd_encode(bytes(1 << 26))),
    ):
        tags = aperio_tags(120, 120, 64, np.full(4, AT), np.full(4, len(bomb)))
        tags[259] = (3, 1, struct.pack("<H", compression))
        path = tmp_path / "a.svs"
        path.write_bytes(tiff_bytes(tags).ljust(AT, b"\0") + bytes(bomb))
        with pytest.raises(SlideUnreadable):
            open_slide(path, ATTESTED)


# -- JPEG 2000 ----------------------------------------------------------------------


def stream(**options: Any) -> bytes:
    known: dict[str, Any] = {"level": 0, "codecformat": "j2k", "reversible": True, "mct": False}
    return bytes(imagecodecs.jpeg2k_encode(tissue(64, 48), **(known | options)))


@pytest.mark.parametrize("reversible", [True, False])
@pytest.mark.parametrize("transformed", [True, False])
def test_what_a_stream_holds_is_read_from_its_header(
    *, reversible: bool, transformed: bool
) -> None:
    code = j2k.look(stream(reversible=reversible, mct=transformed))
    assert (code.columns, code.rows, code.subsampled) == (64, 48, False)
    assert (code.reversible, code.transformed) == (reversible, transformed)
    named = code.photometric(rgb=True)
    assert named == ("RGB" if not transformed else "YBR_RCT" if reversible else "YBR_ICT")
    assert j2k.look(stream()[: 1 << 12]) == j2k.look(stream())


def test_chroma_at_half_width_is_named_so() -> None:
    """Aperio's J2K/YUV16; PS3.5 8.2.4 as changed by CP-2650."""
    half = bytearray(stream())
    at = 6 + half[2:].index(b"\xff\x51") + 36  # the components in SIZ
    half[at + 4] = half[at + 7] = 2
    assert j2k.look(bytes(half)).photometric(rgb=False) == "YBR_FULL_422"
    assert j2k.look(stream()).photometric(rgb=False) == "YBR_FULL"


def test_a_stream_in_boxes_is_refused() -> None:
    with pytest.raises(SlideUnreadable, match="start"):
        j2k.look(stream(codecformat="jp2"))


def test_a_stream_of_one_component_is_refused() -> None:
    grey = imagecodecs.jpeg2k_encode(tissue(64, 48)[..., 0].copy(), codecformat="j2k", level=0)
    with pytest.raises(SlideUnsupported, match="1 components"):
        j2k.look(bytes(grey))


@QUICK
@given(data=st.data())
def test_no_header_brings_a_crash(data: st.DataObject) -> None:
    raw = bytearray(stream()[:200])
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, 130))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(SlideUnreadable, SlideUnsupported):
        j2k.look(bytes(raw[: data.draw(st.integers(0, 200))]))


# -- OME-XML --------------------------------------------------------------------------

LAUGHS = (
    '<!DOCTYPE OME [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<OME><Image ID='&b;'/></OME>"
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "document type"),
        ('<!DOCTYPE OME SYSTEM "file:///etc/passwd"><OME/>', "document type"),
        ("<OME>" + "<a>" * 100 + "</a>" * 100 + "</OME>", "too large"),
        ("<OME>" + "<a/>" * 200_001 + "</OME>", "too large"),
        ("<OME><Image>", "well formed"),
        ("<OME></OME>", "without an image"),
        ("<OME><Pixels SizeX='1'/></OME>", "outside an image"),
        (ome_xml("SizeZ=-1"), "SizeZ"),
        (ome_xml("SizeZ=999999999999"), "SizeZ"),
        (ome_xml("SizeX=101"), "sizes"),
        (ome_xml(data='<TiffData IFD="0" PlaneCount="1"/>'), "not there"),
        (ome_xml(data='<TiffData IFD="1" PlaneCount="2"/>'), "not there"),
        (ome_xml(data='<TiffData IFD="0" PlaneCount="999999999"/>'), "beyond"),
        (ome_xml(data='<TiffData IFD="0"/><TiffData IFD="0" FirstZ="1"/>'), "two planes"),
        (ome_xml(data='<TiffData IFD="0"/><TiffData IFD="1"/>'), "twice"),
        (ome_xml(data='<TiffData IFD="0" FirstC="1" PlaneCount="2"/>'), "not there"),
    ],
)
def test_a_description_that_lies_is_refused(
    ome: Path, tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(SlideUnreadable, match=said):
        open_slide(retold(ome, tmp_path / "a.ome.tif", text), CASE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ome_xml("Type=uint16"), "uint16"),
        (ome_xml("SizeT=3"), "time series"),
        (ome_xml("SizeC=4"), "channels"),
        (ome_xml().replace("<Channel", "<Channel/><Channel"), "2 channels"),
        (ome_xml("PhysicalSizeZ="), "PhysicalSizeZ"),
        (ome_xml("PhysicalSizeX= PhysicalSizeY="), "--spacing"),
        (ome_xml("PhysicalSizeXUnit=pixel"), "--spacing"),
        (ome_xml("PhysicalSizeX=nan"), "--spacing"),
        ('<OME><BinaryOnly UUID="u" MetadataFile="a"/></OME>', "another file"),
        (
            ome_xml(data='<TiffData IFD="0"><UUID FileName="b.tif">urn:uuid:2</UUID></TiffData>'),
            "several files",
        ),
    ],
)
def test_what_is_no_bright_field_slide_is_refused_in_words(
    ome: Path, tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(SlideUnsupported, match=said):
        open_slide(retold(ome, tmp_path / "a.ome.tif", text), CASE)


def test_units_and_planes_as_other_programs_write_them(ome: Path, tmp_path: Path) -> None:
    own = '<UUID FileName="before.tif">urn:uuid:1</UUID>'  # renamed since
    text = ome_xml(
        "PhysicalSizeX=500 PhysicalSizeXUnit=nm PhysicalSizeY=0.00025 PhysicalSizeYUnit=mm",
        f'<TiffData IFD="1">{own}</TiffData><TiffData IFD="0" FirstZ="1">{own}</TiffData>',
    )
    with open_slide(retold(ome, tmp_path / "a.ome.tif", text), CASE) as slide:
        base = slide.instances[-1]
        assert base.spacing_um == pytest.approx(0.5)
        first = imagecodecs.jpeg2k_decode(base.frame(0))
        assert (first == tissue(100, 90, 1)[:64, :64]).all()  # the second directory is the lower


@QUICK
@given(st.text(max_size=200), st.integers(0, 600))
def test_no_text_brings_a_crash(junk: str, at: int) -> None:
    text = ome_xml()
    for whole in (junk, text[:at] + junk + text[at:], text[:at]):
        with contextlib.suppress(SlideUnreadable):
            omexml.read(whole)
