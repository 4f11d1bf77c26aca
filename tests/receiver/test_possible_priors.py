"""Priors under another Patient ID: found by name and birth date, offered after a reader's yes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from typer.testing import CliRunner

from common import audit
from common.errors import NotFound, PriorNotAsSeen, UsageError
from common.proof.identity import Institution, Node
from common.proof.role import Role
from common.web.accounts import Accounts
from common.web.peer import Listener
from receiver import index, sight
from receiver.cli import app as receiver
from receiver.facts import KnownFacts
from receiver.possible_priors import Pair, PossiblePriors, alike
from receiver.purge import Purge
from receiver.records import Records
from receiver.web_app import viewer_app
from receiver.worklist import Worklist
from tests.receiver.filled import EAST, NORTH, PASSWORD, RECEIVER, USER, Filled, client, ct_image
from tests.receiver.linking import Linked
from tests.receiver.test_live import listening
from tests.receiver.test_recalls import recall, send
from tests.receiver.test_reindex import again, lose
from tests.receiver.test_sight import news
from tests.receiver.test_standings import ABE, SATO, Trail

#: The same person at another hospital, a year before.
OTHER: dict[str, Any] = {"PatientID": "K-77", "StudyDate": "20250401"}


def priors(filled: Filled, trail: Trail | None = None) -> PossiblePriors:
    worklist = Worklist(filled.index, KnownFacts(filled.store.root))
    return PossiblePriors(worklist, trail.note if trail else lambda *_, **__: None)


def found(filled: Filled, key: str) -> list[str]:
    return [one.prior for one in priors(filled).of(key)]


def only(filled: Filled, key: str) -> Pair:
    (pair,) = priors(filled).of(key)
    return pair


def two(filled: Filled) -> tuple[str, str]:
    """The study that is read, and an earlier one of the same name in another hospital."""
    return filled.ct("now", count=1), filled.ct("then", EAST[1], count=1, **OTHER)


def counted(filled: Filled) -> int:
    with filled.index.read() as db:
        return int(db.execute(select(func.count()).select_from(index.prior_links)).scalar_one())


# -- which are found ---------------------------------------------------------


#: What the other hospital says otherwise, and whether that may be the same person.
CASES: dict[str, tuple[dict[str, Any], bool]] = {
    "same": ({}, True),
    "variant kanji, katakana": ({"PatientName": "=高橋^花子=タカハシ^ハナコ"}, True),
    "half-width kana alone": ({"PatientName": "==ﾀｶﾊｼ^ﾊﾅｺ"}, True),
    "kanji decide": ({"PatientName": "takahasi^hanako=高橋　花子"}, True),
    "romaji alone": ({"PatientName": "TAKAHASHI^HANAKO"}, True),
    "no sex": ({"PatientSex": ""}, True),
    "a date of ACR-NEMA": ({"PatientBirthDate": "1958.03.07"}, True),
    "other sex": ({"PatientSex": "M"}, False),
    "no birth date": ({"PatientBirthDate": ""}, False),
    "other birth date": ({"PatientBirthDate": "19580308"}, False),
    "other kanji": ({"PatientName": "TAKAHASHI^HANAKO=高橋^華子=たかはし^はなこ"}, False),
    "no name": ({"PatientName": ""}, False),
    "later, so no prior": ({"StudyDate": "20261123"}, False),
    "of no date": ({"StudyDate": ""}, False),
}


@pytest.mark.requirement("CHR-07")
@pytest.mark.filterwarnings("ignore:Invalid value for VR DA")
def test_name_and_birth_date_agree_and_nothing_contradicts(filled: Filled) -> None:
    now, keys = filled.ct("now", count=1), {}
    for name, (said, _) in CASES.items():
        keys[filled.ct(name, EAST[1], count=1, **{**OTHER, **said})] = name
    wanted = {name for name, (_, match) in CASES.items() if match}
    assert {keys[key] for key in found(filled, now)} == wanted


def test_one_identity_is_no_possible_prior_and_another_number_of_one_hospital_is(
    filled: Filled,
) -> None:
    now = filled.ct("now", count=1)
    filled.ct("own", count=1, StudyDate="20250401")  # offered as a prior already
    new = filled.ct("card", count=1, StudyDate="20240401", PatientID="12345")
    east = filled.ct("east", EAST[1], count=1, StudyDate="20230401")  # the same digits elsewhere
    assert found(filled, now) == [new, east]


WORD = st.text("たかはしハナコ髙高橋花子AbＡ", max_size=6)
PATIENT = st.fixed_dictionaries(
    {
        **{group: WORD for group in ("ideographic", "phonetic", "alphabetic")},
        "birth_date": st.sampled_from([None, "1958-03-07", "1958-03-08"]),
        "sex": st.sampled_from(["", "F", "M"]),
    }
)


@given(PATIENT, PATIENT)
def test_neither_name_nor_birth_date_suffices_alone(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert alike(one, other) == alike(other, one)
    nameless = dict.fromkeys(("ideographic", "phonetic", "alphabetic"), "")
    assert not alike(one, other | nameless)
    assert not alike(one, other | {"birth_date": None})
    if alike(one, other):
        assert one["birth_date"] == other["birth_date"] is not None
        assert {one["sex"], other["sex"]} != {"F", "M"}


@pytest.mark.requirement("CHR-07")
def test_a_test_study_matches_no_real_one_and_nothing_that_does_not_stand(
    linked: Linked, tmp_path: Path
) -> None:
    filled = linked.filled
    now = filled.ct("now", EAST[1], count=1)
    images = [ct_image("then", 1, **OTHER)]
    transfer = send(linked, tmp_path, images)
    (then,) = found(filled, now)
    with filled.index.write() as db:
        db.execute(
            update(index.transfers).where(index.transfers.c.id == transfer).values(test=True)
        )
    assert found(filled, now) == []
    with filled.index.write() as db:
        db.execute(update(index.transfers).values(test=False))
    assert found(filled, now) == [then]
    recall(linked, transfer)
    assert found(filled, now) == []
    filled.ct("coming", NORTH[1], count=1, arrived=0, **OTHER)
    assert found(filled, now) == [], "nothing of it is here yet"


# -- what readers say --------------------------------------------------------


@pytest.mark.requirement("CHR-07", "AUD-01")
def test_a_yes_is_of_what_was_compared_and_is_taken_back_with_a_reason(filled: Filled) -> None:
    now, then = two(filled)
    trail = Trail()
    room = priors(filled, trail)
    pair = only(filled, now)
    assert pair.state == "possible"
    ours, theirs = pair.identities
    assert (ours["id"], theirs["id"]) == ("0012345", "K-77")
    assert (theirs["institution"]["name"], theirs["study_date"]) == (EAST[0], "2025-04-01")
    with pytest.raises(PriorNotAsSeen):
        room.decide(now, SATO, then, "link", seen="0" * 64)
    with pytest.raises(UsageError):
        room.decide(now, SATO, then, "merge", seen=pair.seen)
    with pytest.raises(NotFound):
        room.decide(now, SATO, now, "link", seen=pair.seen)
    with pytest.raises(PriorNotAsSeen):
        room.decide(now, SATO, then, "undo", seen=pair.seen, reason="まだ")
    room.decide(now, SATO, then, "link", seen=pair.seen)
    made = only(filled, now)
    assert (made.state, made.by, made.display) == ("linked", "sato", "佐藤医師")
    with pytest.raises(PriorNotAsSeen):  # another reader, with the page from before
        room.decide(now, ABE, then, "dismiss", seen=pair.seen)
    with pytest.raises(UsageError):
        room.decide(now, ABE, then, "undo", seen=pair.seen, reason=" ")
    room.decide(now, ABE, then, "undo", seen=pair.seen, reason="別の方でした")
    assert only(filled, now).state == "possible"
    room.decide(now, ABE, then, "dismiss", seen=pair.seen)
    assert (only(filled, now).state, only(filled, now).display) == ("dismissed", "阿部医師")
    with filled.index.read() as db:
        rows = db.execute(select(index.prior_links).order_by(index.prior_links.c.id)).all()
    assert [(row.state, row.by, row.reason) for row in rows] == [
        ("linked", "sato", ""), ("possible", "abe", "別の方でした"), ("dismissed", "abe", ""),
    ]  # fmt: skip
    assert [one["id"] for one in json.loads(rows[0].identities)] == ["0012345", "K-77"]
    done = [event for event, facts in trail.said if facts["outcome"] == "ok"]
    assert done == ["prior-linked", "prior-link-undone", "prior-dismissed"]
    assert "髙橋" not in json.dumps(trail.said, ensure_ascii=False)
    assert all((facts["study"], facts["prior"]) == (now, then) for _, facts in trail.said)


@pytest.mark.requirement("CHR-07")
def test_what_was_said_holds_for_those_two_identities_alone(filled: Filled) -> None:
    now, then = two(filled)
    priors(filled).decide(now, SATO, then, "link", seen=only(filled, now).seen)
    with filled.index.write() as db:
        same = index.studies.c.key == then
        model = json.loads(db.execute(select(index.studies.c.attributes).where(same)).scalar_one())
        model["00100020"]["Value"] = ["K-78"]
        db.execute(update(index.studies).where(same).values(attributes=json.dumps(model)))
    pair = only(filled, now)
    assert (pair.state, pair.display) == ("possible", "")
    priors(filled).decide(now, SATO, then, "dismiss", seen=pair.seen)
    assert only(filled, now).state == "dismissed"


@pytest.mark.requirement("DAT-07", "DAT-08")
def test_it_outlives_the_index_and_goes_with_either_study(filled: Filled) -> None:
    now, then = two(filled)
    filled.look(now)
    priors(filled).decide(now, SATO, then, "link", seen=only(filled, now).seen)
    before = only(filled, now)
    lose(filled)
    again(filled)
    assert only(filled, now) == before
    record = filled.data / "records" / "readings" / f"{now}.json"
    assert "K-77" in record.read_text("utf-8")
    _purge(filled, then)
    assert counted(filled) == 0
    Records(filled.index, filled.data).keep()
    assert "K-77" not in record.read_text("utf-8"), "nor in what is kept beside the index"


def test_a_record_that_is_older_than_a_purge_brings_nothing_back(filled: Filled) -> None:
    now, then = two(filled)
    priors(filled).decide(now, SATO, then, "link", seen=only(filled, now).seen)
    kept = Records(filled.index, filled.data)
    kept.keep()
    old = (filled.data / "records" / "readings" / f"{now}.json").read_bytes()
    _purge(filled, then)
    lose(filled)
    (filled.data / "records" / "readings" / f"{now}.json").write_bytes(old)
    again(filled)
    assert counted(filled) == 0


def _purge(filled: Filled, key: str) -> None:
    filled.done(key)
    trail = audit.Trail(filled.data / "audit", "keeper")
    Purge(filled.index, filled.store, trail, 1).study(key, "test")
    trail.close()


# -- by the door and by the verb ---------------------------------------------


@pytest.mark.requirement("AUT-04")
def test_a_reader_of_one_institution_hears_of_no_other(filled: Filled) -> None:
    now, then = two(filled)
    door = Accounts(filled.index)
    door.add("mori", PASSWORD, "森医師")
    sight.limit(door, filled.index, "mori", [NORTH[1]])
    trail = Trail()
    app = viewer_app(replace(filled.services(), note=trail.note))
    with (
        Listener(app, "127.0.0.1", 0, grace=1).in_thread() as (host, port),
        client(url := f"http://{host}:{port}", signed_in=False) as page,
    ):
        said = {"prior": then, "step": "link", "seen": only(filled, now).seen}
        page.post("/api/sign-in", json={"name": "mori", "password": PASSWORD}).raise_for_status()
        assert page.get(f"/api/studies/{now}/possible-priors").json() == {"priors": []}
        assert page.post(f"/api/studies/{now}/prior-links", json=said).status_code == 404
        assert counted(filled) == 0
        assert "possible-priors-shown" not in trail.events()
        with client(url) as whole, listening(page) as mine, listening(whole) as theirs:
            (one,) = whole.get(f"/api/studies/{now}/possible-priors").json()["priors"]
            assert (one["prior"], one["state"]) == (then, "possible")
            assert whole.post(f"/api/studies/{now}/prior-links", json=said).status_code == 204
            assert whole.post(f"/api/studies/{now}/prior-links", json=said).status_code == 409
            with filled.index.write() as db:
                index.announce(db, "study", now)
            assert news(theirs) == ("priors", {"key": now})
            assert news(mine) == ("study", {"key": now}), "nothing says that there is another"
        assert page.get(f"/api/studies/{now}/possible-priors").json() == {"priors": []}
    assert [facts["user"] for event, facts in trail.said if event == "prior-linked"] == [USER] * 2


@pytest.mark.slow
def test_the_verbs_do_the_same_and_name_no_patient_unasked(tmp_path: Path) -> None:
    data = tmp_path / "receiver"
    Node.create(data, Institution(*RECEIVER, "北海道"), Role.SUPPORTER, hosts=["localhost"])
    filled = Filled(data)
    now, then = two(filled)

    def said(*words: str) -> Any:
        line = ["study", "prior", *words, "--data", str(data), "--json"]
        ran = CliRunner().invoke(receiver, line)
        assert ran.exit_code == 0, ran.output
        return json.loads(ran.stdout)

    (quiet,) = said("list", now)["priors"]
    assert (quiet["prior"], quiet["state"]) == (then, "possible")
    assert not {"identities", "seen"} & set(quiet)
    (shown,) = said("list", now, "--show")["priors"]
    assert [one["id"] for one in shown["identities"]] == ["0012345", "K-77"]
    seen = ("--seen", shown["seen"], "--by", "sato")
    assert said("link", now, then, *seen)["state"] == "linked"
    assert said("unlink", now, then, *seen, "--reason", "別の方でした")["state"] == "possible"
    assert said("dismiss", now, then, *seen)["state"] == "dismissed"
    noted = [one["event"] for one in audit.last(data / "audit", "prior-linked", 9)]
    assert noted == ["prior-linked"]
    assert audit.last(data / "audit", "possible-priors-shown", 9)
    filled.close()
