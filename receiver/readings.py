"""What readers did, told to the senders: opened, reading, done (UX-01).

A sender asks every few minutes what it has to send again; on the same connection it
hears which of its transfers a reader has come to since it last asked.  No word of what
a reader saw or wrote goes back.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, select

from receiver import index

TOGETHER = 1000  # studies of one answer
#: What was written meanwhile and is not yet seen is told at the next question.
OVERLAP = timedelta(minutes=1)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", re.ASCII)
_studies, _instances, _transfers = index.studies, index.instances, index.transfers


def since(db: Connection, institution: str, moment: str) -> dict[str, Any]:
    """Return what readers did with an institution's transfers since a moment.

    Parameters
    ----------
    moment : str
        What an earlier answer named as ``until``; anything else asks from the beginning.

    Returns
    -------
    dict
        ``states``, each with ``transfer``, ``state`` (opened, reading, done) and ``at``;
        and ``until``, from where to ask next.
    """
    began = datetime.fromisoformat(index.now()) - OVERLAP
    after = moment if _TIME.fullmatch(moment) else ""
    changed = (
        select(_studies.c.study_uid, _studies.c.reading, _studies.c.changed_at)
        .where(
            _studies.c.institution == institution,
            _studies.c.reading.is_not(None),
            _studies.c.changed_at >= after,
        )
        .order_by(_studies.c.changed_at)
        .limit(TOGETHER)
    )
    rows = db.execute(changed).all()
    of_study = {row.study_uid: row for row in rows}
    mine = and_(
        _instances.c.institution == institution,
        _instances.c.study_uid.in_(list(of_study)),
        _transfers.c.expected.is_not(None),
    )
    found = db.execute(
        select(_instances.c.study_uid, _transfers.c.id)
        .join(_transfers, _transfers.c.id == _instances.c.transfer)
        .where(mine)
        .distinct()
    )
    states = [
        {
            "transfer": transfer,
            "state": of_study[study].reading,
            "at": of_study[study].changed_at,
        }
        for study, transfer in found
    ]
    until = began.isoformat(timespec="milliseconds")
    if len(rows) == TOGETHER:
        until = rows[-1].changed_at
    return {"states": states, "until": until}
