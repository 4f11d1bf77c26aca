"""The DICOM door: C-STORE and Storage Commitment from registered partners (PS3.15 B.12).

Each peer is certificate, AE title and institution together; one without the
others is refused and audited.  Success is answered only after the bytes are
safe and indexed.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from common import audit, space, tls
from common.dicom import greeting, uids
from common.dicom.association import CALLED_UNKNOWN, Acceptor, Incoming, Peer, Writing
from common.errors import (
    InstanceTooLarge,
    PeerNotRegistered,
    RevocationListUnusable,
    TodokeError,
)
from common.proof.identity import Node
from common.refusals import Refusals
from receiver import partners
from receiver.arrivals import Arrival, Arrivals
from receiver.commitment import Commitments
from receiver.dial_back import DialBack
from receiver.index import Index
from receiver.revocation import Lists
from receiver.store import Store

log = logging.getLogger("todoke.dicom")
SUCCESS = 0x0000
LOOKED_UP = 1.0  # seconds that an answer of the index about a certificate holds


@dataclass(frozen=True, slots=True)
class _StoredInstance:
    """One instance of an association; what the acceptor writes to."""

    arrival: Arrival
    arrivals: Arrivals
    limit: int  # GB

    def write(self, data: memoryview) -> None:
        self._check(len(data))
        self.arrival.write(data)

    def room(self, wanted: int) -> memoryview:
        self._check(wanted)
        return self.arrival.room(wanted)

    def _check(self, more: int) -> None:
        """C-STORE announces no length: what is too large shows before the disk is used up."""
        if self.arrival.length + more > self.limit * space.GB:
            raise InstanceTooLarge(limit=self.limit)

    def filled(self, count: int) -> None:
        self.arrival.filled(count)

    def finish(self, answer: Callable[[int], None]) -> None:
        def told(error: TodokeError | None) -> None:
            if error is not None:
                log.warning("refused an instance of %s: %s", self.arrival.institution, error)
            answer(SUCCESS if error is None else error.dimse_status)

        self.arrivals.finish(self.arrival, told)

    def abandon(self) -> None:
        self.arrival.abandon()


class DicomDoor:
    """Acceptor of the receiver.

    Parameters
    ----------
    address : (str, int)
        Where to listen; port 0 takes a free one.
    aet : str
        Our AE title.
    profile : str
        TLS profile, see :mod:`common.tls`.
    others : sequence of str
        SOP classes taken besides the table's, see :func:`common.dicom.uids.is_storable`.
    max_instance_gb : int
        Largest instance taken.
    limits : mapping, optional
        Deadlines and caps other than the acceptor's own, by its parameters' names.
    clock : callable
        Seconds that only go on.
    """

    def __init__(
        self,
        index: Index,
        store: Store,
        node: Node,
        trail: audit.Trail,
        *,
        address: tuple[str, int],
        aet: str,
        profile: str,
        others: Sequence[str] = (),
        max_instance_gb: int = 64,
        limits: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_instance_gb = max_instance_gb
        self._clock = clock
        self.index = index
        self.store = store
        self.node = node
        self.trail = trail
        self.refusals = Refusals(trail)
        self.aet = aet
        self.profile = profile
        self.authority = node.ca
        self.lists = Lists(index, node.ca, node.revocation_list)
        self.following = tls.Following(self._context, self._stamp, self._kept)
        self._known: dict[bytes | None, tuple[float, str, bool]] = {}
        self.arrivals = Arrivals(index, store, self._alarm)
        self.commitments = Commitments(
            index,
            trail,
            lambda certificate: self._partner(certificate)[0],
            left=lambda code: self.dial_back.want(code),
        )
        self.dial_back = DialBack(index, node, self.commitments, aet=aet, profile=profile)
        self.acceptor = Acceptor(
            address,
            tls=self.following,
            sink=self,
            admit=self.admit,
            refused=self._refused,
            supported=partial(uids.is_storable, others=others),
            services=self.commitments,
            **(limits or {}),
        )

    def _context(self) -> ssl.SSLContext:
        """Build the context: partners and certificates come and go without a restart."""
        return tls.server_context(
            self.node.credentials,
            partners.trusted(self.index, self.authority),
            profile=self.profile,
            lists=self.lists.pems(),
        )

    def _stamp(self) -> Hashable:
        own = self.node.credentials
        trust = tuple(partners.trusted(self.index, self.authority))
        return tls.stamp([own.key, own.chain]), self.lists.stamp(), trust

    def _kept(self, cause: str) -> None:
        self.trail.note("alarm", cause=f"{tls.KEPT}: {cause}")

    def admit(self, peer: Peer) -> None:
        """Let an association in only for certificate, AE title and institution together.

        Raises
        ------
        PeerNotRegistered
        """
        try:
            partner = partners.of_certificate(self.index, peer.certificate, self.authority)
            self.lists.check(partner, peer.certificate)
            if peer.calling_aet.strip() != partner.aet:
                raise PeerNotRegistered(cause="AE title")
            if peer.called_aet.strip() != self.aet:
                raise PeerNotRegistered(cause="called AE title", reason=CALLED_UNKNOWN)
        except (PeerNotRegistered, RevocationListUnusable) as error:
            titles = f"{peer.calling_aet.strip()} -> {peer.called_aet.strip()}"
            self._refused(peer.address, f"{error.facts.get('cause')} ({titles})", peer.certificate)
            raise

    def begin(self, incoming: Incoming) -> Writing:
        """Take the first byte of an instance."""
        institution, linked = self._partner(incoming.peer.certificate)
        arrival = Arrival(
            self.store,
            institution,
            incoming.sop_class_uid,
            incoming.sop_instance_uid,
            incoming.transfer_syntax_uid,
            linked,
        )
        arrival.begin()
        return _StoredInstance(arrival, self.arrivals, self.max_instance_gb)

    def _partner(self, certificate: bytes | None) -> tuple[str, bool]:
        """Return whose a certificate is and whether it opens transfers over the link.

        Looked up again once a second while instances come, so a partner that is taken
        away is refused within a second, in the middle of its association too.
        """
        now = self._clock()
        at, code, linked = self._known.get(certificate, (-LOOKED_UP, "", False))
        if now - at >= LOOKED_UP:
            partner = partners.of_certificate(self.index, certificate, self.authority)
            self.lists.check(partner, certificate)
            code, linked = str(partner.code), partner.kind == "todoke"
            self._known[certificate] = now, code, linked
        return code, linked

    def _is_known(self, certificate: bytes | None) -> bool:
        try:
            return bool(certificate and self._partner(certificate))
        except (PeerNotRegistered, RevocationListUnusable):
            return False

    def _refused(self, address: str, cause: str, certificate: bytes | None) -> None:
        if cause == greeting.CLOSED and self._is_known(certificate):
            return  # a partner that connected ahead and had nothing to send after all
        self.refusals.note(address, cause, certificate, door="dicom")

    def _alarm(self, institution: str, cause: str) -> None:
        self.trail.note("alarm", institution=institution, cause=cause)

    def start(self) -> None:
        """Open the door."""
        self.dial_back.start()
        self.acceptor.start()

    def stop(self) -> None:
        """Let associations end, make safe what arrived, close."""
        self.acceptor.stop(5.0)
        self.dial_back.stop()
        self.arrivals.close()
        self.refusals.close()
