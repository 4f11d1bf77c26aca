"""Begin and end of each transfer stand in the trail, and a disagreement is flagged (AUD-04)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from common.audit import files
from receiver import index, statements
from receiver.audit_transfers import Transfers
from tests.receiver.filled import NORTH, Filled

pytestmark = pytest.mark.audit


def open_signed(filled: Filled, key: str) -> None:
    """Put the opening as it comes where the fixture has a word."""
    with filled.index.write() as db:
        study = db.execute(select(index.studies).where(index.studies.c.key == key)).one()
        slots = db.execute(
            select(index.instances).where(index.instances.c.transfer == study.transfer)
        ).all()
        words = {
            "study": study.study_uid,
            "attributes": json.loads(study.attributes),
            "instances": [{"uid": one.sop_uid, "sop_class": one.sop_class} for one in slots],
        }
        payload = base64.urlsafe_b64encode(json.dumps(words).encode()).decode().rstrip("=")
        statements.write(db, study.transfer, "opening", f"e30.{payload}.e30")


def noted(filled: Filled) -> list[dict[str, Any]]:
    found = (line.words or {} for line in files.lines(filled.data / "audit", "transfers"))
    return list(found)


def look(filled: Filled) -> list[str]:
    with closing(Transfers(filled.index, filled.data)) as seen:
        seen.look()
    return [words["event"] for words in noted(filled)]


@pytest.mark.requirement("AUD-04")
def test_a_transfer_has_two_lines_that_agree(filled: Filled) -> None:
    key = filled.ct(count=3, arrived=2)
    open_signed(filled, key)
    assert look(filled) == ["transfer-begun"]
    assert look(filled) == ["transfer-begun"]  # a restart says nothing twice
    begun = noted(filled)[0]
    assert (begun["institution"], begun["count"]) == (NORTH[1], 3)
    assert sum(begun["sop_classes"].values()) == 3
    from tests.receiver.filled import ct_image

    filled.arrive([ct_image("北見", 3)])
    filled.verify(key)
    assert look(filled) == ["transfer-begun", "transfer-ended"]
    ended = noted(filled)[1]
    assert ended["outcome"] == "ok"
    for fact in ("patient", "study_uid", "count", "sop_classes", "transfer", "institution"):
        assert ended[fact] == begun[fact]
    assert look(filled) == ["transfer-begun", "transfer-ended"]


def lose(db: Any) -> None:
    one = db.execute(select(index.instances.c.id)).scalars().first()
    db.execute(delete(index.instances).where(index.instances.c.id == one))


def swap(db: Any) -> None:
    words = json.loads(db.execute(select(index.studies.c.attributes)).scalar())
    words["00100020"]["Value"] = ["another"]
    db.execute(update(index.studies).values(attributes=json.dumps(words)))


def replace(db: Any) -> None:
    one = db.execute(select(index.instances.c.id)).scalars().first()
    same = index.instances.c.id == one
    db.execute(update(index.instances).where(same).values(sop_class="1.2.840.10008.5.1.4.1.1.4"))


@pytest.mark.requirement("AUD-04")
@pytest.mark.parametrize(
    ("change", "differs"),
    [(lose, ["count", "sop_classes"]), (swap, ["patient"]), (replace, ["sop_classes"])],
)
def test_a_disagreement_is_flagged(
    filled: Filled, change: Callable[[Any], None], differs: list[str]
) -> None:
    open_signed(filled, filled.ct(count=3))
    with filled.index.write() as db:
        change(db)
    assert look(filled) == ["transfer-begun", "transfer-disagrees", "transfer-ended"]
    _, alert, ended = noted(filled)
    assert alert["cause"].endswith(": " + ", ".join(differs))
    assert ended["outcome"] == "disagrees"


def test_a_peer_without_an_opening_is_not_accused(filled: Filled) -> None:
    filled.ct(count=3)
    assert look(filled) == ["transfer-begun", "transfer-ended"]
    assert noted(filled)[0]["count"] is None
