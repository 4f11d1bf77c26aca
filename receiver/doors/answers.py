"""What the handlers of the link have in common: bodies under a limit, answers in JSON."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from common import link
from common.errors import ProtocolError


async def body_of(request: Request) -> bytearray:
    """Read a request's body under its limit.

    Raises
    ------
    ProtocolError
        It is larger; the rest is not read.
    """
    limit = link.BATCH_LIMIT if request.url.path.endswith("/frames") else link.WORDS_LIMIT
    body = bytearray()
    async for part in request.stream():
        if len(body) + len(part) > limit:
            raise ProtocolError(cause=f"more than {limit} bytes")
        body += part
    return body


def text(body: bytearray) -> str:
    """Return a body as text, and empty it: a request holds it to its end."""
    try:
        read = body.decode("ascii")
        body.clear()
        return read
    except UnicodeDecodeError as failure:
        raise ProtocolError(cause="JWS") from failure


def words_of(words: Any, status: int = 200) -> Response:
    """Return an answer in JSON."""
    return Response(link.dumps(words), status, media_type="application/json")
