"""The link's door for records and anchors, and for what a sender takes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from common import link
from common.errors import NotFound, ProtocolError
from common.request import forbidden
from receiver import recalls
from receiver.doors.answers import words_of
from receiver.evidence import OutOfOrder

if TYPE_CHECKING:
    from receiver.evidence import Evidence

LONGEST = 100  # letters of a person's name


def routes(answer: Callable[[Any], Any], evidence: Evidence | None) -> list[Route]:
    """Return the routes; `answer` wraps a handler as the link's door does."""
    door = _Door(evidence)
    one = link.ROOT + "/transfers/{transfer}"
    return [
        Route(one + "/record", answer(door.record), methods=["POST"]),
        Route(one + "/recall", answer(door.recall), methods=["POST"]),
        Route(link.ROOT + "/anchors", answer(door.anchor), methods=["POST"]),
        Route(link.ROOT + "/records", answer(door.records)),
    ]


class _Door:
    def __init__(self, evidence: Evidence | None) -> None:
        self._evidence = evidence

    @property
    def evidence(self) -> Evidence:
        if self._evidence is None:
            raise NotFound(thing="records")
        return self._evidence

    def record(self, request: Request, partner: Any, body: bytearray) -> Response:
        """Compare a record with our own facts and countersign it; idempotent."""
        said = _object(body)
        statement, roles = said.get("record"), said.get("roles")
        if not isinstance(statement, str) or not isinstance(roles, list):
            raise ProtocolError(cause="record")
        if not all(isinstance(role, str) and len(role) <= LONGEST for role in roles):
            raise ProtocolError(cause="roles")
        transfer = request.path_params["transfer"]
        try:
            signed = self.evidence.take(partner, transfer, statement, roles)
        except OutOfOrder as order:
            return words_of({"next": order.number}, 409)
        return words_of({"countersignature": signed})

    def anchor(self, _request: Request, partner: Any, body: bytearray) -> Response:
        """Compare a day's anchor with our own records and countersign it; idempotent."""
        statement = _object(body).get("anchor")
        if not isinstance(statement, str):
            raise ProtocolError(cause="anchor")
        return words_of({"countersignature": self.evidence.take_anchor(partner, statement)})

    def recall(self, request: Request, partner: Any, body: bytearray) -> Response:
        """Hide a transfer that its sender takes back; idempotent."""
        said = _object(body)
        by, reason = said.get("by"), said.get("reason", "")
        if not isinstance(by, str) or not 0 < len(by) <= LONGEST:
            raise ProtocolError(cause="by")
        if not isinstance(reason, str) or len(reason) > recalls.LONGEST or forbidden(reason):
            raise ProtocolError(cause="reason")
        self.evidence.recall(partner, request.path_params["transfer"], by, reason)
        return Response(status_code=204)

    def records(self, _request: Request, partner: Any, _body: bytearray) -> Response:
        """Say how many records of this sender are here, and which is the last."""
        return words_of(self.evidence.standing(partner.code))


def _object(body: bytearray) -> dict[str, Any]:
    try:
        said = json.loads(bytes(body))
        body.clear()
    except (ValueError, RecursionError) as failure:
        raise ProtocolError(cause="JSON") from failure
    if not isinstance(said, dict):
        raise ProtocolError(cause="JSON")
    return said
