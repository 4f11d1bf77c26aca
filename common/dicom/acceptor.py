"""The acceptor of associations: listens, and gives each connection a thread of its own.

The accepting thread does nothing that a peer can delay.  TLS handshake and
A-ASSOCIATE-RQ happen in the connection's thread under one deadline each; of
the connections that have not come so far only so many are kept, and the
oldest of the address that holds most gives way.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from functools import partial

from common import crowd, logs
from common.dicom import admission, greeting, negotiation, uids
from common.dicom.channel import Channel
from common.dicom.peer import Peer, Sink
from common.dicom.services import Services
from common.dicom.serving import Association, TooSlow
from common.errors import AssociationAborted, ProtocolError
from common.refusals import Refused

log = logging.getLogger(__name__)


class Acceptor:
    """Takes associations at one address.

    Parameters
    ----------
    address : tuple
        Host and port; port 0 takes a free one.
    tls : ssl.SSLContext, callable or None
        A callable is asked for each connection, so that certificates change
        without a restart.  None is for loopback and the modality's LAN.
    sink : Sink
        Takes the instances.
    admit : callable
        Given the Peer; raises a TodokeError to reject it, and records that itself.
    refused : callable
        Called once for a connection that never became an association for another
        reason, for an association that is broken off for the peer's sake, and for
        each request that is refused: address, cause in both languages, certificate
        (DER).
    supported : callable
        Whether an abstract syntax is taken in a transfer syntax.
    window : int
        Most instances of one association that may be unanswered.
    max_pdu : int
        Longest P-DATA taken, in bytes after its header; 0 for any.
    handshake_timeout, request_timeout, idle_timeout : float
        Seconds for TLS, for the A-ASSOCIATE-RQ, and between signs of life.
    max_associations, max_per_partner, max_pending : int
        Most open associations, in all and of one certificate (without TLS: of one
        address and AE title); most connections that are not yet one.
    services : Services, optional
        Performs what is neither C-ECHO nor C-STORE.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        tls: admission.Tls,
        sink: Sink,
        admit: admission.Admit,
        refused: Refused,
        supported: Callable[[str, str], bool] = uids.is_storable,
        window: int = 32,
        max_pdu: int = 1 << 20,
        handshake_timeout: float = 5,
        request_timeout: float = 5,
        idle_timeout: float = 60,
        max_associations: int = 100,
        max_per_partner: int = 50,
        max_pending: int = 200,
        services: Services | None = None,
    ) -> None:
        self._sink = sink
        self._refused = refused
        self._rules = admission.Rules(
            tls=tls,
            admit=admit,
            supported=supported,
            window=window,
            max_pdu=max_pdu,
            handshake_timeout=handshake_timeout,
            request_timeout=request_timeout,
            services=services,
        )
        self._idle_timeout = idle_timeout
        self._max_associations = max_associations
        self._max_per_partner = max_per_partner
        self._max_pending = max_pending
        self._lock = threading.Lock()
        self._pending: dict[Channel, str] = {}  # to address, in order of arrival
        self._gave_way: set[Channel] = set()
        self._serving: dict[Channel, Association] = {}
        self._seats: dict[Channel, bytes | str] = {}  # to whose they are
        self._threads: set[threading.Thread] = set()
        self._stopping = threading.Event()
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._listener = socket.create_server(address, family=family, backlog=256)
        self._listener.setblocking(False)
        host, port = self._listener.getsockname()[:2]
        self._address = (str(host), int(port))
        self._alarm = socket.socketpair()
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened on."""
        return self._address

    def start(self) -> None:
        """Begin to accept."""
        self._thread = threading.Thread(target=self._listen, name="dicom-accept", daemon=True)
        self._thread.start()

    def stop(self, grace: float = 5) -> None:
        """Accept no more, let what is under way end for `grace` seconds, then cut.

        An association is aborted between two instances, never inside one
        within the grace.
        """
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._alarm[1].send(b"\0")
        if self._thread is not None:
            self._thread.join()
        self._listener.close()
        with self._lock:
            for channel in self._pending:
                channel.cut()
            for association in self._serving.values():
                association.stop()
            threads = set(self._threads)
        deadline = time.monotonic() + grace
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            for association in self._serving.values():
                association.cut()
        for thread in threads:
            thread.join(1.0)
        for sock in self._alarm:
            sock.close()

    def _listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._alarm[0], selectors.EVENT_READ)
            while not self._stopping.is_set():
                selector.select()
                if self._stopping.is_set():
                    return
                try:
                    sock, address = self._listener.accept()
                except BlockingIOError:
                    continue
                except OSError as failure:  # out of descriptors: make room, do not spin
                    log.warning("accept failed: %s", failure)
                    self._make_room(len(self._pending) // 2)
                    selector.unregister(self._listener)
                    selector.select(0.1)
                    selector.register(self._listener, selectors.EVENT_READ)
                    continue
                self._take(sock, (str(address[0]), int(address[1])))

    def _take(self, sock: socket.socket, address: tuple[str, int]) -> None:
        channel = Channel(sock)
        self._make_room(self._max_pending - 1)
        thread = threading.Thread(
            target=self._connection, args=(channel, address), name="dicom", daemon=True
        )
        with self._lock:
            self._pending[channel] = address[0]
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as failure:
            log.warning("no thread for a connection: %s", failure)
            with self._lock:
                self._pending.pop(channel)
                self._threads.discard(thread)
            channel.close()

    def _make_room(self, allowed: int) -> None:
        """Let the oldest connection of the busiest address go until `allowed` are left."""
        with self._lock:
            waiting = {c: a for c, a in self._pending.items() if c not in self._gave_way}
            while len(waiting) > allowed:
                oldest = crowd.gives_way(waiting)
                del waiting[oldest]
                self._gave_way.add(oldest)
                oldest.cut()

    def _connection(self, channel: Channel, address: tuple[str, int]) -> None:
        """Body of a connection's thread: nothing that happens here leaves it."""
        try:
            association = self._negotiate(channel, address)
            if association is not None:
                self._serve(association, channel, address[0])
        except Exception as failure:
            _log_defect("connection", address[0], failure)
            channel.close()
        finally:
            with self._lock:
                self._pending.pop(channel, None)
                self._serving.pop(channel, None)
                self._seats.pop(channel, None)
                self._gave_way.discard(channel)
                self._threads.discard(threading.current_thread())

    def _serve(self, association: Association, channel: Channel, address: str) -> None:
        goodbye: bytes | None = None
        cause: str | None = None  # where the peer is to blame
        try:
            association.run()
        except ProtocolError as error:
            cause = f"規格に合いません / breaks the protocol: {error.facts.get('cause')}"
            goodbye = negotiation.encode_abort(2, error.facts.get("abort_reason", 0))
        except TooSlow:
            cause, goodbye = greeting.TOO_SLOW, negotiation.encode_abort(2, 0)
        except TimeoutError:
            cause, goodbye = greeting.TOO_SILENT, negotiation.encode_abort(2, 0)
        except AssociationAborted as error:
            log.info("association with %s: %s", address, error)
            goodbye = negotiation.encode_abort(0, 0)
        except OSError as failure:
            log.info("association with %s broke: %s", address, failure)
        except Exception as failure:
            _log_defect("association", address, failure)
            goodbye = negotiation.encode_abort(0, 0)
        finally:
            with self._lock:
                self._serving.pop(channel, None)
                self._seats.pop(channel, None)
            if cause is not None:
                log.warning("association with %s: %s", address, cause)
                self._refused(address, cause, channel.certificate)
            if goodbye is not None:
                with contextlib.suppress(OSError):
                    channel.send(goodbye, patience=1.0)
            channel.close(linger=True)

    def _negotiate(self, channel: Channel, address: tuple[str, int]) -> Association | None:
        """Bring a connection as far as A-ASSOCIATE-AC, or refuse it, once."""
        try:
            terms, acceptance = admission.negotiate(
                channel, address, self._rules, partial(self._seat, channel)
            )
            association = Association(
                channel,
                terms,
                self._sink,
                self._idle_timeout,
                self._rules.services,
                refused=self._refused,
            )
            with self._lock:
                self._pending.pop(channel, None)
                self._serving[channel] = association
            channel.send(acceptance, patience=self._rules.request_timeout)
            return association
        except admission.Refusal as refusal:
            cause, last_words = refusal.cause, refusal.last_words
        except (OSError, TimeoutError) as failure:
            cause, last_words = greeting.handshake_cause(failure), b""
        if channel in self._gave_way:
            cause = greeting.GAVE_WAY
        with contextlib.suppress(OSError):
            channel.send(last_words, patience=1.0)
        if cause is not None and not self._stopping.is_set():
            self._refused(address[0], cause, channel.certificate)
        # who said nothing gets no answer that could be lost: its thread goes at once
        channel.close(linger=cause not in (greeting.SILENT, greeting.CLOSED, greeting.GAVE_WAY))
        return None

    def _seat(self, channel: Channel, peer: Peer) -> str | None:
        """Take a seat for an association; return the cause where there is none."""
        who = peer.certificate or f"{peer.address} {peer.calling_aet}"
        with self._lock:
            if len(self._seats) >= self._max_associations or self._stopping.is_set():
                return greeting.FULL
            if sum(one == who for one in self._seats.values()) >= self._max_per_partner:
                return greeting.PARTNER_FULL
            self._seats[channel] = who
        return None


def _log_defect(what: str, address: str, failure: Exception) -> None:
    """Log where a defect is; its message is left out, it could quote a patient's data."""
    place = logs.place(failure.__traceback__)
    log.error("%s with %s failed: %s, %s", what, address, type(failure).__name__, place)
