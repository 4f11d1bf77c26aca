"""The link's door for a sender that stops: a transfer that is held there, or has failed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from common import link
from common.errors import ProtocolError
from receiver import stops, transfers
from receiver.index import Index


def routes(answer: Callable[[Any], Any], index: Index, note: Callable[..., None]) -> list[Route]:
    """Return the routes; `answer` wraps a handler as the link's door does."""

    def stopped(request: Request, partner: Any, body: bytearray) -> Response:
        """Take it that a transfer was stopped at its sender; idempotent."""
        try:
            number = stops.read(json.loads(body))
        except (ValueError, RecursionError) as failure:
            raise ProtocolError(cause="stopped") from failure
        with index.write() as db:
            row = transfers.owned(db, request.path_params["transfer"], partner.code)
            taken = stops.take(db, row, number)
        if taken:
            note("stopped-by-sender", institution=partner.code, transfer=row.id, cause=number)
        return Response(status_code=204)

    where = link.ROOT + "/transfers/{transfer}/stopped"
    return [Route(where, answer(stopped), methods=["POST"])]
