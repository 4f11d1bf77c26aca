"""How far readers are with a study, what 完了 asks, and what the sender hears of it."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from common import tidings
from common.errors import (
    AdviceSwitchedOff,
    CallNotSaid,
    Claimed,
    NothingToTakeOver,
    SecondAnswer,
    UsageError,
)
from common.reading_settings import ReadingRoom
from receiver import escalation, index, queries, telling
from receiver.attendance import GONE_SECONDS, Attendance
from receiver.escalation import Escalation
from receiver.queries import Queries
from receiver.standings import Call, Person, Standings
from receiver.telling import Told
from tests.receiver.filled import EAST, NORTH, Filled, ct_image
from tests.receiver.linking import Linked

SATO, ABE = Person("sato", "佐藤医師"), Person("abe", "阿部医師")


class Trail:
    """Keeps what is noted."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []

    def note(self, event: str, **facts: Any) -> None:
        self.said.append((event, facts))

    def events(self) -> list[str]:
        return [event for event, _ in self.said]


def told(linked: Linked, since: int = 0, **more: Any) -> tidings.Answer:
    asked = {"since": since, "wait": 0, **more}
    return tidings.read(linked.client.get("/news", params=asked).json())


@pytest.mark.requirement("UX-01")
def test_one_reads_others_look_and_take_over_with_a_reason(filled: Filled) -> None:
    key, trail = filled.ct(count=2), Trail()
    steps = Standings(filled.index, trail.note)
    assert steps.look(key, SATO) == "opened"
    steps.claim(key, SATO)
    assert steps.look(key, ABE) == "reading", "a look claims nothing"
    with pytest.raises(Claimed, match="佐藤医師"):
        steps.claim(key, ABE)
    with pytest.raises(Claimed):
        steps.done(key, ABE)
    with pytest.raises(UsageError):
        steps.take_over(key, ABE, " ")
    steps.take_over(key, ABE, "佐藤医師は手術に入った")
    with pytest.raises(NothingToTakeOver):
        steps.take_over(key, ABE, "again")
    with pytest.raises(Claimed, match="阿部医師"):
        steps.done(key, SATO)
    states = [(one["state"], one["by"]) for one in steps.history(key)]
    assert states == [("opened", "sato"), ("reading", "sato"), ("reading", "abe")]
    refused = [event for event, facts in trail.said if facts["outcome"] == "refused"]
    assert refused == ["study-claimed", "study-done", "study-done"]
    assert "study-taken-over" in trail.events()


@pytest.mark.requirement("RAD-09")
def test_done_asks_again_while_something_is_missing_or_has_come(filled: Filled) -> None:
    """VIEWING 9.9: never on an incomplete or since-grown study without a second answer."""
    images = [ct_image("増", n) for n in range(1, 5)]
    key = filled.open(images)
    filled.arrive(images[:2])
    steps = Standings(filled.index)
    steps.look(key, SATO)
    with pytest.raises(SecondAnswer, match="incomplete"):
        steps.done(key, SATO)
    filled.arrive(images[2:3])
    with pytest.raises(SecondAnswer):  # an answer about two is none about three
        steps.done(key, SATO, accept=2)
    filled.arrive(images[3:])
    with pytest.raises(SecondAnswer, match="grown since"):
        steps.done(key, SATO)
    steps.look(key, SATO)
    steps.done(key, SATO)
    with filled.index.read() as db:
        assert db.execute(select(index.standings.c.state)).scalar() == "done"


@pytest.mark.requirement("UX-01")
def test_images_after_done_bring_a_study_back_on_both_sides(linked: Linked) -> None:
    images = [ct_image("後", n) for n in range(1, 5)]
    linked.open(images)
    linked.filled.arrive(images[:1])
    with linked.filled.index.read() as db:
        key = db.execute(select(index.studies.c.key)).scalar_one()
    steps, trail = Standings(linked.filled.index), Trail()
    steps.look(key, SATO)
    Standings(linked.filled.index, trail.note).done(key, SATO, accept=1)
    assert "incomplete-accepted" in trail.events()
    linked.filled.arrive(images[:1])  # the same again is nothing new
    heard = told(linked)
    assert [one.said["state"] for one in heard.news] == ["opened", "done"]
    linked.filled.arrive(images[1:3])
    linked.filled.arrive(images[3:])
    later = told(linked, heard.until).news
    assert {one.said["state"] for one in later} == {"unopened"}
    assert later[-1].said["late"] == 3
    with linked.filled.index.read() as db:
        row = db.execute(select(index.standings)).one()
        study = db.execute(select(index.studies)).one()
    assert (row.state, row.late) == ("unopened", 3)
    assert (study.reading, study.done_at) == (None, None), "its days until a purge do not count"
    steps.look(key, SATO)
    assert told(linked, heard.until).news[-1].said["late"] == 0


def test_an_urgent_study_asks_who_was_told_and_never_what(linked: Linked) -> None:
    filled = linked.filled
    images = [ct_image("急", 1)]
    key = filled.open(images, priority="urgent")
    filled.arrive(images)
    trail = Trail()
    steps = Standings(filled.index, trail.note)
    steps.look(key, SATO)
    with pytest.raises(CallNotSaid):
        steps.done(key, SATO)
    call = Call.read({"to": "北見 外科 鈴木", "at": "2026-11-27T11:58"})
    steps.done(key, SATO, told=call or False)
    (said,) = [one.said for one in told(linked).news if one.kind == "call"]
    assert said == {"to": "北見 外科 鈴木", "by": "佐藤医師", "moment": "2026-11-27T11:58"}
    assert "told-by-phone" in trail.events()
    assert "鈴木" not in str(trail.said)


def test_news_reaches_who_waits_and_only_its_own_institution(linked: Linked) -> None:
    """The question stands; it is answered when there is something (within 2 s, not after 20)."""
    images = [ct_image("待", 1)]
    linked.open(images)
    linked.filled.arrive(images)
    with linked.filled.index.read() as db:
        key = db.execute(select(index.studies.c.key)).scalar_one()
    found: list[tidings.Answer] = []

    def ask() -> None:
        params = {"since": 0, "listening": 0}
        found.append(tidings.read(linked.client.get("/news", params=params).json()))

    waiting = threading.Thread(target=ask)
    waiting.start()
    theirs = linked.filled.ct("他", institution="0110000034")
    Standings(linked.filled.index).look(theirs, SATO)  # of another institution: it goes on waiting
    Standings(linked.filled.index).look(key, SATO)
    waiting.join(10)
    assert not waiting.is_alive()
    (answer,) = found
    assert [one.study for one in answer.news] == [str(images[0].StudyInstanceUID)]


def test_queries_go_both_ways_and_advice_only_where_it_is_switched_on(linked: Linked) -> None:
    images = [ct_image("問", 1)]
    linked.open(images)
    linked.filled.arrive(images)
    with linked.filled.index.read() as db:
        key = db.execute(select(index.studies.c.key)).scalar_one()
    trail = Trail()
    said = Queries(linked.filled.index, note=trail.note)
    asked = said.send(key, SATO, "query", "造影の時刻を教えてください")
    said.send(key, SATO, "prior", "前回のCTを送ってください")
    with pytest.raises(AdviceSwitchedOff):
        said.send(key, SATO, "advice", "…")
    kinds = [one.said["what"] for one in told(linked).news]
    assert kinds == ["query", "prior"]
    words = {"id": "a" * 32, "study": str(images[0].StudyInstanceUID), "kind": "answer"}
    words |= {"answers": asked, "text": "10時20分です", "by": "鈴木"}
    for _ in range(2):  # idempotent
        assert linked.client.post("/messages", json=words).status_code == 204
    answers = [one for one in said.of_study(key) if one["way"] == "in"]
    assert [one["text"] for one in answers] == ["10時20分です"]
    for wrong in ({"answers": "b" * 32}, {"study": "1.2.3"}, {"text": "\x00"}, {"id": "x"}):
        other = words | {"id": "c" * 32} | wrong
        assert linked.client.post("/messages", json=other).status_code in {400, 404}, wrong
    assert trail.events() == ["query-sent", "prior-asked"]
    assert "造影" not in str(trail.said)
    queries.switched(linked.filled.index, trail.note, advice=True)
    queries.switched(linked.filled.index, trail.note, advice=True)
    assert trail.events().count("setting") == 1
    Queries(linked.filled.index, advice=True).send(key, SATO, "advice", "再検を勧めます")


@pytest.mark.requirement("UX-04")
@pytest.mark.parametrize(("asked", "first", "second"), [("頭痛", 5, 10), ("術中迅速", 1, 2)])
def test_unopened_urgent_studies_escalate(
    linked: Linked, asked: str, first: int, second: int
) -> None:
    """VIEWING 9.10: on an injected clock; no name in what leaves the house."""
    filled = linked.filled
    images = [ct_image("緊", 1)]
    key = filled.open(images, priority="urgent", request={"reason": asked})
    filled.arrive(images)
    sent: list[Told] = []
    moment = [datetime.now(UTC)]
    settings = ReadingRoom(telephone="0166-00-0000")
    trail = Trail()

    def fails_once(one: Told) -> None:
        if not sent:
            sent.append(one)
            raise OSError("the mail server is away")
        sent.append(one)

    ways = {"mail": fails_once}
    watch = Escalation(filled.index, settings, ways, trail.note, lambda: moment[0])
    began = moment[0]
    moment[0] = began + timedelta(minutes=first, seconds=-5)
    watch.look()
    assert not sent
    moment[0] = began + timedelta(minutes=first, seconds=5)
    watch.look()
    watch.look()
    watch.look()
    assert len(sent) == 2, "tried again after a failure, and told once"
    assert told(linked).news == ()
    moment[0] = began + timedelta(minutes=second, seconds=5)
    watch.look()
    (alarm,) = told(linked).news
    assert (alarm.kind, alarm.said["telephone"]) == ("alarm", "0166-00-0000")
    assert alarm.said["minutes"] == second
    with filled.index.read() as db:
        assert escalation.raised(db)[key]["step"] == 2
    mail = str(telling.message(ReadingRoom(alarm_mail_to=("x@example.jp",)), sent[0]))
    for secret in ("髙橋", "TAKAHASHI", "0012345", key, str(images[0].StudyInstanceUID)):
        assert secret not in mail
    Standings(filled.index).look(key, SATO)
    moment[0] = began + timedelta(minutes=60)
    watch.look()
    assert len(sent) == 2
    with filled.index.write() as db:
        db.execute(update(index.transfers).values(test=True))


def test_whether_anybody_listens() -> None:
    at = [0.0]
    attendance = Attendance(lambda: at[0])
    assert not attendance.somebody()
    attendance.heard("a", sound=False)
    assert attendance.somebody()
    assert not attendance.audible()
    attendance.heard("b", sound=True, institutions=frozenset((EAST[1],)))
    assert attendance.audible(EAST[1])
    assert not attendance.audible(NORTH[1]), "who can be heard there sees nothing of these"
    at[0] = GONE_SECONDS + 0.1
    assert not attendance.somebody()


def test_the_sender_hears_that_nobody_listens_any_more(linked: Linked) -> None:
    linked.services.attendance.heard("page", sound=True)
    assert told(linked).listening is True
    linked.services.attendance.left("page")
    begun = time.monotonic()
    answer = linked.client.get("/news", params={"since": 0, "listening": 1}).json()
    assert answer["listening"] is False
    assert time.monotonic() - begun < 15, "it did not wait for the end of its time"


@pytest.mark.requirement("UX-04")
def test_the_sender_hears_that_the_alarm_of_every_open_page_is_blocked(linked: Linked) -> None:
    """At once, as it hears that nobody listens; a sender that does not ask for it waits on."""
    attendance, answers = linked.services.attendance, dict[str, tidings.Answer]()
    attendance.heard("page", sound=True)
    attendance.heard("other", sound=True, institutions=frozenset((EAST[1],)))
    assert told(linked).audible is True

    def ask(name: str, **more: Any) -> None:
        params = {"since": 0, "listening": 1, **more}
        answers[name] = tidings.read(linked.client.get("/news", params=params).json())

    older = threading.Thread(target=ask, args=("older",))
    newer = threading.Thread(target=ask, args=("newer",), kwargs={"audible": 1})
    begun = time.monotonic()
    for asks in (older, newer):
        asks.start()
    attendance.heard("page", sound=False)
    newer.join(15)
    assert (answers["newer"].listening, answers["newer"].audible) == (True, False)
    assert "older" not in answers
    attendance.left("page")
    older.join(15)
    assert (answers["older"].listening, answers["older"].audible) == (False, False)
    assert time.monotonic() - begun < 15, "neither waited for the end of its time"
    assert told(linked, audible="").audible is False


def test_only_https_takes_a_webhook(tmp_path: Path) -> None:
    from common.errors import SettingsError

    with pytest.raises(SettingsError):
        telling.ways(ReadingRoom(alarm_webhook="http://hooks.example.jp/x"), tmp_path)
    mine = ReadingRoom(alarm_webhook="https://hooks.example.jp/x")
    assert set(telling.ways(mine, tmp_path)) == {"webhook"}


@pytest.mark.requirement("UX-04", "UX-01")
def test_a_study_that_returns_unopened_waits_anew(linked: Linked) -> None:
    """Not from when it was sent: two hours after it, nobody has waited for two hours."""
    filled = linked.filled
    images = [ct_image("再", n) for n in range(1, 4)]
    key = filled.open(images, priority="urgent")
    filled.arrive(images[:1])
    with filled.index.write() as db:
        two_hours_ago = (datetime.now(UTC) - timedelta(hours=2)).isoformat(timespec="milliseconds")
        db.execute(update(index.transfers).values(opened_at=two_hours_ago))
    moment = [datetime.now(UTC) - timedelta(minutes=100)]
    watch = Escalation(filled.index, ReadingRoom(), {}, Trail().note, lambda: moment[0])
    watch.look()  # unopened for 20 minutes: both steps
    steps = Standings(filled.index)
    steps.look(key, SATO)
    steps.done(key, SATO, accept=1, told=False)
    heard = told(linked)
    assert [one.said["minutes"] for one in heard.news if one.kind == "alarm"] == [20]
    filled.arrive(images[1:])
    moment[0] = datetime.now(UTC)
    watch.look()
    assert [one.kind for one in told(linked, heard.until).news if one.kind == "alarm"] == []
    with filled.index.read() as db:
        assert escalation.raised(db) == {}, "the list shows no alarm of the wait that is over"
    moment[0] += timedelta(minutes=10, seconds=5)
    watch.look()
    later = [one for one in told(linked, heard.until).news if one.kind == "alarm"]
    assert [one.said["minutes"] for one in later] == [10]
    with filled.index.read() as db:
        assert escalation.raised(db)[key]["step"] == 2
