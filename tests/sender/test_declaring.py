"""From files to a judgement: facts, grades, holds, and what a person releases."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from common.errors import NoRoute, NotDirect, PatientsDiffer, UsageError
from common.link import Opening, read_opening, words
from common.proof.identity import Institution, Node
from common.proof.role import Role
from common.states import TransferState
from sender import declaring, identity, ingest, judging, sending
from sender.declaring import House
from sender.judging import Site
from sender.outbox import Outbox, Transfer
from sender.partners import Partner
from sender.routing import Rule
from sender.rules import CURRENT
from tests.sender.slides.vendor_files import Svs
from tests.system.series import write_series

pytestmark = pytest.mark.evidence

WAYS = [
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
]  # fmt: skip
TOLD: dict[str, Any] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "ConversionType": "WSD",
    "Manufacturer": "TODOKE",
    "BurnedInAnnotation": "NO",
    "LossyImageCompression": "01",
    "LossyImageCompressionRatio": ["2.5", "9"],
    "LossyImageCompressionMethod": "ISO_10918_1",
    "RescaleSlope": "1",
    "KVP": "120",
    "PixelSpacing": ["1", "1"],
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "FrameOfReferenceUID": "1.2.3",
    "SliceThickness": "",
}
HOUSE = House(own="0110000002", code_of=lambda key: {"north": "0110000001"}.get(key))
AS_DEVICE = {"source": "modality:CT1"}


def study(folder: Path, seed: int = 1, slices: int = 1, **values: Any) -> list[Path]:
    files = write_series(folder, seed, slices, 16)
    for path in files:
        ds = dcmread(path)
        for keyword, value in values.items():
            setattr(ds, keyword, value)
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
        ds.save_as(path, enforce_file_format=True)
    return files


def captured(folder: Path, seed: int = 1) -> list[Path]:
    return study(folder, seed, SOPClassUID=SecondaryCaptureImageStorage, ConversionType="DV")


Scan = Callable[..., list[Transfer]]


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    """Owe what lies in folders, as the engine does."""

    def run(
        *paths: Path, partner: str = "north", rules: list[Rule] | None = None,
        house: House | None = None, **options: Any,
    ) -> list[Transfer]:  # fmt: skip
        with closing(Outbox(tmp_path / "data")) as box:
            job = box.job(box.submit(partner, list(paths), options))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = ingest.scan(job, rules or [], house=house or HOUSE)
            ids = box.scanned(job, found.transfers, found.refused, found.files)
            return [box.transfer(name) for name in ids]

    return run


def fact(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = identity.read(str(path))
    assert known is not None
    return known.facts


def test_facts_are_the_same_whichever_way_a_header_is_read(tmp_path: Path) -> None:
    (path,) = study(tmp_path / "ct", 1, 1, **TOLD)
    found = []
    for syntax in WAYS:
        ds = dcmread(path)
        ds.walk(lambda _ds, _element: None)  # every value is decoded, to be encoded anew
        other = tmp_path / f"{syntax}.dcm"
        ds.file_meta.TransferSyntaxUID = syntax
        way = {"implicit_vr": syntax.is_implicit_VR, "little_endian": syntax.is_little_endian}
        ds.preamble = bytes(128)
        dcmwrite(other, ds, force_encoding=True, **way)
        found.append(fact(other))
    assert len({one.transfer_syntax for one in found}) == len(WAYS)
    assert len({repr(one).replace(one.transfer_syntax, "") for one in found}) == 1
    first = found[0]
    assert first.image_type == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert (first.conversion, first.manufacturers, first.burned_in) == ("WSD", ("TODOKE",), "NO")
    assert (first.lossy, first.ratio, first.method) == ("01", 9.0, "ISO_10918_1")
    assert (first.samples, first.bits, first.modality) == (1, 12, "CT")
    assert first.has == {
        "RescaleSlope", "KVP", "PixelSpacing", "ImageOrientationPatient", "FrameOfReferenceUID",
    }  # fmt: skip


@pytest.mark.requirement("DIR-01", "DIR-02")
def test_what_a_scan_finds_is_kept_with_the_transfer_and_its_instances(
    scan: Scan, tmp_path: Path
) -> None:
    study(tmp_path / "ct", 1, 2)
    door = {"archive": False, "implementation_class_uid": "1.2.3", "implementation_version": "V1"}
    (sent,) = scan(tmp_path / "ct", ingest=door, **AS_DEVICE)
    assert sent.state is TransferState.QUEUED
    assert (sent.judgement["direct"], sent.judgement["grade"]) == (True, "A")
    assert sent.judgement["ingest"] == {
        "grade": "A", "channel": "modality", "aet": "CT1",
        "implementation_class_uid": "1.2.3", "implementation_version": "V1",
    }  # fmt: skip
    with closing(Outbox(tmp_path / "data")) as box:
        assert [one.role for one in box.instances(sent.id)] == ["acquired", "acquired"]


@pytest.mark.requirement("DIR-01")
@pytest.mark.parametrize(
    ("options", "house", "grade", "direct"),
    [
        (AS_DEVICE, HOUSE, "A", True),
        ({**AS_DEVICE, "ingest": {"archive": True}}, HOUSE, "B", True),
        ({"source": "folder:CD"}, HOUSE, "E", None),
        ({"source": "folder:CD"}, House(attested_by="技師"), "D", True),
        ({"request": {"import": {"attested_by": "技師"}}}, HOUSE, "D", True),
        ({}, HOUSE, "E", None),
        ({}, House(site=Site(hold_unattested=True)), "E", False),
    ],
)
def test_the_way_in_decides_the_grade(
    scan: Scan, tmp_path: Path, options: dict[str, Any], house: House, grade: str, direct: bool
) -> None:
    study(tmp_path / "ct")
    (sent,) = scan(tmp_path / "ct", house=house, **options)
    assert (sent.judgement["grade"], sent.judgement["direct"]) == (grade, direct)
    assert (sent.state is TransferState.HELD) is (direct is False)


@pytest.mark.requirement("DIR-01", "DIR-05")
def test_a_slide_of_a_scanner_has_grade_c_and_is_direct(scan: Scan, tmp_path: Path) -> None:
    slide = Svs(width=600, height=400, factors=(1, 2)).write(tmp_path / "synthetic.svs")
    known = {"patient_id": "1", "patient_name": "A^B"}
    (sent,) = scan(slide, slide=known, source="folder:scanner")
    assert (sent.judgement["set"], sent.judgement["grade"]) == ("pathology", "C")
    assert sent.judgement["direct"] is True, sent.judgement
    roles = sent.judgement["roles"]
    assert (roles["acquired"], roles["non-image"]) == (1, 0)
    (typed,) = scan(slide, slide=known)
    assert (typed.judgement["grade"], typed.judgement["direct"]) == ("E", None)


@pytest.mark.requirement("DIR-04")
def test_what_is_held_goes_as_reference_in_a_persons_name(scan: Scan, tmp_path: Path) -> None:
    captured(tmp_path / "sc")
    (held,) = scan(tmp_path / "sc", **AS_DEVICE)
    assert held.state is TransferState.HELD
    assert held.error is not None
    assert held.error["number"] == NotDirect.number
    assert "参考" in held.error["ja"]
    assert "reference" in held.error["en"]
    data, said = tmp_path / "data", {"by": "院長", "reason": "比較のため"}
    with pytest.raises(UsageError, match="--as"):
        sending.release(data, held.id, **said)
    with pytest.raises(UsageError, match="--as"):
        sending.release(data, held.id, way="direct", **said)
    with pytest.raises(UsageError, match="--as"):
        sending.retry(data, held.id)
    with pytest.raises(UsageError, match="--by"):
        sending.release(data, held.id, by=" ", reason="x", way="reference")
    sent = sending.release(data, held.id, way="reference", **said)
    assert (sent.state, sent.error) == (TransferState.QUEUED, None)
    assert (sent.judgement["as"], sent.judgement["direct"]) == ("reference", False)
    released = sent.judgement["released"]
    assert (released["by"], released["reason"]) == ("院長", "比較のため")
    with closing(Outbox(data)) as box:
        told = sending.describe(box, sent)
    assert "参考" in told["direct_ja"]
    assert "reference" in told["direct_en"]


@pytest.mark.requirement("DAT-04", "PRI-02")
def test_a_release_for_another_cause_lets_nothing_else_through(scan: Scan, tmp_path: Path) -> None:
    data = tmp_path / "data"
    Node.create(data, Institution("北見依頼病院", "0119876543"), Role.REQUESTER)
    (data / "partners").mkdir(exist_ok=True)
    Partner(
        "旭川支援病院", "todoke", "0110000001", ("127.0.0.1",), "localhost", 1, 1, "A", "B",
        "", "", "", data / "partners" / "north.json",
    ).save()  # fmt: skip
    captured(tmp_path / "sc", 1)
    study(tmp_path / "ct", 2)
    rows = scan(tmp_path / "sc", tmp_path / "ct", partner="", **AS_DEVICE)
    assert [(row.error or {}).get("number") for row in rows] == [NoRoute.number] * 2
    assert all(_result(row, "R11") == "open" for row in rows)
    said = {"by": "院長", "reason": "電話で確認", "to": "north"}
    after = {row.judgement["direct"]: sending.release(data, row.id, **said) for row in rows}
    assert after[True].state is TransferState.QUEUED
    assert _result(after[True], "R11") == "pass"
    assert after[False].state is TransferState.HELD
    assert after[False].partner == "north"
    assert (after[False].error or {}).get("number") == NotDirect.number


def test_mixed_patients_are_released_as_before(scan: Scan, tmp_path: Path) -> None:
    one, other = write_series(tmp_path / "ct", 1, 2, 16)
    ds = dcmread(other)
    ds.PatientID = "B"
    ds.save_as(other, enforce_file_format=True)
    rows = scan(tmp_path / "ct", **AS_DEVICE)
    assert [(row.error or {}).get("number") for row in rows] == [PatientsDiffer.number] * 2
    sent = sending.release(tmp_path / "data", rows[0].id, by="院長", reason="確認した")
    assert (sent.state, sent.judgement["as"]) == (TransferState.QUEUED, "direct")
    assert str(one)


def _result(row: Transfer, rule: str) -> str:
    return str(next(one["result"] for one in row.judgement["rules"] if one["id"] == rule))


def test_a_late_series_joins_the_study_that_was_sent(scan: Scan, tmp_path: Path) -> None:
    (first,) = study(tmp_path / "ct", 1)
    whole = str(dcmread(first).StudyInstanceUID)
    (late,) = captured(tmp_path / "sc", 1)
    ds = dcmread(late)
    ds.StudyInstanceUID, ds.ConversionType = whole, "WSD"
    ds.save_as(late, enforce_file_format=True)
    with closing(Outbox(tmp_path / "data")) as box:
        house = House(own="1", code_of=lambda _key: "2", before=box.judgements)
        (alone,) = scan(tmp_path / "sc", house=house, **AS_DEVICE)
        scan(tmp_path / "ct", house=house, **AS_DEVICE)
        (joined,) = scan(tmp_path / "sc", house=house, **AS_DEVICE)
    assert (alone.state, joined.state) == (TransferState.HELD, TransferState.QUEUED)
    assert joined.judgement["direct"] is None


def test_the_opening_carries_it_and_one_without_is_as_before(scan: Scan, tmp_path: Path) -> None:
    study(tmp_path / "ct")
    (sent,) = scan(tmp_path / "ct", **AS_DEVICE)
    plain = Opening("0" * 32, "dicom", "1", "2", "1.2.3", {}, ())
    assert "declaration" not in words(plain)
    declared = words(replace(plain, declaration=sent.judgement))
    assert read_opening(declared).declaration == sent.judgement
    name = dcmread(next((tmp_path / "ct").iterdir())).PatientName
    for private in (str(name), "19580307", sent.study, str(tmp_path)):
        assert private not in declaring.written(sent.judgement)


def test_no_real_ct_or_mr_that_declares_itself_acquired_is_held(real_data: Path) -> None:
    held = []
    looked = 0
    for path in ingest.files_below([real_data / "dicom"]):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                known = identity.read(path)
        except Exception:
            continue
        if known is None or known.facts.sop_class not in CURRENT.plausible:
            continue
        kind = known.facts
        if kind.image_type[:2] != ("ORIGINAL", "PRIMARY") or kind.lossy == "01":
            continue
        looked += 1
        judgement = judging.judge({kind: 1}, judging.Ingest("A", "modality"))
        if judgement["direct"] is not True:
            held.append((path, judgement["basis"]["code"]))
    assert looked > 100
    assert held == []
