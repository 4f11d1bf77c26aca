"""Coded again with loss: only by the site's decision, only what cannot go as stored, and said."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
import simplejpeg
import tifffile
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from common.errors import InputError
from receiver import facts as receivers
from samples.formats import FORMS, write_formats
from sender import declaring, judging, slide_case
from sender.judging import Ingest
from sender.safety import notes
from sender.slides import Slide, SlideCase, VirtualInstance, open_slide
from tests.sender.slides import made_slides
from tests.sender.slides.conftest import stored
from tests.sender.slides.reading import pages_of
from tests.sender.slides.test_standard import judged
from tests.sender.slides.vendor_files import CASE, Svs, tissue

WHO = "鈴木 一郎"
DECIDED = replace(CASE, spacing_um=0.5, lossy_codec="jpeg", lossy_quality=90, lossy_by=WHO)
AGAIN = ("tiff-deflate", "one-level-lzw", "strips", "vms")
KINDS = (*AGAIN[:3], pytest.param("vms", marks=pytest.mark.slow))
JPEG_BASELINE, REVERSIBLE = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A slide of each kind that has to be coded again, and one that has not."""
    folder = Path(tmp_path_factory.mktemp("lossy"))
    wanted = [form for form in FORMS if form.name in {*AGAIN, "tiff-jpeg"}]
    paths = [path for path, _ in write_formats(folder, 3, forms=wanted)]
    found = {form.name: path for form, path in zip(wanted, paths, strict=True)}
    found["vms"] = made_slides.vms(folder)
    found["strips"] = folder / "strips.tif"
    with tifffile.TiffWriter(found["strips"]) as tiff:
        picture = tissue(275, 325).repeat(4, axis=0).repeat(4, axis=1)
        tiff.write(picture, photometric="rgb", compression="zlib", rowsperstrip=100)
    return found


def levels(slide: Slide) -> list[VirtualInstance]:
    return [one for one in slide.instances if one.flavor == "VOLUME"]


def read(one: VirtualInstance) -> Dataset:
    return dcmread(io.BytesIO(stored(one)))


def seen(one: VirtualInstance) -> np.ndarray[Any, Any]:
    """The picture of a level from its JPEG frames, by a decoder that believes their markers."""
    header = read(one)
    across = -(-one.columns // one.tile_columns)
    down = -(-one.rows // one.tile_rows)
    whole = np.empty((down * one.tile_rows, across * one.tile_columns, 3), np.uint8)
    for i, frame in enumerate(generate_frames(header.PixelData, number_of_frames=one.frames)):
        y, x = i // across * one.tile_rows, i % across * one.tile_columns
        tile = simplejpeg.decode_jpeg(frame, "RGB")
        whole[y : y + one.tile_rows, x : x + one.tile_columns] = tile
    return whole[: one.rows, : one.columns]


def source_of(name: str, path: Path, one: VirtualInstance) -> np.ndarray[Any, Any]:
    """The same picture from the source, by a reader not ours."""
    if name == "vms":
        theirs = openslide.OpenSlide(path)
        level = theirs.level_dimensions.index((one.columns, one.rows))
        whole = theirs.read_region((0, 0), level, (one.columns, one.rows))
        return np.asarray(whole.convert("RGB"))
    with tifffile.TiffFile(path) as tiff:
        tiled = pages_of(tiff, one.columns, one.rows)
        return np.asarray((tiled or [tiff.pages[0]])[0].asarray())


@pytest.mark.requirement("WSI-08")
@pytest.mark.parametrize("name", KINDS)
def test_pixels_stay_close_and_the_header_says_what_was_done(
    made: dict[str, Path], name: str
) -> None:
    with open_slide(made[name], DECIDED) as slide:
        for one in levels(slide):
            assert (one.encoding, one.transfer_syntax_uid) == ("reencoded", JPEG_BASELINE)
            difference = seen(one).astype(int) - source_of(name, made[name], one)
            assert 0 < np.abs(difference).mean() < 6, "close, and not equal"
            assert abs(difference.mean()) < 1, "the colours are not shifted"
            header = read(one)
            assert header.PhotometricInterpretation == "YBR_FULL_422"
            assert header.LossyImageCompression == "01"
            assert header.ImageType[0] == "DERIVED"
            (frame,) = [*generate_frames(header.PixelData, number_of_frames=one.frames)][:1]
            assert simplejpeg.decode_jpeg_header(frame)[2:] == ("YCbCr", "422")
            said = header.DerivationDescription
            assert "encoded again with loss: JPEG baseline, quality 90" in said
            assert WHO in said
            contributed = header.ContributingEquipmentSequence[0].ContributionDescription
            assert contributed.startswith(said)
            ratios = np.atleast_1d(header.LossyImageCompressionRatio).astype(float)
            raw = one.frames * one.tile_columns * one.tile_rows * 3
            true = raw / int(np.asarray(one.lengths).sum())
            assert true / 1.5 < ratios[-1] < true * 1.5, "an estimate, and a good one"
            assert f"about {ratios[-1]:.1f}:1" in said
            assert one.expected == pytest.approx(one.layout.length, rel=0.5)


@pytest.mark.slow
@pytest.mark.requirement("DIR-09")
def test_each_step_that_lost_something_is_told_in_its_order(made: dict[str, Path]) -> None:
    with open_slide(made["vms"], DECIDED) as twice, open_slide(made["vms"], CASE) as once:
        before, after = read(once.instances[-1]), read(twice.instances[-1])
    assert list(after.LossyImageCompressionMethod) == ["ISO_10918_1", "ISO_10918_1"]
    assert after.LossyImageCompressionRatio[0] == before.LossyImageCompressionRatio
    with open_slide(made["tiff-deflate"], DECIDED) as slide:
        only = read(slide.instances[-1])
    assert only.LossyImageCompressionMethod == "ISO_10918_1"


@pytest.mark.requirement("WSI-03")
def test_what_can_go_as_stored_and_every_picture_beside_loses_nothing(
    made: dict[str, Path], tmp_path: Path
) -> None:
    with (
        open_slide(made["tiff-jpeg"], DECIDED) as decided,
        open_slide(made["tiff-jpeg"], CASE) as plain,
    ):
        for one, other in zip(decided.instances, plain.instances, strict=True):
            assert stored(one) == stored(other)
    svs = Svs().write(tmp_path / "a.svs")
    with open_slide(svs, DECIDED) as slide, open_slide(svs, CASE) as plain:
        label = next(one for one in slide.instances if one.flavor == "LABEL")
        assert label.transfer_syntax_uid == REVERSIBLE
        assert [stored(one) for one in slide.instances] == [stored(o) for o in plain.instances]
    with open_slide(made["vms"], DECIDED) as slide:
        macro = next(one for one in slide.instances if one.flavor == "OVERVIEW")
        assert (macro.transfer_syntax_uid, macro.recoded) == (REVERSIBLE, None)


def test_the_same_case_gives_the_same_bytes(made: dict[str, Path]) -> None:
    kept = SlideCase.from_json(DECIDED.to_json())
    with open_slide(made["strips"], DECIDED) as first, open_slide(made["strips"], kept) as again:
        assert stored(first.instances[0]) == stored(again.instances[0])


@pytest.mark.requirement("WSI-01")
@pytest.mark.parametrize("name", KINDS)
def test_others_read_it_and_find_no_error(made: dict[str, Path], name: str, tmp_path: Path) -> None:
    with open_slide(made[name], DECIDED) as slide:
        for number, one in enumerate(slide.instances):
            (tmp_path / f"{number}.dcm").write_bytes(stored(one))
        base = levels(slide)[-1]
        mine = seen(base)
    paths = sorted(tmp_path.iterdir())
    theirs = openslide.OpenSlide(paths[-1])
    assert theirs.dimensions == (base.columns, base.rows)
    corner = np.asarray(theirs.read_region((0, 0), 0, (256, 256)).convert("RGB")).astype(int)
    assert np.abs(corner - mine[:256, :256]).max() <= 2  # two decoders, one rounding
    assert [line for path in paths for line in judged(path) if "Error" in line] == []


@pytest.mark.requirement("DIR-05", "DIR-08")
def test_the_rules_say_it_and_so_do_the_notes(made: dict[str, Path]) -> None:
    def said(case: SlideCase) -> tuple[dict[str, Any], dict[str, Any]]:
        with open_slide(made["tiff-deflate"], case) as slide:
            kinds = declaring.counted(declaring.of_slide(slide))
            values = {"request": "{}", "priority": "routine"}
            request = slide_case.decided({}, case, slide, values, lambda _d, _p: None)["request"]
        judgement = judging.judge(kinds, Ingest("C", "scanner"), of="pathology")
        (row,) = (one for one in judgement["rules"] if one["id"] == "R6")
        assert judgement["direct"] is True
        return row, request

    row, request = said(DECIDED)
    assert (row["result"], list(row["codes"])) == ("warn", ["recoded"])
    assert "再符号化・非可逆" in row["ja"]
    assert notes.ENCODED_WITH_LOSS in request
    row, request = said(CASE)
    assert row["result"] == "pass"
    assert notes.ENCODED_AGAIN in request
    assert notes.ENCODED_WITH_LOSS not in request


@pytest.mark.requirement("WSI-08")
@pytest.mark.parametrize(
    ("case", "recoded"), [(DECIDED, True), pytest.param(CASE, False, marks=pytest.mark.slow)]
)
def test_the_receiver_knows_it_from_the_header(
    made: dict[str, Path], case: SlideCase, recoded: bool
) -> None:
    with open_slide(made["vms"], case) as slide:
        header = read(slide.instances[-1])
    del header.PixelData
    known = receivers.read(header.to_json_dict())
    assert (known.reencoded, known.recoded, known.lossy) == (True, recoded, True)
    ratios = np.atleast_1d(header.LossyImageCompressionRatio).astype(float)
    assert known.ratio == ratios[-1]


@pytest.mark.parametrize(
    "words",
    [
        {"lossy_codec": "jpeg"},
        {"lossy_codec": "jpeg", "lossy_quality": 80},
        {"lossy_quality": 80, "lossy_by": WHO},
        {"lossy_codec": "jpeg", "lossy_by": WHO},
        {"lossy_codec": "webp", "lossy_quality": 80, "lossy_by": WHO},
        {"lossy_codec": "jpeg", "lossy_quality": 101, "lossy_by": WHO},
    ],
)
def test_a_decision_that_is_not_whole_codes_nothing(
    made: dict[str, Path], words: dict[str, Any]
) -> None:
    with pytest.raises(InputError):
        open_slide(made["tiff-deflate"], replace(CASE, **words))
