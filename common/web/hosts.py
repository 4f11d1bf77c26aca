"""A door answers to its own names alone.

A page of another site can let its own name lead to our address (DNS rebinding), and
a browser then takes our answers for that site's.  So a request whose Host (RFC 9110
section 7.2) is a name that is not ours is refused.  An address in numbers belongs to
no site and is let through.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from common.errors import WrongHost

log = logging.getLogger("todoke.web")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/@\s]+)(:\d{1,5})?")


class KnownHosts:
    """ASGI middleware before everything else.

    Parameters
    ----------
    names : collection of str
        Ours, besides ``localhost`` and addresses in numbers.
    """

    def __init__(self, app: ASGIApp, *, names: Collection[str]) -> None:
        self.app = app
        self.names = {"localhost", *(name.casefold().rstrip(".") for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with 421, or pass on."""
        if scope["type"] != "http" or self._ours(Headers(scope=scope)):
            await self.app(scope, receive, send)
            return
        error = WrongHost()
        log.warning("%s refused: %s", scope["method"], error)
        answer = JSONResponse({"error": error.for_peer().as_json()}, error.http_status)
        await answer(scope, receive, send)

    def _ours(self, headers: Headers) -> bool:
        said = headers.getlist("host")
        found = _HOST.fullmatch(said[0]) if len(said) == 1 else None
        if found is None:
            return False
        name = found[1].strip("[]")
        if name in self.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.casefold().rstrip(".") in self.names
        return True


def host_of(origin: str) -> str:
    """Return the host name of an origin such as ``https://viewer.example:8080``."""
    return origin.partition("://")[2].rpartition(":")[0] or origin.partition("://")[2]
