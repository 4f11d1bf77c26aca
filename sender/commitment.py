"""Asking a partner that is no todoke to commit to what it stored (PS3.4 annex J).

Nothing waits here for long: a request is sent, its report awaited for a moment,
and whoever works off the outbox comes again.  What was asked stands in the
outbox's file, so a restart changes nothing.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from common.dicom import commands, commitment, statuses
from common.dicom.association import NormalizedRequestor
from common.errors import CommitmentPending, NotCommitted, TodokeError
from common.states import TransferState
from sender.links.dicom import Destination, open_association
from sender.outbox import Outbox, fault, now
from sender.partners import Partner
from sender.transactions import Standing, Transactions, open_transactions

ROUNDS = 1  # times that instances which were not committed are sent again
ASKS = 3  # requests without a report, then we say so
PATIENCE = 5.0  # seconds that an association is kept open for the report
_PIECE = 0.25  # seconds between looks whether we are to stop

_REASONS = {
    commitment.PROCESSING_FAILURE: "processing failure",
    commitment.NO_SUCH_OBJECT: "no such object instance",
    commitment.CLASS_CONFLICT: "class / instance conflict",
    commands.SOP_CLASS_NOT_SUPPORTED: "referenced SOP class not supported",
    0x0213: "resource limitation",
    0x0131: "duplicate transaction UID",
    commitment.NOT_NAMED: "not named in the report",
}


@dataclass(slots=True)
class Settling:
    """Brings transfers that a partner has stored to its commitment.

    Attributes
    ----------
    minutes : float
        Without a report, after which is asked again.
    stop : threading.Event
        Set to end soon.
    """

    outbox: Outbox
    partner: Partner
    to: Destination
    minutes: float
    stop: threading.Event
    clock: Callable[[], float] = time.time
    patience: float = PATIENCE

    def settle(self, transfer: str) -> bool:
        """Ask, or look what came of it.

        Returns
        -------
        bool
            True when the transfer is at its end: committed, or delivered with an
            explanation.  False when instances are owed again.

        Raises
        ------
        CommitmentPending
            To be looked at again later.
        NotCommitted
            Instances were sent again and not committed to after all.
        PeerError
            The line; to be tried again.
        """
        fresh = self.outbox.transfer(transfer).state is not TransferState.DELIVERED
        if fresh:
            self.outbox.set_state(transfer, TransferState.DELIVERED)
        with open_transactions(self.outbox.path) as known:
            known.clock = self.clock
            standing = known.standing(transfer)
            retried = fresh and not standing.parts  # all was reported before it was stored again
            if standing.parts:
                try:
                    self._ask(known, transfer, standing)
                except TodokeError as error:
                    if error.retryable:
                        raise
                    # it has the images all the same
                    self._give_up(transfer, NotCommitted(cause=error.words("en")))
                    return True
                standing = known.standing(transfer)
            if standing.parts:
                raise CommitmentPending(cause=self.partner.key)
            if standing.failed:
                self._send_again(known, transfer, standing, retried=retried)
                return False
        commit(self.outbox, transfer)
        return True

    def _ask(self, known: Transactions, transfer: str, standing: Standing) -> None:
        """Send what requests are due and wait a moment for reports, of whatever transaction.

        Raises
        ------
        NotCommitted
            The partner refuses, or has left every request without a report.
        """
        due = []
        for part, asked in standing.parts.items():
            if asked and self.clock() - asked[-1].asked < 60 * self.minutes:
                continue
            if len(asked) >= ASKS:
                refused = asked[-1].refused
                words = "no report" if refused is None else f"status {refused:04X}H"
                raise NotCommitted(cause=f"{len(asked)} requests, {words}")
            due.append(part)
        if not due and self.partner.commit_listen:
            return  # it dials us
        with self._open() as association:
            for part in due:
                request = known.begin(transfer, self.partner.key, standing.round, part)
                response = association.ask(
                    commands.N_ACTION_RQ,
                    commitment.SOP_CLASS,
                    commitment.SOP_INSTANCE,
                    commitment.REQUEST_COMMITMENT,
                    request.encode,
                )
                if (error := statuses.error_of(response.status, response.comment)) is not None:
                    known.refuse(request.transaction, response.status)
                    raise error
            self._listen(known, association, transfer)

    def _open(self) -> NormalizedRequestor:
        return open_association(self.to, commitment.CONTEXTS, NormalizedRequestor, window=1)

    def _listen(self, known: Transactions, association: NormalizedRequestor, transfer: str) -> None:
        end = time.monotonic() + self.patience
        while known.standing(transfer).parts and not self.stop.is_set():
            left = end - time.monotonic()
            if left <= 0:
                return
            request = association.next_request(min(_PIECE, left))
            if request is None:
                continue
            status = commitment.report_fault(request.command)
            if status is None:
                key = self.partner.key
                status, _ = known.take_message(key, request.data, request.transfer_syntax)
            association.answer(request, status)

    def _send_again(
        self, known: Transactions, transfer: str, standing: Standing, *, retried: bool
    ) -> None:
        """Owe what was not committed to once more, or again where a person retries."""
        if standing.round >= ROUNDS and not retried:
            count = self.outbox.count(transfer)
            reasons = Counter(standing.failed.values()).most_common()
            words = ", ".join(f"{_reason(reason)}: {times}" for reason, times in reasons)
            raise NotCommitted(cause=f"{len(standing.failed)} / {count}; {words}")
        known.send_again(transfer, standing.round, standing.failed)
        self.outbox.set_state(transfer, TransferState.SENDING)

    def _give_up(self, transfer: str, error: NotCommitted) -> None:
        self.outbox.keep(transfer, finished=now(), error=fault(error))


def commit(outbox: Outbox, transfer: str) -> None:
    """Say that the partner committed to all of a transfer."""
    outbox.set_state(transfer, TransferState.COMMITTED, finished=now(), error=None)


def commit_late(outbox: Outbox, known: Transactions, transfer: str) -> None:
    """Take a report for a transfer that nobody waits for any more."""
    there = outbox.transfer(transfer)
    if there.finished is None or there.state is not TransferState.DELIVERED:
        return
    standing = known.standing(transfer)
    if not (standing.parts or standing.failed):
        commit(outbox, transfer)


def _reason(code: int) -> str:
    words = _REASONS.get(code, "unknown reason")
    return words if code < 0 else f"{code:04X}H {words}"
