"""The link's door: ``/link/v1`` over HTTPS with client certificates.

Who is asking is known from the TLS connection alone; no header, token or address
stands in for it.  Handlers run in threads, because each waits for the disk.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from common import link, memory
from common.errors import (
    IntegrityError,
    NotFound,
    NotRepairable,
    PeerNotRegistered,
    ProtocolError,
    RevocationListUnusable,
    StorageError,
    TodokeError,
)
from common.link import Closing, Opening
from common.proof import jws
from common.refusals import Refused
from common.states import ABSENT, InstanceState
from common.web.peer import peer_certificate
from receiver import (
    index,
    partners,
    readings,
    repairs,
    requests,
    statements,
    transfers,
    waiting,
)
from receiver.attendance import Attendance
from receiver.doors import evidence as records
from receiver.doors import news, stops
from receiver.doors.answers import body_of, text, words_of
from receiver.evidence import Evidence
from receiver.frames import Frames, Level
from receiver.index import Index
from receiver.receipts import Receipts
from receiver.revocation import Lists
from receiver.tidings import Tidings
from receiver.waiting import Waiting

log = logging.getLogger("todoke.link")
Partner = Row[Any]
Opened = tuple[Row[Any], Opening]
Answer = Response | Future[str] | Coroutine[Any, Any, Response]
KEPT_SLOTS = 2_000  # of openings checked once and asked for with every batch; a slide has ten
LARGE = 1 << 18  # characters of an opening that leaves a mark in memory
PIECE = 1 << 16  # bytes of a receipt that are written at a time
LONG_POLL = 20.0  # seconds that a question for a receipt, or for wanted frames, may wait
LOOK_AGAIN = 1.0  # seconds between two looks at what another process may have noted


@dataclass(frozen=True, slots=True)
class LinkServices:
    """What the link's door needs of the receiver."""

    index: Index
    frames: Frames
    waiting: Waiting
    receipts: Receipts
    authority: str  # PEM of our CA
    institution: str  # our own code
    refused: Refused = lambda *_: None
    lists: Lists | None = None  # None: the index alone says who is revoked
    issue: Callable[[Partner, bytes, str], str] | None = None  # see :mod:`receiver.upkeep`
    note: Callable[..., None] = lambda *_, **__: None  # of the audit trail
    evidence: Evidence | None = None  # None: no records are kept here
    attendance: Attendance = field(default_factory=Attendance)
    telephone: str = ""  # of the reading room


def link_app(services: LinkServices) -> Starlette:
    """Return the ASGI application of the link."""
    door = _Door(services)
    tidings = Tidings(services.index, services.attendance)
    one = link.ROOT + "/transfers/{transfer}"
    return Starlette(
        routes=[
            Route(link.ROOT + "/hello", door.answer(door.hello)),
            Route(link.ROOT + "/certificate", door.answer(door.certificate), methods=["POST"]),
            Route(link.ROOT + "/transfers", door.answer(door.open), methods=["POST"]),
            Route(one, door.answer(door.state)),
            Route(one + "/missing", door.answer(door.missing)),
            Route(one + "/lengths/{place:int}", door.answer(door.lengths), methods=["PUT"]),
            Route(one + "/frames", door.answer(door.frames), methods=["POST"]),
            Route(one + "/wanted", door.answer(door.wanted_frames)),
            Route(one + "/complete", door.answer(door.complete), methods=["POST"]),
            Route(one + "/receipt", door.answer(door.receipt)),
            Route(one + "/gone", door.answer(door.gone), methods=["POST"]),
            Route(link.ROOT + "/wanted", door.answer(door.wanted)),
            *stops.routes(door.answer, services.index, services.note),
            *records.routes(door.answer, services.evidence),
            *news.routes(door.answer, services.index, tidings, services.telephone),
        ],
        exception_handlers={HTTPException: _plain},
    )


async def _plain(_request: Request, failure: Exception) -> Response:
    return Response(status_code=getattr(failure, "status_code", 500))


def _of_peer(error: TodokeError) -> bool:
    return isinstance(error, PeerNotRegistered | RevocationListUnusable)


class _Door:
    def __init__(self, services: LinkServices) -> None:
        self.services = services
        self._openings: OrderedDict[str, Opening] = OrderedDict()
        self._lock = threading.Lock()

    def answer(
        self, handler: Callable[[Request, Partner, bytearray], Answer]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Wrap a handler: peer, body under a limit, errors in words."""

        async def endpoint(request: Request) -> Response:
            try:
                partner = await run_in_threadpool(self._peer, request)
                body = await body_of(request)
                begun = time.perf_counter()
                found = await run_in_threadpool(handler, request, partner, body)
                if isinstance(found, Future):
                    return await _receipt(found)
                if not isinstance(found, Response):
                    return await found
                # a sender must not take our disk for a line that is full
                took = 1000 * (time.perf_counter() - begun)
                found.headers["Server-Timing"] = f"work;dur={took:.1f}"
                return found
            except ClientDisconnect:
                return Response(status_code=499)  # nobody is there to read it
            except TodokeError as error:
                # neither path nor cause: both may repeat what the peer said
                named = type(error).__name__, error.number
                log.warning("%s %s: %s %s", request.method, handler.__name__, *named)
                if isinstance(error, StorageError) and not isinstance(error, IntegrityError):
                    log.error("%s", error)  # our own disk: where, which the answer does not say
                # the rest is our own trouble
                if error.http_status < 500 or isinstance(error, RevocationListUnusable):
                    await run_in_threadpool(self._refused, request, error)
                return words_of({"error": error.for_peer().as_json()}, error.http_status)

        return endpoint

    def _refused(self, request: Request, error: TodokeError) -> None:
        self.services.refused(
            request.client.host if request.client else "?",
            # a cause may repeat what the peer said, but for those of who it is
            f"{error.number} {error.facts.get('cause', '') if _of_peer(error) else ''}".rstrip(),
            peer_certificate(request.scope),
        )

    def _peer(self, request: Request) -> Partner:
        certificate = peer_certificate(request.scope)
        services = self.services
        found = partners.of_certificate(services.index, certificate, services.authority)
        if services.lists is not None:
            services.lists.check(found, certificate)
        return found

    def _transfer(self, request: Request, partner: Partner) -> Opened:
        with self.services.index.read() as db:
            return self._transfer_in(db, request, partner)

    def _transfer_in(self, db: Connection, request: Request, partner: Partner) -> Opened:
        row = transfers.owned(db, request.path_params["transfer"], partner.code)
        if (opening := self._openings.get(row.id)) is None:
            opening = _opening(statements.known(db, row.id, "opening"), partner)
            with self._lock:
                self._openings[row.id] = opening
                while sum(len(kept.instances) for kept in self._openings.values()) > KEPT_SLOTS:
                    self._openings.popitem(last=False)
        return row, opening

    def hello(self, _request: Request, partner: Partner, _body: bytearray) -> Response:
        """Say who we are and what time it is here."""
        words = {
            "version": link.VERSION,
            "institution": self.services.institution,
            "partner": partner.code,
            "time": index.now(),
        }
        return words_of(words)

    def certificate(self, request: Request, partner: Partner, body: bytearray) -> Response:
        """Issue the certificate that follows the one which asks for it."""
        if self.services.issue is None:
            raise NotFound(thing="certificate")
        shown = peer_certificate(request.scope) or b""
        return words_of({"certificate": self.services.issue(partner, shown, text(body))}, 201)

    def open(self, _request: Request, partner: Partner, body: bytearray) -> Response:
        """Open a transfer; idempotent."""
        statement = text(body)
        opening = _opening(statement, partner)
        if (opening.sender, opening.receiver) != (partner.code, self.services.institution):
            raise ProtocolError(cause="sender and receiver")
        self.services.frames.store.space.check()  # before the sender reads an image for nothing
        for slot in opening.instances[
            : transfers.HEADERS
        ]:  # not while others wait for the database
            if slot.header:
                transfers.header_models(slot.header_bytes())
        with self.services.index.write() as db:
            transfers.open_transfer(db, partner.code, opening, statement)
        with self._lock:
            self._openings.pop(opening.transfer, None)  # it may say more than the one before
        if len(statement) > LARGE:
            memory.trim()  # it took many times its own room; else this only takes time
        self.services.receipts.verifiers.prepare()  # while the images are on their way
        return words_of({"transfer": opening.transfer}, 201)

    def state(self, request: Request, partner: Partner, _body: bytearray) -> Response:
        """Say how far a transfer is."""
        with self.services.index.read() as db:
            row = transfers.owned(db, request.path_params["transfer"], partner.code)
            rows = transfers.slots_of(db, row.id)
        arrived = sum(r.state not in ABSENT for r in rows)
        words = {
            "transfer": row.id,
            "state": row.state,
            "instances": len(rows),
            "arrived": arrived,
            "repeats": row.repeats,
        }
        return words_of(words)

    def missing(self, request: Request, partner: Partner, _body: bytearray) -> Response:
        """Say what must still be sent: the only truth about it."""
        row, opening = self._transfer(request, partner)
        with self.services.index.read() as db:
            known = {r.sop_uid: r for r in transfers.slots_of(db, row.id)}
            words: dict[str, Any] = {"instances": [], "levels": {}}
            for place, slot in enumerate(opening.instances):
                here = known.get(slot.uid)
                if here is None or here.state in ABSENT:
                    words["instances"].append(place)
                if slot.frames and here is not None and here.state != InstanceState.VERIFIED:
                    held = transfers.held_frames(db, here.id)
                    words["levels"][str(place)] = link.pack_bits(held, slot.frames)
        return words_of(words)

    def lengths(self, request: Request, partner: Partner, body: bytearray) -> Response:
        """Take the frame lengths of one level and lay its file out."""
        row, opening = self._transfer(request, partner)
        if (place := request.path_params["place"]) >= len(opening.instances):
            raise NotFound(thing=f"level {place}")
        slot = opening.instances[place]
        with self.services.index.read() as db:
            here = transfers.instance(db, partner.code, slot.uid)
        if here is None or here.transfer != row.id or not slot.frames:
            raise NotFound(thing=f"level {place}")
        self.services.frames.lay_out(here, slot, body)
        return Response(status_code=204)

    def frames(self, request: Request, partner: Partner, body: bytearray) -> Response:
        """Take a batch of frames; answer with those that readers wait for."""
        batch = list(link.unpack_frames(body))
        with self.services.index.read() as db:
            row, opening = self._transfer_in(db, request, partner)
            study = transfers.study_key(db, partner.code, opening.study)
            levels = self._levels(db, row, opening, {frame.instance for frame in batch})
        repeats = self.services.frames.take(row.id, study, levels, batch)
        self.services.waiting.arrived(level.id for level in levels.values())
        asked = request.query_params.get("wanted") != "0"  # who listens has no use for it here
        wanted = self._wanted(self._places(row, opening)) if asked else []
        return words_of({"repeats": repeats, "wanted": wanted})

    def _levels(
        self, db: Connection, row: Row[Any], opening: Opening, places: set[int]
    ) -> dict[int, Level]:
        levels: dict[int, Level] = {}
        for place in places:
            if place >= len(opening.instances):
                raise ProtocolError(cause=f"level {place}")
            slot = opening.instances[place]
            here = transfers.standing(db, row.institution, slot.uid)
            if here is None or here.transfer != row.id or here.state == InstanceState.VERIFIED:
                raise ProtocolError(cause=f"level {place}")
            levels[place] = self.services.frames.level(db, here, slot)
        return levels

    def _places(self, row: Row[Any], opening: Opening) -> dict[int, int]:
        at = {slot.uid: place for place, slot in enumerate(opening.instances)}
        with self.services.index.read() as db:
            rows = transfers.slots_of(db, row.id)
        return {r.id: at[r.sop_uid] for r in rows if r.sop_uid in at}

    def _wanted(self, places: dict[int, int]) -> list[list[int]]:
        with self.services.index.read() as db:
            if not waiting.any_wanted(db):
                return []
        with self.services.index.write(hint=True) as db:
            return waiting.take(db, places)

    def wanted_frames(
        self, request: Request, partner: Partner, _body: bytearray
    ) -> Response | Coroutine[Any, Any, Response]:
        """Say which frames readers wait for, waiting a while until there are some."""
        row, opening = self._transfer(request, partner)
        return self._listen(row.id, self._places(row, opening))

    async def _listen(self, transfer: str, places: dict[int, int]) -> Response:
        """Answer as soon as a frame of a transfer is waited for; no thread waits for it."""
        end = time.monotonic() + LONG_POLL
        listener = self.services.waiting.listen(transfer)
        try:
            while not (wanted := await run_in_threadpool(self._wanted, places)):
                left = end - time.monotonic()
                if listener.closed or left <= 0:
                    break
                await listener.wait(min(LOOK_AGAIN, left))
        finally:
            self.services.waiting.leave(listener)
        return words_of({"wanted": wanted})

    def complete(
        self, request: Request, partner: Partner, body: bytearray
    ) -> Response | Future[str]:
        """Close a transfer: 409 with what is missing, else verify and countersign."""
        row, opening = self._transfer(request, partner)
        statement = text(body)
        closing = _closing(statement, partner)
        if closing.transfer != row.id:
            raise ProtocolError(cause="transfer")
        if {d.uid for d in closing.instances} != {slot.uid for slot in opening.instances}:
            raise ProtocolError(cause="other instances than were opened")
        missing = self._incomplete(row, opening)
        if missing:
            return words_of({"missing": missing}, 409)
        self.services.waiting.close(row.id)
        self.services.frames.store.space.check(ending=True)
        del opening  # it may be large, and what begins now reads as many rows
        return self.services.receipts.begin(row.id, closing, statement)

    def _incomplete(self, row: Row[Any], opening: Opening) -> list[str]:
        with self.services.index.read() as db:
            known = {r.sop_uid: r for r in transfers.slots_of(db, row.id)}
            return requests.lacking(db, row.institution, opening) + [
                slot.uid
                for slot in opening.instances
                if (here := known.get(slot.uid)) is None
                or here.state in ABSENT
                or (slot.frames and transfers.count_frames(db, here.id) < slot.frames)
            ]

    def wanted(self, request: Request, partner: Partner, _body: bytearray) -> Response:
        """Say which instances are asked for again, damaged here, and what readers did since."""
        since = request.query_params.get("since", "")
        with self.services.index.read() as db:
            done = readings.since(db, partner.code, since)
            return words_of({"wanted": repairs.wanted(db, partner.code), **done})

    def gone(self, request: Request, partner: Partner, body: bytearray) -> Response:
        """Take it that wanted instances no longer are at their source as they were."""
        uids = link.read_uids(text(body))
        with self.services.index.write() as db:
            row = transfers.owned(db, request.path_params["transfer"], partner.code)
            count = repairs.refuse(db, row.id, NotRepairable(cause="source gone"), uids)
        if count:
            self.services.note("not-repairable", institution=partner.code, count=count)
        return Response(status_code=204)

    def receipt(
        self, request: Request, partner: Partner, _body: bytearray
    ) -> Response | Future[str]:
        """Give the receipt, waiting a while for a verification that is under way.

        What a verification found damaged is missing again: 409 says so.
        """
        with self.services.index.read() as db:
            row = transfers.owned(db, request.path_params["transfer"], partner.code)
            receipt = statements.read(db, row.id, "receipt")
        if receipt is not None:
            return _countersigned(receipt)
        if (running := self.services.receipts.running(row.id)) is not None:
            return running
        row, opening = self._transfer(request, partner)
        with self.services.index.read() as db:
            statement = statements.known(db, row.id, "closing")
        missing = self._incomplete(row, opening)
        if missing:
            return words_of({"missing": missing}, 409)
        closing = _closing(statement, partner)
        return self.services.receipts.begin(row.id, closing, statement)


async def _receipt(verifying: Future[str]) -> Response:
    """Answer with what comes of a verification; no thread waits for it."""
    waited = asyncio.wrap_future(verifying)
    done, _ = await asyncio.wait({waited}, timeout=LONG_POLL)
    if not done:
        waited.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        return words_of({"receipt": None}, 202)
    try:
        return _countersigned(waited.result())
    except IntegrityError as error:
        unequal = error.facts.get("unequal", [])
        return words_of({"unequal": unequal, "error": error.for_peer().as_json()}, 422)


def _countersigned(receipt: str) -> Response:
    """Answer with a receipt, megabytes of letters that JSON has as they are, piece by piece."""
    before, after = b'{"receipt":"', b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        yield before
        for start in range(0, len(receipt), PIECE):
            yield receipt[start : start + PIECE].encode("ascii")
        yield after

    length = {"Content-Length": str(len(before) + len(receipt) + len(after))}
    return StreamingResponse(pieces(), headers=length, media_type="application/json")


def _opening(statement: str, partner: Partner) -> Opening:
    return link.read_opening(jws.verify(statement, partner.signing_certificate, link.slots()))


def _closing(statement: str, partner: Partner) -> Closing:
    return link.read_closing(jws.verify(statement, partner.signing_certificate, link.digests()))
