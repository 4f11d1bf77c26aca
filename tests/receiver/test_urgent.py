"""The few words by which pages other than the list know which urgent studies wait."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from common.web.accounts import Accounts
from receiver import index, sight, stops, urgent
from receiver.facts import KnownFacts
from receiver.standings import Standings
from receiver.worklist import Worklist
from tests.receiver.filled import EAST, NORTH, READER, USER, Filled, client, ct_image


def listed(filled: Filled) -> set[str]:
    """What the work list itself calls for: the same by another way."""
    waiting = {*urgent.WAITING}
    rows = Worklist(filled.index, KnownFacts(filled.store.root)).rows()
    return {
        row["key"]
        for row in rows
        if row["priority"] == "urgent"
        and row["reading"]["state"] == "unopened"
        and row["state"] in waiting
        and not row["prior"]
    }


@pytest.mark.requirement("UX-04", "AUT-04")
def test_pages_hear_of_what_the_list_calls_for_and_of_no_other(filled: Filled) -> None:
    def opened(name: str, **more: Any) -> str:
        images = [ct_image(name, number) for number in range(1, 3)]
        key = filled.open(images, **more)
        filled.arrive(images[:1])
        return key

    waits, read = opened("一", priority="urgent"), opened("二", priority="urgent")
    stopped = opened("三", priority="urgent")
    opened("四")
    opened("五", priority="urgent", request={"prior": True, "of": "1.2"})
    Standings(filled.index).look(read, READER)
    with filled.index.write() as db:
        of = select(index.studies.c.transfer).where(index.studies.c.key == stopped)
        same = index.transfers.c.id == of.scalar_subquery()
        assert stops.take(db, db.execute(select(index.transfers).where(same)).one(), "E-2005")
    found = urgent.calls(filled.index)
    assert {one["key"] for one in found} == listed(filled) == {waits, stopped}
    with filled.serve() as url, client(url) as asking:
        assert {one["key"] for one in asking.get("/api/calls").json()["calls"]} == {waits, stopped}
    sight.limit(Accounts(filled.index), filled.index, USER, [EAST[1]])
    with filled.serve() as url, client(url) as asking:
        assert asking.get("/api/calls").json()["calls"] == [], f"all of them are of {NORTH[0]}"
