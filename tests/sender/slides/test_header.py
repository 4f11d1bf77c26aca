"""The header of a virtual instance: who, what, and the same bytes every time."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms
from pydicom import dcmread
from pydicom.dataset import Dataset

from common.dicom.testmark import is_test_dataset
from common.errors import InputError, SlideUnsupported
from sender.slides import Slide, SlideCase, VirtualInstance, open_slide
from sender.slides.icc import NAME, assumed_srgb
from tests.sender.slides.conftest import Sent
from tests.sender.slides.vendor_files import CASE, OTHER_PROFILE, Svs

SMALL = Svs(width=300, height=260, factors=(1,), macro=False)


def header(instance: VirtualInstance) -> Dataset:
    return dcmread(io.BytesIO(instance.header), force=True)


def one_of(slide: Slide, flavor: str) -> VirtualInstance:
    return next(i for i in slide.instances if i.flavor == flavor)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return SMALL.write(tmp_path_factory.mktemp("small") / "small.svs")


def opened(path: Path, **changes: Any) -> Slide:
    return open_slide(path, dataclasses.replace(CASE, **changes))


def test_two_openings_give_the_same_headers_and_uids(one: Sent) -> None:
    with open_slide(one.source, CASE) as again:
        for a, b in zip(one.slide.instances, again.instances, strict=True):
            assert a.header == b.header
            assert a.sop_instance_uid == b.sop_instance_uid
            assert a.prefix == b.prefix
            assert (a.lengths == b.lengths).all()


def test_another_seed_gives_other_uids(small: Path) -> None:
    with opened(small) as a, opened(small, uid_seed="transfer-2") as b:
        mine = {i.sop_instance_uid for i in a.instances}
        assert len(mine) == len(a.instances)
        assert mine.isdisjoint(i.sop_instance_uid for i in b.instances)


@pytest.mark.requirement("CHR-03")
@pytest.mark.parametrize("name", ["髙橋^花子", "山﨑^太郎", "𠮷田^一"])
def test_names_are_written_in_utf_8(small: Path, name: str) -> None:
    with opened(small, patient_name=f"X^Y={name}=カナ^カナ") as slide:
        read = header(slide.instances[0])
        assert read.SpecificCharacterSet == "ISO_IR 192"
        assert str(read.PatientName.ideographic) == name
        assert name.encode("utf-8") in slide.instances[0].header


def test_what_nobody_knows_stays_empty(small: Path) -> None:
    bare = SlideCase("", "", "2.25.1", "2.25.2", "seed", "20260401094500-0500")
    with open_slide(small, bare) as slide:
        read = header(slide.instances[-1])
        assert (str(read.PatientName), read.PatientID, read.StudyDate) == ("", "", "")
        assert "IssuerOfPatientID" not in read
        assert "InstitutionName" not in read
        assert read.InstanceCreationTime == "094500"
        assert read.ContainerIdentifier == "UNKNOWN"


@pytest.mark.requirement("CHR-03")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("patient_name", "A" * 65),
        ("patient_name", "\ud842^lone surrogate"),
        ("patient_id", "0" * 65),
        ("accession_number", "A" * 17),
        ("birth_date", "1950-04-01"),
        ("study_uid", "not.a.uid"),
        ("sex", "女"),
    ],
)
def test_what_cannot_be_written_stops_without_telling_the_value(
    small: Path, field: str, value: str
) -> None:
    with pytest.raises(InputError) as refused:
        opened(small, **{field: value})
    assert value not in refused.value.words("ja") + refused.value.words("en")


def test_the_header_is_explicit_with_defined_lengths(one: Sent) -> None:
    for instance in one.slide.instances:
        assert b"\xff\xff\xff\xff" not in instance.header
        read = header(instance)
        assert not [e.tag for e in read.iterall() if e.tag.element == 0]
        assert max(read.keys()) < 0x7FE00000
        assert len(instance.header) % 2 == 0


def test_identity_and_order_of_the_instances(one: Sent) -> None:
    slide = one.slide
    flavors = [i.flavor for i in slide.instances]
    assert flavors[:3] == ["THUMBNAIL", "OVERVIEW", "LABEL"]
    levels = [i for i in slide.instances if i.level is not None]
    assert [i.columns for i in levels] == sorted(i.columns for i in levels)
    assert levels[-1].level == 0
    for number, instance in enumerate(slide.instances, 1):
        read = header(instance)
        assert read.InstanceNumber == number
        assert read.SOPInstanceUID == instance.sop_instance_uid
        assert (read.StudyInstanceUID, read.SeriesInstanceUID) == ("2.25.7001", "2.25.7002")
        assert (read.PatientID, read.IssuerOfPatientID) == ("0012345", "1312345678")
        assert read.ContainerIdentifier == "P26-000123-1-A"
        assert read.DimensionOrganizationType == "TILED_FULL"
        assert read.ImageType[2] == instance.flavor
        assert int(read.NumberOfFrames) == instance.frames
        across = -(-instance.columns // instance.tile_columns)
        assert instance.frames == across * -(-instance.rows // instance.tile_rows)


@pytest.mark.requirement("WSI-06")
def test_the_scan_is_described(sent: Callable[..., Sent]) -> None:
    slide = sent("rgb").slide
    for factor, instance in zip((4, 2, 1), slide.instances[3:], strict=True):
        read = header(instance)
        measures = read.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        assert [float(x) for x in measures.PixelSpacing] == [0.00025 * factor] * 2
        assert instance.spacing_um == 0.25 * factor
        assert read.OpticalPathSequence[0].ObjectiveLensPower == 40
        assert read.AcquisitionDateTime == "20260331101112"
        assert read.DeviceSerialNumber == "SS1234"
        assert read.LossyImageCompression == "01"
        raw = 3 * instance.frames * instance.tile_columns * instance.tile_rows
        ratio = raw / int(instance.lengths.sum())
        assert float(read.LossyImageCompressionRatio) == pytest.approx(ratio, abs=0.01)


@pytest.mark.requirement("WSI-07")
def test_the_profile_of_the_file_goes_along(sent: Callable[..., Sent]) -> None:
    slide = sent("rgb").slide
    assert slide.icc
    for instance in slide.instances:
        assert header(instance).OpticalPathSequence[0].ICCProfile == OTHER_PROFILE


@pytest.mark.requirement("WSI-07")
def test_a_profile_that_was_not_there_is_called_assumed(sent: Callable[..., Sent]) -> None:
    slide = sent("ycc").slide
    assert not slide.icc
    path = header(slide.instances[-1]).OpticalPathSequence[0]
    assert path.OpticalPathDescription == NAME
    assert path.ICCProfile == assumed_srgb()


def test_the_assumed_profile_is_srgb() -> None:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(assumed_srgb()))
    assert ImageCms.getProfileDescription(profile).strip() == NAME
    colours = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    target = ImageCms.createProfile("sRGB")
    shown = ImageCms.profileToProfile(Image.fromarray(colours), profile, target)
    assert np.abs(np.asarray(shown).astype(int) - colours).max() <= 1


def test_what_the_codestream_holds_is_what_the_header_says(sent: Callable[..., Sent]) -> None:
    for name, words in (("ycc", "YBR_FULL_422"), ("ycc422", "YBR_FULL_422"), ("rgb", "RGB")):
        for instance in sent(name).levels:
            assert header(instance).PhotometricInterpretation == words
            assert (b"Adobe\0\x64\0\0\0\0\0" in instance.prefix) == (words == "RGB")


@pytest.mark.requirement("PRI-04")
@pytest.mark.parametrize("label", [True, False])
@pytest.mark.parametrize("macro", [True, False])
def test_label_and_macro_go_only_when_asked(
    sent: Callable[..., Sent], *, label: bool, macro: bool
) -> None:
    path = sent("ycc").source
    with opened(path, send_label=label, send_macro=macro) as slide:
        flavors = {i.flavor for i in slide.instances}
        assert ("LABEL" in flavors) == label
        assert ("OVERVIEW" in flavors) == macro
        assert ("LABEL: by setting" in slide.omitted) == (not label)
        assert ("OVERVIEW: by setting" in slide.omitted) == (not macro)
        for instance in slide.instances:
            shown = instance.flavor in {"LABEL", "OVERVIEW"}
            assert header(instance).BurnedInAnnotation == ("YES" if shown else "NO")
    assert SlideCase.from_json({k: v for k, v in CASE.to_json().items() if k[:5] != "send_"}) == (
        dataclasses.replace(CASE, send_label=False, send_macro=False)
    )


def test_how_each_picture_was_handled_is_written(sent: Callable[..., Sent]) -> None:
    slide = sent("ycc").slide
    label, macro = header(one_of(slide, "LABEL")), header(one_of(slide, "OVERVIEW"))
    assert "encoded again without loss" in label.DerivationDescription
    assert label.LossyImageCompression == "00"
    assert "not decoded" in macro.DerivationDescription
    assert "DerivationDescription" not in header(slide.instances[-1])
    made = header(slide.instances[-1]).ContributingEquipmentSequence[0]
    assert "not decoded" in made.ContributionDescription


def test_the_mark_of_a_sample_is_kept(sent: Callable[..., Sent], small: Path) -> None:
    assert sent("holes").slide.test
    assert all(is_test_dataset(header(i)) for i in sent("holes").slide.instances)
    with opened(small) as slide:
        assert not slide.test
        assert not any(is_test_dataset(header(i)) for i in slide.instances)
    with opened(small, test=True) as slide:
        assert slide.test
        assert all(is_test_dataset(header(i)) for i in slide.instances)


def test_the_case_survives_json() -> None:
    words = json.loads(json.dumps(CASE.to_json()))
    assert SlideCase.from_json(words) == CASE
    for wrong in ({"colour": "red"}, {"patient_id": 5}, {"send_label": "yes"}, {"spacing_um": "1"}):
        with pytest.raises(InputError):
            SlideCase.from_json(words | wrong)
    del words["patient_id"]
    with pytest.raises(InputError):
        SlideCase.from_json(words)


@pytest.mark.parametrize("mpp", ["", "0", "-1", "nan", "1e9", "a lot"])
def test_a_slide_without_pixel_size_needs_a_person(tmp_path: Path, mpp: str) -> None:
    path = dataclasses.replace(SMALL, mpp=mpp).write(tmp_path / "a.svs")
    with pytest.raises(SlideUnsupported):
        opened(path)
    with opened(path, spacing_um=0.5) as slide:
        assert slide.instances[-1].spacing_um == 0.5


def test_the_pixel_size_in_the_file_wins(small: Path) -> None:
    with opened(small, spacing_um=9.0) as slide:
        assert slide.instances[-1].spacing_um == 0.25


@pytest.mark.parametrize(
    "keys",
    [
        {"Date": "99/99/99", "Time": "99:99:99", "AppMag": "forty"},
        {"Date": "", "Time": "", "AppMag": "", "ScanScope ID": ""},
        {
            "ScanScope ID": "A\\B\x07" + "C" * 100,
            "ScannerType": "GT\\450",
            "Time Zone": "GMT+09:00",
        },
    ],
)
def test_odd_words_in_the_description_do_no_harm(tmp_path: Path, keys: dict[str, str]) -> None:
    with opened(dataclasses.replace(SMALL, keys=keys).write(tmp_path / "a.svs")) as slide:
        read = header(slide.instances[-1])
        assert read.DeviceSerialNumber
        assert read.AcquisitionDateTime.startswith("2026")
