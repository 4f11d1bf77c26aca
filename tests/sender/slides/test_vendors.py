"""Hamamatsu, Philips, and what OpenSlide reads: the same bytes, or the same pixels."""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import openslide
import pytest
import simplejpeg
import tifffile
from pydicom import dcmread
from pydicom.pixels import pixel_array

from common.errors import SlideUnreadable, SlideUnsupported
from sender import ingest
from sender.outbox import Job
from sender.slides import Slide, open_slide
from tests.sender.slides import made_slides
from tests.sender.slides.made_slides import FILTERS, NDPIS, Ndpi
from tests.sender.slides.measured import counted, frames_of, measure, store
from tests.sender.slides.vendor_files import CASE, tissue

REAL_NDPI = "hamamatsu_ndpi/test3-DAPI-2-(387).ndpi"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = Path(tmp_path_factory.mktemp("vendors"))
    made = {
        name: one.write(folder / f"{number}.ndpi")
        for number, (name, one) in enumerate(NDPIS.items())
    }
    made["vms"] = made_slides.vms(folder)
    made["philips"] = made_slides.philips(folder / "philips.tiff")
    return made


def levels(slide: Slide) -> list[Any]:
    return sorted((i for i in slide.instances if i.level is not None), key=lambda i: i.level or 0)


@pytest.mark.requirement("WSI-03")
@pytest.mark.parametrize("name", ["ndpi", "ndpi past 4 GiB", "philips", "real"])
def test_every_coded_piece_of_the_source_is_sent_as_it_is(
    tmp_path: Path, sources: dict[str, Path], name: str, request: pytest.FixtureRequest
) -> None:
    source = sources.get(name) or request.getfixturevalue("real_data") / "wsi" / REAL_NDPI
    found = measure(source, tmp_path, 5)
    assert found.pieces == found.same > 6
    assert found.regions == found.equal > 5
    assert "reencoded" not in found.encodings


@pytest.mark.requirement("WSI-03")
def test_intervals_that_no_table_lists_are_found(tmp_path: Path, sources: dict[str, Path]) -> None:
    """With chroma shared over pixels, decoders mix colours over the seams of intervals."""
    found = measure(sources["ndpi 4:2:2"], tmp_path, 0)
    assert found.pieces == found.same > 10
    with tifffile.TiffFile(sources["ndpi 4:2:2"]) as tiff:
        page: Any = tiff.pages[0]
        tiff.filehandle.seek(page.tags[273].value[0])
        whole = simplejpeg.decode_jpeg(tiff.filehandle.read(page.tags[279].value[0]), "RGB")
    base = max(tmp_path.glob("*.dcm"), key=lambda path: path.stat().st_size)
    read = dcmread(base)
    frame = simplejpeg.decode_jpeg(frames_of(base)[0], "RGB")
    part = whole[: read.Rows, : read.Columns].astype(int)
    inside = np.s_[1:-1, 1:-1]
    assert (frame[inside] == part[inside]).all()


@pytest.mark.requirement("WSI-03")
def test_rows_below_the_picture_are_white_in_its_own_tables(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    slide, paths = store(sources["ndpi"], tmp_path)
    with slide:
        base = levels(slide)[0]
        assert base.rows % base.tile_rows, "the last row of frames reaches below the picture"
        last = frames_of(paths[slide.instances.index(base)])[-1]
    pixels = simplejpeg.decode_jpeg(last, "RGB")
    assert pixels.shape[:2] == (base.tile_rows, base.tile_columns)
    assert pixels[base.rows % base.tile_rows :].min() >= 253


@pytest.mark.requirement("WSI-15")
def test_focal_planes_are_sent_from_the_glass_up(tmp_path: Path) -> None:
    stack = Ndpi(columns=(512,), planes=(0, -2000, 2000), width=1024, height=520, macro=False)
    slide, paths = store(stack.write(tmp_path / "z.ndpi"), tmp_path / "out")
    with slide:
        assert not slide.omitted
        [base] = slide.instances
        read = dcmread(paths[0])
        assert read.TotalPixelMatrixFocalPlanes == 3
        frames = frames_of(paths[0])
        assert len(frames) == base.frames
        per_plane = len(frames) // 3
        for place, plane in enumerate((-2000, 0, 2000)):
            whole = tissue(1024, 520, 1 + abs(plane)).astype(int)
            first = simplejpeg.decode_jpeg(frames[place * per_plane], "RGB").astype(int)
            if plane:
                continue  # both others were made alike
            assert np.abs(first - whole[: first.shape[0], : first.shape[1]]).mean() < 12


def test_planes_at_uneven_distances_leave_the_one_in_focus(tmp_path: Path) -> None:
    stack = Ndpi(columns=(512,), planes=(0, -2000, 1000), width=1024, height=264, macro=False)
    with open_slide(stack.write(tmp_path / "z.ndpi"), CASE) as slide:
        assert slide.omitted == ("focal plane -2000 nm", "focal plane +1000 nm")
        assert len(slide.instances) == 1


@pytest.mark.requirement("WSI-06")
def test_a_filter_set_means_fluorescence(tmp_path: Path, real_data: Path) -> None:
    made = Ndpi(columns=(512,), width=512, height=64, more=FILTERS).write(tmp_path / "f.ndpi")
    for number, (path, name) in enumerate(
        ((made, "DAPI"), (real_data / "wsi" / REAL_NDPI, "DAPI 2 (387)"))
    ):
        slide, paths = store(path, tmp_path / str(number))
        slide.close()
        [light] = dcmread(paths[-1]).OpticalPathSequence
        assert light.IlluminationTypeCodeSequence[0].CodeValue == "111743"
        assert light.IlluminationWaveLength == 387
        assert light.OpticalPathDescription == f"filter set {name}, emission 455 nm"


@pytest.mark.requirement("WSI-01")
@pytest.mark.parametrize("name", ["ndpi", "philips"])
def test_others_read_what_is_stored(tmp_path: Path, sources: dict[str, Path], name: str) -> None:
    from wsidicom import WsiDicom

    source = openslide.OpenSlide(sources[name])
    slide, paths = store(sources[name], tmp_path)
    with slide:
        sizes = [(i.columns, i.rows) for i in levels(slide)]
        opened = openslide.OpenSlide(paths[-1])
        assert list(opened.level_dimensions) == sizes
        assert set(sizes) <= set(source.level_dimensions)
        assert set(opened.associated_images) == set(source.associated_images)
        assert float(opened.properties["openslide.mpp-x"]) == pytest.approx(
            float(source.properties["openslide.mpp-x"])
        )
        tile = levels(slide)[0].tile_columns, levels(slide)[0].tile_rows
        alike = [  # it joins levels of one tile size only
            (i.columns, i.rows) for i in levels(slide) if (i.tile_columns, i.tile_rows) == tile
        ]
        assert len(alike) >= 2
        with WsiDicom.open(tmp_path) as read:
            assert [(s.size.width, s.size.height) for s in read.pyramids[0]] == alike
        for path, instance in zip(paths, slide.instances, strict=True):
            pixels = pixel_array(path, index=0)
            assert pixels.shape == (instance.tile_rows, instance.tile_columns, 3)
        if tool := shutil.which("dciodvfy"):
            said = subprocess.run([tool, "-new", paths[-1]], capture_output=True, text=True)
            assert "Error" not in said.stdout + said.stderr


@pytest.mark.requirement("WSI-04")
def test_a_rendition_says_so_and_has_openslides_pixels(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    slide, paths = store(sources["vms"], tmp_path)
    with slide:
        found = counted(sources["vms"], slide, paths, 5)
        assert (found.encodings, found.same) == ("reencoded", 0)
        assert found.regions == found.equal == 5 * found.levels
        folder = sources["vms"].parent
        assert {path.name for path in slide.files} == {
            "slide.vms", "slide.jpg", "slide_map2.jpg", "slide_macro.jpg", "slide.opt",
        }  # fmt: skip
        before = slide.file_digest()
        part = folder / "slide.opt"
        part.write_bytes(part.read_bytes())
        assert slide.file_digest() == before
        read = dcmread(paths[-1])
        assert "encoded again without loss" in read.DerivationDescription
        assert read.LossyImageCompression == "01", "what was lost before stays lost"
        macro = next(i for i in slide.instances if i.flavor == "OVERVIEW")
        expected = openslide.OpenSlide(sources["vms"]).associated_images["macro"].convert("RGB")
        assert (imagecodecs.jpeg2k_decode(macro.frame(0)) == np.asarray(expected)).all()


@pytest.mark.requirement("WSI-08")
def test_philips_pictures_come_out_of_the_description_as_they_are(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    theirs = openslide.OpenSlide(sources["philips"])
    with open_slide(sources["philips"], CASE) as slide:
        for instance, name in zip(slide.instances, ("macro", "label"), strict=False):
            assert instance.encoding == "stored"
            shown = np.asarray(theirs.associated_images[name].convert("RGB"))
            assert (simplejpeg.decode_jpeg(instance.frame(0), "RGB") == shown).all()
    quiet = replace(CASE, send_label=False, send_macro=False)
    with open_slide(sources["philips"], quiet) as slide:
        assert slide.omitted == ("OVERVIEW: by setting", "LABEL: by setting")
        assert {i.flavor for i in slide.instances} == {"VOLUME"}


@pytest.mark.requirement("WSI-03")
def test_philips_tiles_that_were_not_scanned_are_listed(sources: dict[str, Path]) -> None:
    with open_slide(sources["philips"], CASE) as slide:
        base, half, *_ = levels(slide)
        assert (base.unscanned, half.unscanned) == (frozenset({0, 3}), frozenset({1}))
        blank = np.asarray(simplejpeg.decode_jpeg(base.frame(3), "RGB"))
        assert blank.min() == 255


def test_what_is_broken_is_refused_in_words(tmp_path: Path, sources: dict[str, Path]) -> None:
    whole = sources["ndpi"].read_bytes()
    cases: list[tuple[str, bytes]] = [("cut.ndpi", whole[: len(whole) // 2])]
    flag = whole.index((65426).to_bytes(2, "little") + b"\x04\0")
    torn = bytearray(whole)
    torn[flag + 8 : flag + 12] = b"\xff\xff\xff\x7f"
    cases.append(("table.ndpi", bytes(torn)))
    for name, data in cases:
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SlideUnreadable):
            open_slide(tmp_path / name, CASE)


def test_a_marker_that_is_not_there_stops_the_frame(
    tmp_path: Path, sources: dict[str, Path]
) -> None:
    raw = bytearray(sources["ndpi"].read_bytes())
    at = raw.index(b"\xff\xd0")
    raw[at + 1] = 0
    path = tmp_path / "marker.ndpi"
    path.write_bytes(raw)
    with open_slide(path, CASE) as slide, pytest.raises(SlideUnreadable, match="marker"):
        levels(slide)[0].frame(0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("<DataObject", "well formed"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><DataObject>&b;</DataObject>', "document type"),
        ('<DataObject ObjectType="DPUfsImport"/>', "scans"),
        ("<DataObject>" + "<a>" * 100 + "</a>" * 100 + "</DataObject>", "too large"),
    ],
)
def test_philips_xml_is_not_trusted(tmp_path: Path, words: str, said: str) -> None:
    path = made_slides.philips(tmp_path / "bad.tiff", description=words, holes=[])
    with pytest.raises((SlideUnreadable, SlideUnsupported), match=said):
        open_slide(path, CASE)


@pytest.mark.parametrize("rubbish", [b"!" * 400, "é".encode() * 200], ids=["none", "no ASCII"])
def test_a_label_that_is_no_picture_is_left_out(
    tmp_path: Path, sources: dict[str, Path], rubbish: bytes
) -> None:
    out = io.BytesIO(sources["philips"].read_bytes())
    raw = out.getvalue()
    at = raw.index(b"PIM_DP_IMAGE_DATA", raw.index(b"LABELIMAGE"))
    begin = raw.index(b">", at) + 1
    broken = raw[:begin] + rubbish + raw[begin + 400 :]
    path = tmp_path / "label.tiff"
    path.write_bytes(broken)
    with open_slide(path, CASE) as slide:
        assert any(words.startswith("LABEL: ") for words in slide.omitted)
        assert {i.flavor for i in slide.instances} == {"OVERVIEW", "VOLUME"}


def scanned(folder: Path) -> ingest.Found:
    slide = {"patient_id": "1", "patient_name": "SATO^KEN"}
    return ingest.scan(Job(1, "", [str(folder)], {"slide": slide}, "", False, 0))


def test_a_slide_in_several_files_counts_as_one(tmp_path: Path) -> None:
    made_slides.vms(tmp_path, "one")
    (tmp_path / "note.txt").write_text("beside")
    found = scanned(tmp_path)
    assert found.files == 2
    assert len(found.transfers) == 1
    assert [Path(path).name for path, _ in found.refused] == ["note.txt"]


def test_a_reader_that_dies_refuses_one_slide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSlide runs apart: whatever becomes of it, the sender goes on."""
    path = made_slides.vms(tmp_path)
    with open_slide(path, CASE) as slide:
        base = levels(slide)[0]
        reader = base.reader.__self__._tiles.func.__self__._worker
        start = reader.start

        def dying() -> Any:
            """Begin as ever; what was begun is dead before it has answered."""
            process = start()
            process.kill()
            process.wait()
            return process

        with monkeypatch.context() as patched:
            patched.setattr(reader, "start", dying)
            with pytest.raises(SlideUnreadable, match="OpenSlide"):
                base.frame(0)
        assert base.frame(0), "the next one has a reader of its own"
