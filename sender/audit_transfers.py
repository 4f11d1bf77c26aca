"""Transfers of the outbox in the audit trail: begun, ended, and whether the two agree (AUD-04)."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from common.audit.minding import Minder
from common.audit.transfers import Half, Watch
from common.errors import NotFound
from common.states import TransferState
from sender.partners import find_partner

if TYPE_CHECKING:
    from sender.engine import Engine
    from sender.outbox import Outbox, Transfer

_DONE = (TransferState.RECEIPTED, TransferState.COMMITTED, TransferState.OPENED,
         TransferState.READING, TransferState.DONE)  # fmt: skip
_BROKEN = (TransferState.RECALLED, TransferState.FAILED)


class Transfers:
    """Looks at the outbox, and notes what has come about since."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._watch = Watch(engine.data / "audit")

    def look(self) -> None:
        """Note what is new."""
        outbox = self._engine.outbox
        with contextlib.suppress(sqlite3.OperationalError):  # busy: with the next look
            known = {one.id: one for one in outbox.transfers()}
            self._watch.look(
                list(self._known(known)),
                lambda one: self._begin(outbox, known[one]),
                lambda one: _half(outbox, known[one], acked=True),
            )

    def _known(self, known: dict[str, Transfer]) -> Iterator[tuple[str, bool]]:
        for one in known.values():
            if one.id in self._watch.ended or one.started is None:
                continue
            over = one.state in (*_DONE, *_BROKEN) or one.finished is not None
            yield one.id, over

    def _begin(self, outbox: Outbox, one: Transfer) -> tuple[str, Half]:
        code = one.partner
        with contextlib.suppress(NotFound):
            code = find_partner(self._engine.data, one.partner).code or one.partner
        return code, _half(outbox, one, acked=False)

    def close(self) -> None:
        """Close the trail."""
        self._watch.close()


def _half(outbox: Outbox, one: Transfer, *, acked: bool) -> Half:
    classes: Counter[str] = Counter()
    for part in outbox.parts(one.id):
        classes.update(each.sop_class for each in part if each.acked or not acked)
    element: Any = one.attributes.get("00100020") or {}
    patient = str((element.get("Value") or [""])[0])
    moment = one.finished or one.delivered or one.created
    return Half(
        moment if acked else one.started or one.created,
        patient,
        one.study,
        sum(classes.values()),
        dict(classes),
        "failed" if acked and one.state in _BROKEN else "ok",
    )


@contextlib.contextmanager
def audited(engine: Engine) -> Iterator[None]:
    """Look after the audit trail for as long as the daemon runs."""
    transfers = Transfers(engine)
    minder = Minder(engine.node, engine.settings, transfers.look)
    minder.start()
    try:
        yield
    finally:
        minder.stop()
        transfers.close()
