"""The link's door for news: states of studies and words, both ways (UX-01)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from common import link
from common.errors import ProtocolError
from receiver import queries
from receiver.doors.answers import words_of
from receiver.index import Index
from receiver.tidings import Tidings

_KNOWN = {"1": True, "0": False}


def routes(
    answer: Callable[[Any], Any], index: Index, tidings: Tidings, telephone: str
) -> list[Route]:
    """Return the routes; `answer` wraps a handler as the link's door does.

    Parameters
    ----------
    telephone : str
        Of the reading room, told with every answer: it is called where nobody listens.
    """
    door = _Door(index, tidings, telephone)
    return [
        Route(link.ROOT + "/news", answer(door.news)),
        Route(link.ROOT + "/messages", answer(door.message), methods=["POST"]),
    ]


class _Door:
    def __init__(self, index: Index, tidings: Tidings, telephone: str) -> None:
        self.index = index
        self.tidings = tidings
        self.telephone = telephone

    def news(
        self, request: Request, partner: Any, _body: bytearray
    ) -> Coroutine[Any, Any, Response]:
        """Say what is new for an institution, waiting a while until there is something."""
        said = request.query_params.get("since", "0")
        if not said.isascii() or not said.isdigit() or len(said) > 18:
            raise ProtocolError(cause="since")
        asked_for = request.query_params
        knows = {"listening": _KNOWN.get(asked_for.get("listening", ""))}
        if "audible" in asked_for:  # an older sender is not to be woken by what it cannot keep
            knows["audible"] = _KNOWN.get(asked_for["audible"])
        wait = asked_for.get("wait") != "0"

        async def told() -> Response:
            asked = partner.code, int(said)
            if wait:
                found = await self.tidings.wait(*asked, knows)
            else:
                found = await asyncio.to_thread(self.tidings.now, *asked)
            return words_of(found | {"telephone": self.telephone})

        return told()

    def message(self, _request: Request, partner: Any, body: bytearray) -> Response:
        """Take words from a sender; idempotent."""
        try:
            said = json.loads(body)
        except (ValueError, RecursionError) as failure:
            raise ProtocolError(cause="message") from failure
        with self.index.write() as db:
            queries.take(db, partner.code, said)
        return Response(status_code=204)
