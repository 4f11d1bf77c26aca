"""What an opening asks: checked, kept with its images, never shown of the wrong ones."""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset
from sqlalchemy import select

from common import link, request
from common.errors import ProtocolError
from common.link import Opening, Slot
from common.proof import jws
from receiver import index, statements
from receiver.attributes import study_attributes
from receiver.facts import KnownFacts
from receiver.queries import Queries
from receiver.standings import Standings
from receiver.worklist import Worklist
from tests.receiver.filled import NORTH, RECEIVER, ct_image, uid
from tests.receiver.linking import Linked
from tests.receiver.test_standings import SATO, told

pytestmark = pytest.mark.evidence
FORM = {"uid": "2.25.77", "sha256": "ab" * 32, "length": 9}


def opening_of(images: list[Dataset], **changes: Any) -> Opening:
    slots = tuple(
        Slot(str(ds.SOPInstanceUID), str(ds.SOPClassUID),
             str(ds.file_meta.TransferSyntaxUID), str(ds.SeriesInstanceUID))
        for ds in images
    )  # fmt: skip
    said: dict[str, Any] = {
        "transfer": uuid.uuid4().hex, "kind": "dicom", "sender": NORTH[1],
        "receiver": RECEIVER[1], "study": str(images[0].StudyInstanceUID),
        "attributes": study_attributes(images[0]), "instances": slots,
    } | changes  # fmt: skip
    return Opening(**said)


def opened(linked: Linked, opening: Opening) -> httpx.Response:
    statement = jws.sign(link.words(opening), linked.sender)
    return linked.client.post("/transfers", content=statement)


def rows(linked: Linked) -> list[dict[str, Any]]:
    filled = linked.filled
    return Worklist(filled.index, KnownFacts(filled.store.root)).rows()


@pytest.mark.requirement("UX-02", "DIR-07")
def test_a_receipt_says_which_request_is_kept(linked: Linked, tmp_path: Path) -> None:
    """And who opens again before it with other words has those: the last that were signed."""
    images = [ct_image("asked", 1)]
    first = opening_of(images, request={"reason": "一"}, priority="urgent")
    second = opening_of(images, transfer=first.transfer, request={"reason": "二"}, priority="soon")
    for opening in (first, second, second):
        assert opened(linked, opening).status_code == 201
    linked.filled.arrive(images)
    receipt = linked.close(first.transfer, images, tmp_path).json()["receipt"]
    middle = receipt.split(".")[1]
    facts = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))["facts"]
    assert facts["request"] == request.digest("soon", "diagnosis", {"reason": "二"})
    assert request.agrees(facts, "soon", "diagnosis", {"reason": "二"})
    for asked in (("urgent", "diagnosis", {"reason": "二"}), ("soon", "advice", {"reason": "二"}),
                  ("soon", "diagnosis", {"reason": "一"})):  # fmt: skip
        assert not request.agrees(facts, *asked)
        assert not request.agrees({}, *asked)
    assert opened(linked, first).status_code == 201  # after the receipt nothing changes
    assert rows(linked)[0]["request"] == {"reason": "二"}


@pytest.mark.requirement("UX-02", "UX-03")
def test_no_receipt_without_the_form_that_a_request_names(linked: Linked, tmp_path: Path) -> None:
    images, form = [ct_image("slide", 1)], ct_image("slide", 2)
    named = FORM | {"uid": str(form.SOPInstanceUID)}
    opening = opening_of(images, request={"forms": [named]})
    assert opened(linked, opening).status_code == 201
    linked.filled.arrive(images)
    answer = linked.close(opening.transfer, images, tmp_path)
    assert (answer.status_code, answer.json()) == (409, {"missing": [named["uid"]]})
    elsewhere = ct_image("other", 2, SOPInstanceUID=uid("elsewhere"))
    linked.filled.arrive([elsewhere])  # of another study: no form of this one
    assert linked.close(opening.transfer, images, tmp_path).status_code == 409
    linked.filled.arrive([form])
    assert linked.close(opening.transfer, images, tmp_path).json()["receipt"]


@pytest.mark.requirement("UX-02")
def test_more_images_of_a_study_never_hide_what_is_asked_of_it(linked: Linked) -> None:
    images = [ct_image("asked", 1), ct_image("asked", 2)]
    opened(linked, opening_of(images[:1], request={"reason": "出血の有無"}))
    opened(linked, opening_of(images[1:]))
    opened(linked, opening_of(images[1:], request={"prior": {"of": []}}))
    (row,) = rows(linked)
    assert (row["request"], row["requested"], row["prior"]) == (
        {"reason": "出血の有無"}, True, False,
    )  # fmt: skip


@pytest.mark.requirement("UX-02")
def test_an_announcement_becomes_its_images(linked: Linked, tmp_path: Path) -> None:
    images = [ct_image("coming", 1)]
    announced = opening_of(images, instances=(), study=uid("placeholder"), request={"reason": "予"})
    assert opened(linked, announced).status_code == 201
    assert opened(linked, announced).status_code == 201
    (row,) = rows(linked)
    key = row["key"]
    assert (row["state_ja"], row["study_uid"]) == ("予告", uid("placeholder"))
    Standings(linked.filled.index).claim(key, SATO)
    Queries(linked.filled.index).send(key, SATO, "query", "いつ撮影しますか")
    assert linked.client.get(f"/transfers/{announced.transfer}/missing").json()["instances"] == []
    opening = opening_of(images, transfer=announced.transfer, request={"reason": "予", "site": "x"})
    assert opened(linked, opening).status_code == 201
    assert linked.client.get(f"/transfers/{announced.transfer}/missing").json()["instances"] == [0]
    assert opened(linked, announced).status_code == 201  # late, and overtaken by its images
    (row,) = rows(linked)
    assert (row["state"], row["study_uid"], row["request"]["site"]) == (
        "sending", opening.study, "x",
    )  # fmt: skip
    assert (row["key"], row["reading"]["by"], row["queries"]) == (key, "sato", 1), "the same row"
    heard = told(linked).news
    assert {one.study for one in heard} == {opening.study}
    assert [one.kind for one in heard] == ["state", "message"]
    linked.filled.arrive(images)
    assert linked.close(announced.transfer, images, tmp_path).json()["receipt"]
    with linked.filled.index.read() as db:
        kept = statements.read(db, announced.transfer, "opening")
        studies = db.execute(select(index.studies.c.study_uid)).scalars().all()
    said = link.read_opening(jws.verify(str(kept), linked.sender.signing_certificate))
    assert (said.request, studies) == (opening.request, [opening.study])


@pytest.mark.requirement("UX-02")
def test_a_withdrawn_announcement_takes_no_images(linked: Linked) -> None:
    images = [ct_image("coming", 1)]
    announced = opening_of(images, instances=())
    opened(linked, announced)
    why = {"withdrawn": {"by": "山本", "reason": "撮影中止", "at": "2026-11-27T00:00:00Z"}}
    opened(linked, opening_of(images, transfer=announced.transfer, instances=(), request=why))
    (row,) = rows(linked)
    assert (row["state_ja"], row["request"]["withdrawn"]["reason"]) == ("取消", "撮影中止")
    assert opened(linked, opening_of(images, transfer=announced.transfer)).status_code == 400


BAD: dict[str, Any] = {
    "a list": [],
    "a number for a text": {"reason": 7},
    "an empty text": {"reason": ""},
    "a text that is too long": {"clinical": "あ" * (request.LONG + 1)},
    "a line that is too long": {"doctor": "あ" * (request.SHORT + 1)},
    "a line of two": {"phone": "1\n2"},
    "a control character": {"reason": "a\x1b[2Jb"},
    "a turned direction": {"reason": "\u202egnp.exe"},
    "a form without its digest": {"forms": [{"uid": "2.25.1", "length": 9}]},
    "a form without a UID": {"forms": [FORM | {"uid": "../x"}]},
    "a form that is too large": {"forms": [FORM | {"length": request.LARGEST_FORM + 1}]},
    "the same form twice": {"forms": [FORM, FORM]},
    "too many forms": {"forms": [FORM | {"uid": f"2.25.{n}"} for n in range(9)]},
    "a prior of no study": {"prior": {"of": ["x"]}},
    "a prior of nothing": {"prior": True},
    "nobody who withdraws": {"withdrawn": {"by": "", "reason": "x"}},
    "more than a request may have": {"x": "あ" * request.LARGEST},
}


@pytest.mark.requirement("RAD-01")
@pytest.mark.parametrize("kind", BAD)
def test_a_request_that_is_none_is_refused_by_both_ends(kind: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        request.check(BAD[kind])
    assert "あ" not in str(refused.value), "what is said of it holds no text of it"
    said = link.words(opening_of([ct_image("bad", 1)])) | {"request": BAD[kind]}
    with pytest.raises(ProtocolError):
        link.read_opening(json.loads(json.dumps(said, default=link.fields_of)))


@pytest.mark.requirement("RAD-01", "WSI-09")
def test_keys_that_are_not_known_are_kept(linked: Linked) -> None:
    """A newer sender may ask more."""
    every = {item.key: item.ja for item in request.ITEMS}
    asked = every | {"later": {"version": 2, "words": ["あ"]}}
    assert opened(linked, opening_of([ct_image("new", 1)], request=asked)).status_code == 201
    (row,) = rows(linked)
    assert row["request"] == asked
    assert [item["key"] for item in row["request_items"]] == [item.key for item in request.ITEMS]


@pytest.mark.requirement("UX-02")
def test_images_that_overtake_their_opening_join_the_announcements_line(linked: Linked) -> None:
    images = [ct_image("ahead", 1), ct_image("ahead", 2)]
    announced = opening_of(images, instances=(), study=uid("placeholder"), request={"reason": "予"})
    opened(linked, announced)
    (row,) = rows(linked)
    key = row["key"]
    linked.filled.arrive(images[:1], linked=True)
    opened(linked, opening_of(images, transfer=announced.transfer, request={"reason": "予"}))
    (row,) = rows(linked)
    assert (row["key"], row["arrived"], row["expected"]) == (key, 1, 2)
    assert row["patient"]["ideographic"]
    # of a study that was here before, the line stays where a reader knows it
    other = opening_of(images, instances=(), study=uid("second"), request={"reason": "追加"})
    opened(linked, other)
    opened(linked, opening_of(images, transfer=other.transfer, request={"reason": "追加"}))
    assert [row["key"] for row in rows(linked)] == [key]
