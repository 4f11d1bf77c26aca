"""What is asked before 完了: how many images of a study are whole here, and what is amiss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from common import request
from common.states import InstanceState
from receiver import index
from receiver.stored import NOT_RECALLED

CAUSES = {
    "incomplete": ("揃っていません", "incomplete"),
    "unknown": ("予定枚数が分かりません", "expected count unknown"),
    "damaged": ("破損があります", "damaged images"),
    "grown": ("開いたあとに増えています", "grown since it was opened"),
    "unopened": ("まだ開いていません", "not opened yet"),
}
_instances = index.instances


@dataclass(frozen=True, slots=True)
class Counted:
    """Images of a study: whole here, expected (None: not known), and damaged."""

    whole: int
    expected: int | None
    damaged: int


def count(db: Connection, study: Row[Any]) -> Counted:
    """Count the images of a study; request forms are none, and a slide level is one.

    What its sender took back does not count.

    A level that is filled frame by frame counts as here once every frame is.
    """
    mine = and_(
        NOT_RECALLED,
        _instances.c.institution == study.institution,
        _instances.c.study_uid == study.study_uid,
        _instances.c.sop_class != request.PDF,
    )
    held = (
        select(func.count())
        .where(index.frames.c.instance == _instances.c.id)
        .correlate(_instances)
        .scalar_subquery()
    )
    filled = and_(_instances.c.state == InstanceState.RECEIVED, held == _instances.c.frames)
    whole = or_(_instances.c.state.in_((InstanceState.STORED, InstanceState.VERIFIED)), filled)
    counts = select(
        func.count(),
        func.count().filter(whole),
        func.count().filter(_instances.c.state == InstanceState.DAMAGED),
    ).select_from(_instances)
    total, here, damaged = db.execute(counts.where(mine)).one()
    return Counted(here, total if study.expected else None, damaged)


def causes_of(counted: Counted, now: Row[Any] | None) -> list[str]:
    """Return why 完了 is asked a second time."""
    causes = []
    if counted.expected is None:
        causes.append("unknown")
    elif counted.whole < counted.expected - counted.damaged:
        causes.append("incomplete")
    if counted.damaged:
        causes.append("damaged")
    if now is None or now.state == "unopened":
        causes.append("unopened")
    elif counted.whole > now.seen:
        causes.append("grown")
    return causes
