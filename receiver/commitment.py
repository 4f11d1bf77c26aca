"""Storage Commitment as SCP: what we hold of what a partner asks about (PS3.4 annex J).

A request is kept before it is answered.  The report is made at the moment it is
sent, from the index: *committed* is what is stored or verified for that very
institution under the SOP class it names.  It goes out on the same association at
once, else on the next one that the partner opens with this presentation context,
or by dialling back (:mod:`receiver.dial_back`); a request is forgotten when its
report was taken, or after :data:`KEPT_DAYS`.
"""

from __future__ import annotations

import json
import logging
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, insert, select

from common import audit
from common.dicom import commands, commitment
from common.dicom.association import Collecting, Line, Notice, Writing
from common.dicom.commands import Command
from common.dicom.commitment import Reference, Report
from common.errors import InputError, RequestTooLarge
from common.states import InstanceState
from receiver import index
from receiver.index import Index

log = logging.getLogger("todoke.commitment")

KEPT_DAYS = 7  # a partner that was not reached for so long asks again
MOST_PENDING = 1000  # of one institution
_TOGETHER = 500  # UIDs in one look-up

_rows = index.commitments


@dataclass(frozen=True, slots=True)
class Pending:
    """A request whose report was not taken yet."""

    id: int
    institution: str
    transaction: str


class Commitments:
    """The service an acceptor of the receiver is given.

    Parameters
    ----------
    institution : callable
        Gives the institution code of a certificate; raises PeerNotRegistered.
    trail : audit.Trail
        Notes each report that a partner took.
    left : callable
        Told the institution of a report that could not be given on its association.
    """

    def __init__(
        self,
        db_index: Index,
        trail: audit.Trail,
        institution: Callable[[bytes | None], str],
        left: Callable[[str], None] = lambda _: None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._index = db_index
        self._trail = trail
        self._institution = institution
        self._left = left
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way: set[int] = set()

    def roles(self, abstract_syntax: str) -> tuple[bool, bool] | None:
        """Let a partner be SCU of Storage Commitment."""
        return (True, False) if abstract_syntax == commitment.SOP_CLASS else None

    def opened(self, line: Line) -> None:
        """Report what is left from before, as soon as the partner is quiet."""
        for pending in self.take(self._institution(line.peer.certificate)):
            self._report(line, pending, quiet=True)

    def begin(self, line: Line, command: Command, transfer_syntax: str) -> Writing:
        """Take a request.

        Raises
        ------
        PeerNotRegistered
        """
        institution = self._institution(line.peer.certificate)
        refused = _fault(command)
        if refused is not None:
            return Collecting(lambda _, answer: answer(refused))

        def asked(data: bytes, answer: Callable[[int], None]) -> None:
            pending = self._keep(institution, data, transfer_syntax)
            if pending is None:
                answer(commands.INVALID_ARGUMENT_VALUE)
                return
            answer(commands.SUCCESS)
            self._report(line, pending)

        return Collecting(asked)

    # -- what is pending ----------------------------------------------------

    def _keep(self, institution: str, data: bytes, transfer_syntax: str) -> Pending | None:
        """Keep a request durably; None if it cannot be read."""
        try:
            request = commitment.decode_request(data, transfer_syntax)
        except RequestTooLarge:
            raise
        except InputError as error:
            log.warning("commitment request of %s: %s", institution, error)
            return None
        pairs = [(one.sop_class, one.sop_instance) for one in request.references]
        here = (_rows.c.institution == institution,)
        same = (*here, _rows.c.transaction_uid == request.transaction)
        with self._index.write() as db:
            old = (self._clock() - timedelta(days=KEPT_DAYS)).isoformat(timespec="milliseconds")
            db.execute(delete(_rows).where(_rows.c.asked_at < old))
            db.execute(delete(_rows).where(*same))  # asked again: it did not get our answer
            count = db.execute(select(func.count()).select_from(_rows).where(*here)).scalar()
            if (count or 0) >= MOST_PENDING:
                raise RequestTooLarge(cause=f"{count} commitments pending")
            made = db.execute(
                insert(_rows).values(
                    institution=institution,
                    transaction_uid=request.transaction,
                    requested=zlib.compress(json.dumps(pairs).encode()),
                    asked_at=self._clock().isoformat(timespec="milliseconds"),
                )
            )
            (number,) = made.inserted_primary_key or (0,)
        with self._lock:
            self._under_way.add(number)
        return Pending(number, institution, request.transaction)

    def take(self, institution: str) -> list[Pending]:
        """Return the pending of an institution that nobody reports just now; they are yours."""
        with self._index.read() as db:
            rows = db.execute(
                select(_rows.c.id, _rows.c.institution, _rows.c.transaction_uid)
                .where(_rows.c.institution == institution)
                .order_by(_rows.c.id)
            ).all()
        with self._lock:
            free = [Pending(*row) for row in rows if row.id not in self._under_way]
            self._under_way |= {one.id for one in free}
        return free

    def waiting(self) -> list[str]:
        """Return the institutions that have something pending."""
        with self._index.read() as db:
            return [code for (code,) in db.execute(select(_rows.c.institution).distinct())]

    # -- reports ------------------------------------------------------------

    def report(self, pending: Pending) -> Report:
        """Return what we hold now of what was asked."""
        with self._index.read() as db:
            packed = db.execute(select(_rows.c.requested).where(_rows.c.id == pending.id)).scalar()
        pairs = json.loads(zlib.decompress(packed)) if packed is not None else []
        asked = tuple(dict.fromkeys(Reference(*pair) for pair in pairs))
        held = self._held(pending.institution, [one.sop_instance for one in asked])
        failed = []
        for one in asked:
            found = held.get(one.sop_instance)
            if found is None:
                failed.append((one, commitment.NO_SUCH_OBJECT))
            elif found != one.sop_class:
                failed.append((one, commitment.CLASS_CONFLICT))
        lost = {one for one, _ in failed}
        kept = tuple(one for one in asked if one not in lost)
        return Report(pending.transaction, kept, tuple(failed))

    def _held(self, institution: str, uids: list[str]) -> dict[str, str]:
        """Return the SOP classes of the instances that are durable here."""
        rows = index.instances
        held: dict[str, str] = {}
        with self._index.read() as db:
            for at in range(0, len(uids), _TOGETHER):
                found = db.execute(
                    select(rows.c.sop_uid, rows.c.sop_class).where(
                        rows.c.institution == institution,
                        rows.c.sop_uid.in_(uids[at : at + _TOGETHER]),
                        rows.c.state.in_((InstanceState.STORED, InstanceState.VERIFIED)),
                    )
                )
                held |= {uid: sop_class for uid, sop_class in found}
        return held

    def told(self, pending: Pending, status: int | None, made: Report | None) -> None:
        """Take the partner's answer to a report; None where there was none."""
        taken = status == commands.SUCCESS
        if taken and made is not None:
            with self._index.write() as db:
                db.execute(delete(_rows).where(_rows.c.id == pending.id))
            self._trail.note(
                "commitment-reported",
                institution=pending.institution,
                transaction=pending.transaction,
                committed=len(made.committed),
                failed=len(made.failed),
            )
        elif status is not None:
            log.warning("report to %s: status %04XH", pending.institution, status)
        with self._lock:
            self._under_way.discard(pending.id)
        if not taken:
            self._left(pending.institution)

    def _report(self, line: Line, pending: Pending, *, quiet: bool = False) -> None:
        made: list[Report] = []

        def event(transfer_syntax: str) -> tuple[int, bytes]:
            made.append(self.report(pending))
            return made[0].event_type, made[0].encode(transfer_syntax)

        def told(status: int | None) -> None:
            self.told(pending, status, made[0] if made else None)

        notice = Notice(commitment.SOP_CLASS, commitment.SOP_INSTANCE, event)
        line.notify(notice, told, quiet=quiet)


def _fault(command: Command) -> int | None:
    """Return the status of a request that is not ours to perform."""
    if command.field != commands.N_ACTION_RQ:
        return commands.UNRECOGNIZED_OPERATION
    if command.sop_class != commitment.SOP_CLASS:
        return commands.NO_SUCH_SOP_CLASS
    if command.sop_instance != commitment.SOP_INSTANCE:
        return commands.NO_SUCH_OBJECT_INSTANCE
    if command.type_id != commitment.REQUEST_COMMITMENT:
        return commands.NO_SUCH_ACTION
    return None
