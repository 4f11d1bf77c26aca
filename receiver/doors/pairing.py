"""The pairing port: TLS without a client certificate, for the one minute before there is one.

``GET /pairing/v1/ca``      the CA certificate, PEM; the joiner compares its fingerprint
``POST /pairing/v1/join``   invitation + CSR -> certificate; the invitation is used up

The body of ``join`` is ``{"invitation": {...}, "signing_certificate": PEM,
"statement": JWS}``; the statement, signed by the joiner's signing key, holds the
CSR and the invitation's id, so nobody can have another's signing certificate
pinned.  Of the joiner's words only keys are believed: name and code are those
typed at ``invite``.
"""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from cryptography import x509
from sqlalchemy import Connection, select, update
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from common.errors import InvitationError, ProtocolError, TodokeError
from common.proof import certificates, jws
from common.proof.identity import Node, check_not_own
from common.proof.invitation import (
    ALTERED,
    EXPIRED,
    OTHER_INSTITUTION,
    UNKNOWN,
    USED,
    Invitation,
    expired,
)
from common.refusals import Refused
from common.settings import Receiver
from receiver import index, registry
from receiver.index import Index

VERSION = 1
MAX_BODY = 65_536
_invitations = index.invitations
log = logging.getLogger(__name__)


def application(
    node: Node,
    db_index: Index,
    settings: Receiver,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    refused: Refused = lambda *_: None,
) -> Starlette:
    """Return the application of the pairing port.

    Parameters
    ----------
    node : Node
        The receiver; its CA key is read for each certificate.
    db_index : Index
    settings : Receiver
        Ports and AE title that the joiner is told, with the real port numbers.
    clock : callable
        Moment that decides on expiry.
    refused : callable
        Told of each request that is refused: address, cause, certificate.
    """
    door = _Door(node, db_index, settings, clock)
    return Starlette(
        routes=[
            Route("/pairing/v1/ca", door.ca, methods=["GET"]),
            Route("/pairing/v1/join", door.join, methods=["POST"]),
        ],
        exception_handlers={TodokeError: partial(_refusal, refused)},
    )


async def _refusal(refused: Refused, request: Request, error: Exception) -> Response:
    if not isinstance(error, TodokeError):
        raise error
    address, cause = request.client.host if request.client else "?", error.facts.get("cause", "")
    log.warning("pairing refused: %s from %s", error.words("en"), address)
    await run_in_threadpool(refused, address, f"{error.number} {cause}".rstrip(), None)
    told = error.for_peer()
    words = told.as_json() | {"cause": str(told.facts.get("cause", ""))}
    return JSONResponse({"error": words}, error.http_status)


class _Door:
    def __init__(
        self, node: Node, db_index: Index, settings: Receiver, clock: Callable[[], datetime]
    ) -> None:
        self.node, self.index, self.settings, self.clock = node, db_index, settings, clock

    async def ca(self, _request: Request) -> Response:
        return PlainTextResponse(self.node.ca, media_type="application/x-pem-file")

    async def join(self, request: Request) -> Response:
        words = await _body(request)
        return JSONResponse(await run_in_threadpool(self.admit, words))

    def admit(self, words: dict[str, Any]) -> dict[str, Any]:
        """Check everything, then use the invitation and write the partner in one transaction."""
        offered = Invitation.from_json(words["invitation"])
        signing, said = _statement(words)
        if said.get("invitation") != offered.id:
            raise ProtocolError(cause="statement of another invitation")
        key = certificates.requested_key(str(said.get("csr")))
        with self.index.write() as db:
            row = self._check(db, offered)
            _check_code(signing, row.code)
            aet = registry.free_aet(db, row.code, str(said.get("aet", "")))
            leaf = self.node.authority.issue(key, row.name, institution=row.code)
            # every open invitation of this institution: a forgotten one would replace its keys
            open_ = (_invitations.c.code == row.code) & _invitations.c.used_at.is_(None)
            db.execute(update(_invitations).where(open_).values(used_at=index.now()))
            registry.put_row(
                db,
                code=row.code,
                name=row.name,
                kind="todoke",
                aet=aet,
                signing_certificate=certificates.to_pem(signing),
                added_at=index.now(),
            )
            # a machine that was replaced is let in no more
            registry.revoke_certificates(db, row.code, registry.SUPERSEDED)
            registry.put_certificate(db, row.code, leaf, ours=True)
        log.info("paired with institution %s", row.code)
        return self._answer(certificates.to_pem(leaf), aet)

    def _check(self, db: Connection, offered: Invitation) -> Any:
        """Return the row of a good invitation; the secret is compared before anything is told."""
        row = db.execute(select(_invitations).where(_invitations.c.id == offered.id)).first()
        if row is None:
            raise InvitationError(cause=UNKNOWN)
        if not hmac.compare_digest(row.secret_digest, offered.digest):
            raise InvitationError(cause=ALTERED)
        if row.used_at is not None:
            raise InvitationError(cause=f"{USED} ({row.used_at})")
        if expired(row.expires_at, self.clock()):
            raise InvitationError(cause=f"{EXPIRED} ({row.expires_at})")
        check_not_own(self.node.institution.code, row.code)
        return row

    def _answer(self, leaf: str, calling_aet: str) -> dict[str, Any]:
        own = self.node.institution
        return {
            "version": VERSION,
            "certificate": leaf,
            "signing_certificate": self.node.signing_certificate,
            "institution": {"name": own.name, "code": own.code},
            "dicom_port": self.settings.dicom_port,
            "link_port": self.settings.link_port,
            "aet": self.settings.aet,
            "calling_aet": calling_aet,
        }


async def _body(request: Request) -> dict[str, Any]:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise ProtocolError(cause=f"more than {MAX_BODY} bytes")
    try:
        words = json.loads(body)
    except (ValueError, RecursionError) as failure:
        raise ProtocolError(cause="JSON") from failure
    names = {"invitation", "signing_certificate", "statement"}
    if not isinstance(words, dict) or not names <= set(words):
        raise ProtocolError(cause=", ".join(sorted(names)))
    return words


def _statement(words: dict[str, Any]) -> tuple[x509.Certificate, dict[str, Any]]:
    """Return the joiner's signing certificate and what it signed, each proving the other."""
    pem = str(words["signing_certificate"])
    signing = certificates.check_self_issued(pem)
    return signing, jws.verify(str(words["statement"]), pem)


def _check_code(signing: x509.Certificate, code: str) -> None:
    """Refuse a signing certificate that names another institution than the invited one."""
    if certificates.institution_of(signing) != code:
        raise InvitationError(cause=f"{OTHER_INSTITUTION} ({code})")
