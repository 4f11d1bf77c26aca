"""Urgent studies that nobody has opened, in few words: for pages that show something else.

The work list rings for them as long as it is on the screen; a reader in the middle of
another case has to hear the next one too (VIEWING section 6, 9.10), without the whole list.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from sqlalchemy import and_, exists, or_, select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from common import request as asked
from common.states import TransferState
from receiver import escalation, index, sight
from receiver.index import Index
from receiver.replies import reply
from receiver.viewer_services import ViewerServices

_studies, _transfers, _instances = index.studies, index.transfers, index.instances
_standings = index.standings
#: What nobody has opened while it is in one of these, as the list has it.
WAITING = (
    TransferState.ANNOUNCED,
    TransferState.QUEUED,
    TransferState.SENDING,
    TransferState.DELIVERED,
    TransferState.COMMITTED,
    TransferState.RECEIPTED,
    TransferState.HELD,  # its sender stopped: what is here waits for a reader all the same
)


def calls(database: Index) -> list[dict[str, Any]]:
    """Return what tells one call from another: study, since when, what came late, alarm.

    Returns
    -------
    list of dict
        ``key``, ``institution`` (its code), ``arrived_at``, ``late`` and ``step``.
    """
    with database.read() as db:
        raised = escalation.raised(db)
        rows = db.execute(_unopened()).all()
    return [
        {
            "key": row.key,
            "institution": row.institution,
            "arrived_at": row.opened_at,
            "late": row.late or 0,
            "step": raised.get(row.key, {}).get("step", 0),
        }
        for row in rows
        if not asked.is_prior(json.loads(row.request))
    ]


def _unopened() -> Any:
    slides = _transfers.alias()  # each slide of a case is a transfer of its own
    urgent_slide = exists().where(
        _instances.c.institution == _studies.c.institution,
        _instances.c.study_uid == _studies.c.study_uid,
        slides.c.id == _instances.c.transfer,
        and_(slides.c.kind == "slide", slides.c.priority == "urgent"),
        slides.c.state != TransferState.RECALLED,
    )
    columns = _transfers.c.opened_at, _transfers.c.request, _standings.c.late
    return (
        select(_studies.c.key, _studies.c.institution, *columns)
        .join(_transfers, _transfers.c.id == _studies.c.transfer)
        .outerjoin(_standings, _standings.c.study == _studies.c.key)
        .where(
            _studies.c.reading.is_(None),
            _transfers.c.state.in_(WAITING),
            or_(
                _transfers.c.priority == "urgent", and_(_transfers.c.kind == "slide", urgent_slide)
            ),
        )
        .order_by(_transfers.c.opened_at)
    )


def routes(services: ViewerServices) -> list[BaseRoute]:
    """Return the route; for readers, and of what they may see."""

    async def listed(request: Request) -> Response:
        found = await asyncio.to_thread(calls, services.index)
        limit = sight.institutions(request.scope)
        seen = [one for one in found if limit is None or one["institution"] in limit]
        return reply(request, {"server_time": index.now(), "calls": seen})

    return [Route("/api/calls", listed, methods=["GET"])]
