"""How the viewer's door answers: JSON, compressed where it pays, and errors in both languages."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from common.errors import NotFound, StorageError, UsageError
from receiver.attributes import encoded

log = logging.getLogger("todoke.web")
COMPRESS_FROM = 1024  # bytes
BODY_LIMIT = 4096  # bytes of a request's JSON


def reply(
    request: Request,
    value: Any,
    *,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return JSON in UTF-8, gzipped where the client takes it.

    Parameters
    ----------
    value : Any
        What JSON holds, or its bytes.
    """
    body = value if isinstance(value, bytes) else encoded(value)
    sent = dict(headers or {}) | {"Vary": "Accept-Encoding"}
    if len(body) >= COMPRESS_FROM and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, 4, mtime=0)
        sent["Content-Encoding"] = "gzip"
    return Response(body, media_type=media_type, headers=sent)


async def body_of(request: Request, limit: int = BODY_LIMIT) -> dict[str, Any]:
    """Return the JSON object of a request.

    Parameters
    ----------
    limit : int
        Most bytes.

    Raises
    ------
    UsageError
        It is none, or too big.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > limit:
            raise UsageError(cause=f"> {limit} bytes")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as failure:
        raise UsageError(cause="JSON") from failure
    if not isinstance(value, dict):
        raise UsageError(cause="JSON")
    return value


async def failed(_request: Request, error: Any) -> Response:
    """Answer an error of our own tree."""
    if isinstance(error, StorageError):
        log.error("%s", error)  # where, which the answer does not say
    return JSONResponse({"error": error.for_peer().as_json()}, error.http_status)


async def left(_request: Request, _error: Any) -> Response:
    """Answer somebody who went away in mid request: nobody reads it."""
    return Response(status_code=499)


async def not_served(request: Request, error: Any) -> Response:
    """Answer what Starlette refuses: no such route, another method."""
    named = NotFound(thing="URL") if error.status_code == 404 else UsageError(cause=request.method)
    return JSONResponse(
        {"error": named.for_peer().as_json()}, error.status_code, headers=error.headers
    )
