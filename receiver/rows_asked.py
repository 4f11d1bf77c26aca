"""What the work list asks of the index: studies, their counts, their slides and readers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, case, func, select

from common.states import ABSENT, InstanceState, TransferState
from receiver import index
from receiver.stored import NOT_RECALLED

_studies, _transfers, _partners = index.studies, index.transfers, index.partners
_instances, _frames, _standings = index.instances, index.frames, index.standings
WHOLE = {InstanceState.STORED, InstanceState.VERIFIED}


def studies() -> Any:
    """Ask for every study with its newest transfer and how far its readers are."""
    return (
        select(
            _studies,
            _partners.c.name.label("institution_name"),
            _transfers.c.kind,
            _transfers.c.state,
            _transfers.c.priority,
            _transfers.c.purpose,
            _transfers.c.test,
            _transfers.c.expected,
            _transfers.c.request,
            _transfers.c.expected.is_not(None).label("opening"),
            _transfers.c.opened_at,
            _standings.c.state.label("standing"),
            _standings.c.by.label("reader"),
            _standings.c.display.label("reader_shown"),
            _standings.c.at.label("standing_at"),
            _standings.c.late,
        )
        .join(_partners, _partners.c.code == _studies.c.institution)
        .outerjoin(_transfers, _transfers.c.id == _studies.c.transfer)
        .outerjoin(_standings, _standings.c.study == _studies.c.key)
    )


def last_arrival(db: Connection, study: Row[Any]) -> str | None:
    """Return when an image of a study came last, by this machine's clock."""
    mine = (_instances.c.institution == study.institution) & (
        _instances.c.study_uid == study.study_uid
    )
    last = db.execute(select(func.max(_instances.c.stored_at)).where(mine)).scalar()
    return None if last is None else str(last)


def held() -> Any:
    """Ask for the frames that are here of each level whose frames still arrive."""
    return (
        select(_frames.c.instance, func.count())
        .join(_instances, _instances.c.id == _frames.c.instance)
        .where(
            _instances.c.state.in_((InstanceState.RECEIVED, InstanceState.DAMAGED)), NOT_RECALLED
        )
        .group_by(_frames.c.instance)
    )


def of_cases() -> Any:
    """Ask for state and priority of every transfer of slide cases."""
    of_case = _instances.c.institution, _instances.c.study_uid, _transfers.c.id
    return (
        select(*of_case, _transfers.c.state, _transfers.c.priority)
        .join(_transfers, _transfers.c.id == _instances.c.transfer)
        .where(_transfers.c.kind == "slide", _transfers.c.state != TransferState.RECALLED)
        .distinct()
    )


def counted() -> Any:
    """Ask for the counts of every series, and for one arrived instance of each.

    What was taken back is among them, see :func:`receiver.recalls.counted`: to look at the
    transfer of every instance would take the list past its index.
    """
    by_series = (_instances.c.institution, _instances.c.study_uid, _instances.c.series_uid)
    arrived = _instances.c.state.not_in(ABSENT)
    damaged = _instances.c.state == InstanceState.DAMAGED
    frames = func.coalesce(_instances.c.frames, 1)  # a photograph beside slides counts as one
    return select(
        *by_series,
        func.count().label("total"),
        func.sum(case((arrived, 1), else_=0)).label("here"),
        func.sum(case((damaged, 1), else_=0)).label("damaged"),
        func.sum(frames).label("tiles"),
        func.sum(case((_instances.c.state.in_(WHOLE), frames), else_=0)).label("tiles_here"),
        func.min(case((arrived, _instances.c.id))).label("one"),
    ).group_by(*by_series)
