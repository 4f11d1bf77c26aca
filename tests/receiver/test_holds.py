"""What readers are told of a coming purge is true, and a reader's hold keeps a study (DAT-07)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from common import audit
from common.audit import message
from common.errors import AlreadyHeld, NotFound, UsageError
from common.web.accounts import Accounts
from common.web.peer import Listener
from receiver import index
from receiver.purge import Purge
from receiver.purge_notice import PurgeNotice
from receiver.web_app import viewer_app
from tests.receiver.filled import EAST, NORTH, PASSWORD, USER, Filled, client, ct_image
from tests.receiver.test_live import listening

DAYS, AHEAD = 90, 7
JAPAN = timezone(timedelta(hours=9))


@pytest.fixture
def purge(filled: Filled) -> Iterator[Purge]:
    trail = audit.Trail(filled.data / "audit", "keeper")
    yield Purge(filled.index, filled.store, trail, DAYS)
    trail.close()


def done_at(filled: Filled, key: str, moment: datetime) -> None:
    """Let a study have come, and been done with, at a moment."""
    filled.done(key)
    at = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    with filled.index.write() as db:
        db.execute(update(index.studies).where(index.studies.c.key == key).values(done_at=at))
        db.execute(update(index.instances).values(stored_at=at))


@pytest.mark.requirement("DAT-07")
@pytest.mark.parametrize(
    ("done", "day"),
    [
        (datetime(2026, 9, 4, 8, 59, tzinfo=JAPAN), "2026-12-03"),  # 3 September in Greenwich
        (datetime(2026, 9, 4, 9, 0, tzinfo=JAPAN), "2026-12-03"),
        (datetime(2026, 9, 4, 23, 59, 59, tzinfo=JAPAN), "2026-12-03"),
        (datetime(2026, 9, 5, 0, 0, tzinfo=JAPAN), "2026-12-04"),
    ],
)
def test_the_day_that_is_told_is_the_first_on_which_it_may_go(
    filled: Filled, purge: Purge, done: datetime, day: str
) -> None:
    """In Japan's time: not a day too late, and not too early either."""
    key = filled.ct(count=1)
    done_at(filled, key, done)
    clock = [done]
    notice = PurgeNotice(filled.index, DAYS, AHEAD, lambda: clock[0])
    goes, told = done + timedelta(days=DAYS), {"on": day, "held": None}
    for moment, said in (
        (goes - timedelta(days=AHEAD, seconds=1), None),
        (goes - timedelta(days=AHEAD), told),
        (goes - timedelta(seconds=1), told),
    ):
        clock[0] = moment
        assert notice.of(key) == said
        assert purge.run(moment) == [], "not before its time"
    assert PurgeNotice(filled.index, 0, AHEAD, lambda: goes).of(key) is None
    [gone] = purge.run(goes)
    assert gone.on == day == goes.astimezone(JAPAN).date().isoformat()
    assert notice.of(key) is None


def test_nothing_is_told_of_what_nobody_purges(filled: Filled) -> None:
    now = datetime.now(UTC)
    notice = PurgeNotice(filled.index, DAYS, AHEAD, lambda: now)
    unread = filled.ct(count=1)
    assert notice.of(unread) is None
    done_at(filled, unread, now - timedelta(days=DAYS - 1))
    assert notice.of(unread) is not None
    filled.arrive([ct_image("北見", 2)])  # 完了 is over, and its days with it
    assert notice.of(unread) is None


@pytest.mark.requirement("DAT-07", "AUD-01")
def test_a_reader_holds_a_study_and_every_page_hears_it(filled: Filled, purge: Purge) -> None:
    Accounts(filled.index).add("kansa", PASSWORD, "監査担当", "auditor")
    key = filled.ct(count=2)
    now = datetime.now(UTC)
    done_at(filled, key, now - timedelta(days=DAYS - 2))
    trail = audit.Trail(filled.data / "audit", "web")
    services = replace(filled.services(), note=trail.note, purge_days=DAYS, purge_notice_days=AHEAD)
    study, path = f"/api/studies/{key}", f"/api/studies/{key}/hold"
    on = (now + timedelta(days=2)).astimezone(JAPAN).date().isoformat()
    with Listener(viewer_app(services), "127.0.0.1", 0, grace=1).in_thread() as (host, port):
        with client(f"http://{host}:{port}", signed_in=False) as page:
            page.post("/api/sign-in", json={"name": "kansa", "password": PASSWORD})
            assert page.post(path, json={"reason": "裁判"}).status_code == 403
        with client(f"http://{host}:{port}") as page, listening(page) as other:
            assert page.get(study).json()["purge"] == {"on": on, "held": None}
            for wrong in ({}, {"reason": " "}, {"reason": 1}, {"reason": "あ" * 201}):
                assert page.post(path, json=wrong).status_code == 400, wrong
            answer = page.post(path, json={"reason": "裁判"})
            assert other.next("study") == {"key": key}
            held = answer.json()["purge"]["held"]
            assert (held["display"], held["reason"]) == ("山本医師", "裁判")
            assert answer.json()["purge"] == page.get(study).json()["purge"]
            again = page.post(path, json={"reason": "教育"})
            assert again.status_code == 409
            assert "山本医師" in again.json()["error"]["ja"], "whose it is already"
            assert page.post("/api/studies/" + key[:8] + "/hold", json={"reason": "x"}).is_error
            assert purge.run(now + timedelta(days=DAYS)) == []
            purge.release(key, by="管理者")
            assert other.next("study") == {"key": key}
            assert page.get(study).json()["purge"] == {"on": on, "held": None}
    trail.close()
    noted, refused = audit.last(filled.data / "audit", "purge-hold", 9)
    assert (noted["outcome"], refused["outcome"]) == ("ok", "refused")
    assert (noted["user"], noted["address"], noted["study"]) == (USER, "127.0.0.1", key)
    assert noted["reason"] == "裁判"
    said = message.build(noted, "web", message.Source(NORTH[1], "receiver")).decode()
    assert f'UserID="{USER}" UserIsRequestor="true"' in said
    assert len(purge.run(now + timedelta(days=DAYS))) == 1


@pytest.mark.requirement("DAT-07")
def test_nobodys_hold_takes_the_place_of_anothers(filled: Filled, purge: Purge) -> None:
    key = filled.ct(count=1)
    purge.hold(key[:10], by="佐藤", reason="裁判")
    with pytest.raises(AlreadyHeld, match="佐藤"):
        purge.hold(key, by="阿部", reason="教育")
    with pytest.raises(UsageError):
        purge.hold(key, by="阿部", reason=" ")
    far = filled.ct("釧路", EAST[1], count=1)
    notice = PurgeNotice(filled.index, DAYS, AHEAD)
    told = notice.of(key)
    assert told is not None
    assert told["held"]["display"] == "佐藤"
    assert notice.of(far) is None
    with filled.index.write() as db:  # as an older version kept it
        held = '{"by": "鈴木", "reason": "監査", "at": "2026-11-26T15:00:00.000+00:00"}'
        db.execute(update(index.studies).where(index.studies.c.key == far).values(held=held))
    assert notice.of(far) == {
        "on": None,
        "held": {"display": "鈴木", "reason": "監査", "at": "2026-11-27"},
    }
    with pytest.raises(NotFound):
        purge.release("f" * 32, by="阿部")


def test_the_verb_looks_ahead_and_holds(tmp_path: Path) -> None:
    from common.proof.identity import Institution
    from common.settings import Receiver
    from receiver import setup
    from receiver.cli import app

    data = tmp_path / "receiver"
    hospital = Institution("試験病院", "0110812345", "札幌市")
    setup.init(data, hospital, Receiver(hosts=("localhost",)), operator="tester")
    filled = Filled(data)
    key = filled.ct(count=1)
    done_at(filled, key, datetime.now(UTC) - timedelta(days=DAYS - 2))
    filled.close()

    def said(*line: str) -> str:
        ran = CliRunner().invoke(app, ["purge", *line, "--data", str(data), "--json"])
        assert ran.exit_code == 0, ran.output
        return ran.stdout

    assert key not in said("--dry-run")
    assert key in said("--dry-run", "--ahead", "3")
    said("--hold", key[:8], "--reason", "裁判", "--operator", "佐藤")
    assert "裁判" in said("--dry-run", "--ahead", "3")
    wrong = CliRunner().invoke(app, ["purge", "--ahead", "3", "--data", str(data)])
    assert wrong.exit_code == 2, "nothing is purged ahead of its time"
