"""Reports of Storage Commitment on associations that we open, to partners that hold an address.

Only a product whose entry names one is dialled: with our own certificate, and
only what shows the very certificate of its entry is told anything.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Row, select

from common import tls
from common.dicom import commands, commitment
from common.dicom.association import NormalizedRequestor, Role
from common.errors import PeerCertificateRefused, PeerError, TodokeError
from common.proof.identity import Node
from receiver import index, partners
from receiver.commitment import Commitments
from receiver.index import Index
from receiver.revocation import Lists

log = logging.getLogger("todoke.commitment")

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 600.0  # seconds before a partner is dialled again
AS_SCP = (Role(commitment.SOP_CLASS, scu=False, scp=True),)


class DialBack:
    """Dials partners that have a report coming; a thread each, so that none waits for another.

    Parameters
    ----------
    aet : str
        Our AE title.
    profile : str
        TLS profile.
    clock : callable
        Seconds that only go on.
    """

    def __init__(
        self,
        db_index: Index,
        node: Node,
        pending: Commitments,
        *,
        aet: str,
        profile: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._index = db_index
        self._node = node
        self._lists = Lists(db_index, node.ca, node.revocation_list)
        self._pending = pending
        self._aet = aet
        self._profile = profile
        self._clock = clock
        self._wake = threading.Condition()
        self._wanted: set[str] = set()
        self._due: dict[str, tuple[float, float]] = {}  # institution: not before, next pause
        self._calling: dict[str, threading.Thread] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="dial-back", daemon=True)

    def start(self) -> None:
        """Begin with what was pending before."""
        for institution in self._pending.waiting():
            self.want(institution)
        self._thread.start()

    def stop(self) -> None:
        """Begin no more calls."""
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
            calls = list(self._calling.values())
        for thread in (self._thread, *calls):
            if thread.ident is not None:
                thread.join(1.0)

    def want(self, institution: str) -> None:
        """Have a partner dialled, if its entry holds an address; from any thread."""
        with self._wake:
            self._wanted.add(institution)
            self._wake.notify_all()

    def _run(self) -> None:
        with self._wake:
            while not self._stopping:
                now = self._clock()
                ready = [
                    one
                    for one in self._wanted - self._calling.keys()
                    if self._due.get(one, (now, 0.0))[0] <= now
                ]
                for institution in ready:
                    self._wanted.discard(institution)
                    call = threading.Thread(
                        target=self._call, args=(institution,), name="dial-back-call", daemon=True
                    )
                    self._calling[institution] = call
                    call.start()
                later = [
                    self._due[one][0] - now
                    for one in self._wanted - self._calling.keys()
                    if one in self._due
                ]
                self._wake.wait(max(0.01, min(later)) if later else None)

    def _call(self, institution: str) -> None:
        failed = True
        try:
            partner = self._partner(institution)
            failed = partner is not None and not self._report(institution, partner)
        except TodokeError as error:
            log.warning("report to %s: %s", institution, error)
        finally:
            with self._wake:
                del self._calling[institution]
                if failed:
                    pause = self._due.get(institution, (0.0, FIRST_PAUSE))[1]
                    self._due[institution] = self._clock() + pause, min(LONGEST_PAUSE, pause * 2)
                    self._wanted.add(institution)
                else:
                    self._due.pop(institution, None)
                self._wake.notify_all()

    def _partner(self, institution: str) -> Row[Any] | None:
        partners, addresses = index.partners, index.commit_addresses
        with self._index.read() as db:
            return db.execute(
                select(partners, addresses.c.host, addresses.c.port)
                .join(addresses, addresses.c.institution == partners.c.code)
                .where(partners.c.code == institution)
            ).first()

    def _report(self, institution: str, partner: Row[Any]) -> bool:
        """Say what is pending; whether all of it was taken."""
        left = self._pending.take(institution)
        taken = 0
        count = len(left)
        try:
            with self._open(partner) if left else contextlib.nullcontext() as association:
                while association is not None and left:
                    report = self._pending.report(left[0])
                    response = association.ask(
                        commands.N_EVENT_REPORT_RQ,
                        commitment.SOP_CLASS,
                        commitment.SOP_INSTANCE,
                        report.event_type,
                        report.encode,
                    )
                    self._pending.told(left.pop(0), response.status, report)
                    taken += response.status == commands.SUCCESS
        finally:
            for pending in left:
                self._pending.told(pending, None, None)
        return taken == count

    def _open(self, partner: Row[Any]) -> NormalizedRequestor:
        # which of them it is, its fingerprint decides; a product names no host in it
        context = tls.client_context(
            self._node.credentials,
            [partner.ca or self._node.ca],
            profile=self._profile,
            check_host=False,
        )
        association = NormalizedRequestor.open(
            (partner.host, partner.port),
            tls=context,
            server_hostname=None,
            calling_aet=self._aet,
            called_aet=partner.aet,
            contexts=commitment.CONTEXTS,
            window=1,
            roles=AS_SCP,
        )
        shown = association.peer.certificate
        try:
            if shown is None or tls.fingerprint(shown) != partner.fingerprint:
                raise PeerCertificateRefused(cause="not the certificate of the partner's entry")
            partners.check_revoked(self._index, partner.code, shown)
            self._lists.check(partner, shown)
        except PeerError:
            association.abort()
            raise
        return association
