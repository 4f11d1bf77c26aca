"""What is kept from being purged, and in whose name: one function for the verb and the page.

A hold stands until it is released, and nobody's takes the place of another's: the study
would be purged once the second is released, while the first person still needs it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, update

from common.audit.retention import JAPAN
from common.errors import AlreadyHeld
from receiver import index, standings
from receiver.index import Index
from receiver.standings import Person

_studies = index.studies


def hold(database: Index, key: str, who: Person, reason: Any, note: Callable[..., None]) -> None:
    """Keep a study from being purged until somebody releases it.

    Parameters
    ----------
    note : callable
        Of the audit trail, told already who does this and from where.

    Raises
    ------
    UsageError
        The reason is empty or too long.
    AlreadyHeld, NotFound
    """
    why = standings.line(reason, "reason")
    with database.write() as db:
        study = standings.known(db, key)
        if not study.held:
            held = {"by": who.name, "display": who.shown, "reason": why, "at": index.now()}
            _keep(db, study, json.dumps(held, ensure_ascii=False))
    if study.held:
        note("purge-hold", study=study.key, reason=why, outcome="refused")
        before = said(study.held)
        raise AlreadyHeld(display=before["display"], at=before["at"])
    note("purge-hold", study=study.key, reason=why)


def release(database: Index, key: str, note: Callable[..., None]) -> None:
    """Let the policy hold again for a study; `note` as of :func:`hold`.

    Raises
    ------
    NotFound
    """
    with database.write() as db:
        study = standings.known(db, key)
        _keep(db, study, None)
    note("purge-release", study=study.key)


def said(held: str) -> dict[str, str]:
    """Return of a hold as it is kept who is shown, why, and since which day of Japan's."""
    words = json.loads(held)
    day = datetime.fromisoformat(words["at"]).astimezone(JAPAN).date().isoformat()
    # a hold of an older version names nobody's display
    return {"display": words.get("display") or words["by"], "reason": words["reason"], "at": day}


def _keep(db: Connection, study: Row[Any], held: str | None) -> None:
    db.execute(update(_studies).where(_studies.c.key == study.key).values(held=held))
    index.announce(db, "study", study.key)  # open pages say so
