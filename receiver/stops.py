"""What a sender has stopped before all of it was here: 保留, and no longer 送信中.

The state and its cause stand in the list until the sender opens the transfer again.
"""

from __future__ import annotations

import json
import re
from typing import Any

from sqlalchemy import Connection, Row, select, update

from common.errors import ProtocolError
from common.states import TransferState, move
from receiver import index

#: Key in a transfer's request: what stopped it, as long as it is.
KEY = "stopped"
_NUMBER = re.compile(r"E-\d{4}")
_UNDER_WAY = (TransferState.QUEUED, TransferState.SENDING, TransferState.DELIVERED)
_transfers, _studies = index.transfers, index.studies


def read(said: Any) -> str:
    """Return the number of the error that a sender names, or "".

    Raises
    ------
    ProtocolError
    """
    number = said.get("number") if isinstance(said, dict) else None
    if not isinstance(number, str) or (number and not _NUMBER.fullmatch(number)):
        raise ProtocolError(cause="number")
    return number


def take(db: Connection, row: Row[Any], number: str) -> bool:
    """Keep that a transfer was stopped; return whether it was under way till now."""
    request = json.loads(row.request or "{}")
    again = row.state == TransferState.HELD and KEY in request
    if row.state not in _UNDER_WAY and not again:
        return False
    request[KEY] = {"number": number, "at": index.now()}
    _write(db, row, move(TransferState(row.state), TransferState.HELD), request)
    return not again


def lift(db: Connection, row: Row[Any]) -> None:
    """Let a transfer go on that its sender opens again; of any other nothing changes."""
    request = json.loads(row.request or "{}")
    if row.state != TransferState.HELD or KEY not in request:
        return
    del request[KEY]
    new = move(move(TransferState(row.state), TransferState.QUEUED), TransferState.SENDING)
    _write(db, row, new, request)


def _write(db: Connection, row: Row[Any], state: TransferState, request: dict[str, Any]) -> None:
    words = json.dumps(request, ensure_ascii=False)
    same = _transfers.c.id == row.id
    db.execute(update(_transfers).where(same).values(state=state, request=words))
    of_transfer = select(index.instances.c.institution, index.instances.c.study_uid).where(
        index.instances.c.transfer == row.id
    )
    for institution, study in db.execute(of_transfer.distinct()).all():
        mine = (_studies.c.institution == institution) & (_studies.c.study_uid == study)
        for key in db.execute(select(_studies.c.key).where(mine)).scalars().all():
            index.announce(db, "study", key)
