"""What is asked goes with its images, or neither goes: requests, forms, priors, 予告."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from common import request
from common.errors import AnnouncementGone, MixedPatients, RequestOfAnother, RequestUnreadable
from common.free_ports import free_ports
from receiver import requests
from receiver.facts import KnownFacts
from receiver.marks import ReaderMarks
from receiver.queries import Queries
from receiver.standings import Person
from receiver.worklist import Worklist
from sender.cli import app
from tests.sender.slides.vendor_files import Svs
from tests.system.ends import Ends, must, until
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.evidence, pytest.mark.timeout(120)]
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\nstartxref\n9\n%%EOF\n"
ASKED = {
    "reason": "髙橋先生へ: 頭蓋内出血の有無", "clinical": "突然の頭痛\n嘔吐2回",
    "body_part": "頭部", "doctor": "山﨑 一郎", "department": "救急科", "phone": "0157-00-0000",
}  # fmt: skip
TYPED = (
    "--urgency", "緊急", "--purpose", "助言", "--reason", ASKED["reason"],
    "--clinical", ASKED["clinical"], "--body-part", ASKED["body_part"],
    "--requester", ASKED["doctor"], "--department", ASKED["department"],
    "--telephone", ASKED["phone"],
)  # fmt: skip


@pytest.fixture(scope="module")
def two(ends: Ends) -> Iterator[Ends]:
    """Two ends, and the sender's daemon."""
    with ends.daemon():
        yield ends


def say(ends: Ends, *words: object, code: int = 0) -> Any:
    """Run a verb of the sender in this process, beside its daemon."""
    line = ["--data", str(ends.sender), "--json"]
    said = CliRunner().invoke(app, [str(words[0]), *line, *map(str, words[1:])])
    assert said.exit_code == code, said.output
    return json.loads(said.stdout)


def listed(ends: Ends, sought: str = "") -> list[dict[str, Any]]:
    """What the work list of the receiver says."""
    with ends.index() as known:
        return Worklist(known, KnownFacts(ends.receiver / "store")).rows(sought)


def row_of(ends: Ends, study: str) -> dict[str, Any]:
    (row,) = [row for row in listed(ends) if row["study_uid"] == study]
    return row


def series(folder: Path, seed: int, *, dated: str = "", slices: int = 2) -> tuple[Path, str]:
    """A small study; gives its folder and Study Instance UID."""
    files = write_series(folder, seed, slices=slices, side=32)
    for path in files:
        if dated:
            image = dcmread(path)
            image.StudyDate = dated
            image.save_as(path, enforce_file_format=True)
    return folder, str(dcmread(files[0]).StudyInstanceUID)


def queries_of(ends: Ends, transfer: str) -> list[str]:
    """What the sender shows of the reading room's queries about a transfer."""
    return [one["text"] for one in say(ends, "show", transfer)["correspondence"]]


def today() -> str:
    return date.today().strftime("%Y%m%d")


def one(said: Any) -> dict[str, Any]:
    (sent,) = said["transfers"]
    return dict(sent)


@pytest.mark.requirement("RAD-01", "UX-02", "UX-03", "UX-04", "SUB-06")
def test_a_request_and_its_form_come_with_their_images(two: Ends, tmp_path: Path) -> None:
    folder, study = series(tmp_path / "ct", 1)
    form = tmp_path / "依頼票.pdf"
    form.write_bytes(PDF)  # of an odd length
    assert len(PDF) % 2
    sent = one(say(two, "send", folder, *TYPED, "--form", form))
    assert (sent["state"], sent["instances"], sent["requested"]) == ("receipted", 3, True)
    row = row_of(two, study)
    assert {key: row["request"][key] for key in ASKED} == ASKED
    assert (row["priority"], row["purpose"], row["requested"]) == ("urgent", "advice", True)
    assert [item["ja"] for item in row["request_items"]][:3] == ["依頼内容", "臨床情報", "部位"]
    (named,) = row["request"]["forms"]
    assert named["sha256"] == hashlib.sha256(PDF).hexdigest()
    with two.index() as known:
        assert requests.form(known, two.receiver / "store", row["key"], named["uid"]) == PDF
    assert row["request_forms"] == [f"/api/studies/{row['key']}/forms/{named['uid']}"]
    with two.outbox() as box:
        signed = box.statement(sent["id"], "receipt")
        mine = box.transfer(sent["id"])
    receipt = payload(signed)
    assert receipt["facts"]["request"] == request.digest("urgent", "advice", mine.request)


def payload(signed: str | None) -> Any:
    """What a JWS carries, unverified."""
    middle = str(signed).split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


@pytest.mark.requirement("UX-02", "UX-03", "WSI-09")
def test_the_form_of_a_slide_is_a_transfer_of_its_case(two: Ends, tmp_path: Path) -> None:
    """Frames travel alone; the slide is not receipted before its form is there."""
    slide = Svs(width=700, height=500, factors=(1, 2), label=False, macro=False)
    slide.write(tmp_path / "a.svs")
    (tmp_path / "form.pdf").write_bytes(PDF)
    file = tmp_path / "request.json"
    words = {
        "患者ID": "T20",
        "氏名": "髙橋 花子",
        "採取部位": "胃前庭部",
        "肉眼所見": "Ⅱc",
        "染色": "HE",
    }
    file.write_text(json.dumps(words, ensure_ascii=False), "utf-8")
    asked = ("--request", file, "--form", tmp_path / "form.pdf")
    sent = say(two, "send", tmp_path / "a.svs", *asked)["transfers"]
    assert [(one["kind"], one["state"]) for one in sent] == [
        ("dicom", "receipted"), ("slide", "receipted"),
    ]  # fmt: skip
    (row,) = [row for row in listed(two) if row["patient"]["id"] == "T20"]
    assert [(item["ja"], item["text"]) for item in row["request_items"]] == [
        ("染色", "HE"), ("採取部位", "胃前庭部"), ("肉眼所見", "Ⅱc"),
    ]  # fmt: skip
    (named,) = row["request"]["forms"]
    with two.index() as known:
        assert requests.form(known, two.receiver / "store", row["key"], named["uid"]) == PDF
    assert (row["kind"], row["arrived"]) == ("slide", row["expected"])


@pytest.mark.requirement("RAD-01")
def test_requests_are_found_by_their_words_whatever_their_width(two: Ends, tmp_path: Path) -> None:
    folder, study = series(tmp_path / "ct", 2)
    say(two, "send", folder, "--reason", "スクリーニング ＣＴ 100%_完")
    for sought in ("すくりーにんぐ", "ct 100%", "ＣＴ", "%_"):
        assert [row["study_uid"] for row in listed(two, sought)] == [study], sought
    assert not listed(two, "1000_")


@pytest.mark.requirement("UX-02")
def test_images_without_a_request_say_so(two: Ends, tmp_path: Path) -> None:
    folder, study = series(tmp_path / "ct", 3)
    sent = one(say(two, "send", folder))
    assert (row_of(two, study)["requested"], sent["requested"]) == (False, False)
    (known,) = [
        one
        for one in must("receiver", "status", "--data", two.receiver)["transfers"]
        if one["id"] == sent["id"]
    ]
    assert (known["requested"], known["prior"], known["purpose"]) == (False, False, "diagnosis")


@pytest.mark.requirement("RAD-01")
def test_a_request_file_speaks_of_its_patient_alone(two: Ends, tmp_path: Path) -> None:
    folder, study = series(tmp_path / "ct", 4)
    file = tmp_path / "request.json"
    words = {
        "患者ID": "T5",
        "依頼内容": "確認",
        "緊急度": "至急",
        "既往歴": "なし",
        "年号": "知らない列",
    }
    file.write_text(json.dumps(words, ensure_ascii=False), "utf-8")
    held = one(say(two, "send", folder, "--request", file, code=RequestOfAnother.exit_code))
    assert (held["state"], held["error"]["number"]) == ("held", RequestOfAnother.number)
    assert not [row for row in listed(two) if row["study_uid"] == study]
    say(two, "release", held["id"], "--by", "山本", "--reason", "急ぐ", code=2)
    say(two, "request", held["id"], "--patient-id", "T5", "--reason", "x", code=26)
    say(two, "request", held["id"], "--patient-id", "T4", "--reason", "正しい依頼")
    with two.outbox() as box:
        until(lambda: box.transfer(held["id"]).finished is not None, "it is sent")
    row = row_of(two, study)
    assert (row["request"]["reason"], row["priority"], row["state"]) == (
        "正しい依頼", "soon", "receipted",
    )  # fmt: skip
    say(two, "request", held["id"], "--reason", "遅い", code=2)  # its opening is signed


@pytest.mark.requirement("UX-05")
def test_priors_are_marked_and_never_become_the_current_study(two: Ends, tmp_path: Path) -> None:
    now, study = series(tmp_path / "now", 6)
    old, before = series(tmp_path / "now" / "old", 6)
    other, _ = series(tmp_path / "other", 7)
    sent = say(two, "send", now, "--prior", old, "--prior", other, "--reason", "比較", code=26)[
        "transfers"
    ]
    states = {one["study_uid"]: (one["state"], one["prior"]) for one in sent}
    assert states.pop(study) == ("receipted", False)
    assert states.pop(before) == ("receipted", True)
    assert list(states.values()) == [("held", True)], "another patient's image for comparison"
    assert next(one for one in sent if one["state"] == "held")["error"]["number"] == (
        MixedPatients.number
    )
    row = row_of(two, before)
    assert (row["prior"], row["requested"], row["request"]["prior"]) == (
        True, False, {"of": [study]},
    )  # fmt: skip
    # what is asked now is not turned into an old image by coming again as one
    say(two, "send", "--prior", now / "IM0001.dcm")
    assert (row_of(two, study)["prior"], row_of(two, study)["request"]["reason"]) == (False, "比較")
    say(two, "send", old, "--prior", tmp_path / "now", code=2)


@pytest.mark.requirement("UX-02")
def test_an_announcement_is_closed_by_its_images(two: Ends, tmp_path: Path) -> None:
    who = ("--patient-id", "T8", "--modality", "CT", "--reason", "これから撮影")
    announced = say(two, "announce", *who, "--urgency", "緊急", "--requester", "山﨑")
    assert announced["state"] == "announced"
    (row,) = [row for row in listed(two) if row["patient"]["id"] == "T8"]
    key = row["key"]
    assert (row["state_ja"], row["expected"], row["priority"]) == ("予告", None, "urgent")
    with two.index() as known:
        Queries(known).send(key, Person("sato"), "query", "いつ撮影しますか")
    until(lambda: len(queries_of(two, announced["id"])) == 1, "the sender hears the query")
    earlier, _ = series(tmp_path / "earlier", 8, dated="20200101")
    assert one(say(two, "send", earlier))["id"] != announced["id"], "it existed before"
    folder, study = series(tmp_path / "ct", 8, dated=today())
    sent = one(say(two, "send", folder, "--clinical", "撮影後の所見"))
    assert (sent["id"], sent["state"], sent["priority"]) == (
        announced["id"], "receipted", "urgent",
    )  # fmt: skip
    rows = [row for row in listed(two) if row["patient"]["id"] == "T8"]
    assert "announced" not in {row["state"] for row in rows}, "no line is left of the announcement"
    mine = row_of(two, study)
    assert (mine["key"], mine["queries"]) == (key, 1), "the row is the one of the announcement"
    assert queries_of(two, sent["id"]) == ["いつ撮影しますか"], "and so it is at the sender"
    assert (mine["request"]["reason"], mine["request"]["clinical"], mine["expected"]) == (
        "これから撮影", "撮影後の所見", 2,
    )  # fmt: skip


@pytest.mark.requirement("UX-01")
def test_key_images_come_back_to_the_sender_with_its_own_file_of_each(
    two: Ends, tmp_path: Path
) -> None:
    folder, study = series(tmp_path / "ct", 31, slices=3)
    sent = one(say(two, "send", folder))
    path = folder / "IM0002.dcm"
    chosen = {"sop": str(dcmread(path).SOPInstanceUID), "frame": 1}

    def mark(*keys: dict[str, Any], reader: str = "sato") -> None:
        with two.index() as known:
            marks = ReaderMarks(Worklist(known, KnownFacts(two.receiver / "store")))
            kept = {"marks": [], "keys": list(keys), "layout": None}
            marks.keep(reader, row_of(two, study)["key"], kept, f"{reader}医師")

    def keys() -> list[tuple[str, list[str]]]:
        found = say(two, "show", sent["id"])["key_images"]
        return [(one["by"], [image["path"] for image in one["images"]]) for one in found]

    mark(chosen)
    until(lambda: keys() == [("sato医師", [str(path)])], "the sender has the key image")
    assert say(two, "show", sent["id"])["reader"]["key_images"] == 1
    mark(chosen, reader="abe")
    until(lambda: len(keys()) == 2, "each reader has chosen by himself")
    mark()
    until(lambda: keys() == [("abe医師", [str(path)])], "one has taken it back")


@pytest.mark.requirement("UX-02")
def test_an_announcement_that_is_named_takes_its_own_patient_alone(
    two: Ends, tmp_path: Path
) -> None:
    first = say(two, "announce", "--patient-id", "T9", "--reason", "一つ目")
    second = say(two, "announce", "--patient-id", "T9", "--reason", "二つ目")
    folder, _ = series(tmp_path / "wrong", 10)
    held = one(say(two, "send", folder, "--for", second["id"][:12], code=26))
    assert (held["state"], held["error"]["number"]) == ("held", MixedPatients.number)
    folder, _ = series(tmp_path / "meant", 9, dated=today())
    assert one(say(two, "send", folder))["id"] not in (first["id"], second["id"]), "which of two?"
    folder, study = series(tmp_path / "named", 9)
    sent = one(say(two, "send", folder, "--for", second["id"][:12]))
    assert (sent["id"], sent["state"]) == (second["id"], "receipted")
    assert row_of(two, study)["request"]["reason"] == "二つ目"
    again, _ = series(tmp_path / "again", 9)
    say(two, "send", again, "--for", second["id"], code=AnnouncementGone.exit_code)
    gone = say(two, "withdraw", first["id"], "--by", "山本", "--reason", "撮影中止")
    assert gone["state"] == "recalled"
    (row,) = [row for row in listed(two) if row["state"] == "recalled"]
    assert row["request"]["withdrawn"]["reason"] == "撮影中止"
    say(two, "withdraw", first["id"], "--by", "山本", "--reason", "また", code=2)
    say(two, "send", again, "--for", first["id"], code=AnnouncementGone.exit_code)


@pytest.mark.slow
@pytest.mark.requirement("UX-02")
def test_neither_a_request_nor_its_images_are_taken_for_the_whole(
    two: Ends, tmp_path: Path
) -> None:
    """One of the two lines is dead, then the receiver is killed, then both lines carry."""
    (dead,) = free_ports(1)
    folder, study = series(tmp_path / "alone", 12)
    with two.through(link=dead):  # the images come ahead, what is asked does not
        say(two, "send", folder, "--no-wait", "--reason", "画像だけ先に")
        until(lambda: arrived(two, study) == 2, "the images are there")
        row = row_of(two, study)
        assert (row["requested"], row["state"], row["expected"]) == (False, "sending", None)
    until(lambda: row_of(two, study)["state"] == "receipted", "both are there")
    assert row_of(two, study)["request"]["reason"] == "画像だけ先に"
    folder, study = series(tmp_path / "asked", 13)
    with two.through(dicom=dead):  # what is asked comes, the images do not
        say(two, "send", folder, "--no-wait", "--reason", "依頼だけ先に")
        until(lambda: arrived(two, study) == 0, "the request is there")
        two.kill_receiver()
        two.start_receiver()
        row = row_of(two, study)
        assert (row["request"]["reason"], row["arrived"], row["expected"], row["state"]) == (
            "依頼だけ先に", 0, 2, "sending",
        )  # fmt: skip
    until(lambda: row_of(two, study)["state"] == "receipted", "both are there")
    assert (row_of(two, study)["requested"], row_of(two, study)["arrived"]) == (True, 2)


def arrived(ends: Ends, study: str) -> int | None:
    """How many images of a study are there; None while it is not listed."""
    return next((row["arrived"] for row in listed(ends) if row["study_uid"] == study), None)


@pytest.mark.requirement("UX-03")
@pytest.mark.parametrize(
    "data",
    [b"", b"no PDF", PDF[:-7], b"\x89PNG" + PDF, PDF.ljust(128, b" ")[:128] + b"DICM" + PDF],
    ids=["empty", "text", "cut", "picture", "DICOM as well"],
)
def test_a_form_that_is_no_pdf_is_refused_with_its_images(
    ends: Ends, tmp_path: Path, data: bytes
) -> None:
    folder, _ = series(tmp_path / "ct", 11, slices=1)
    (tmp_path / "form.pdf").write_bytes(data)
    with ends.outbox() as box:
        before = len(box.jobs())
        refused = ("send", folder, "--form", tmp_path / "form.pdf")
        say(ends, *refused, code=RequestUnreadable.exit_code)
        assert len(box.jobs()) == before
