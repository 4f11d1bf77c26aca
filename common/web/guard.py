"""Nothing below the guarded paths without a session; no write that the page did not send.

A write needs a header that a form of another site cannot set (``X-Todoke: 1``:
it would ask us first, and we never allow it), and whatever the browser says of
the request's origin must be our own (Fetch Metadata, RFC 6454).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from common.errors import NotPermitted, NotSignedIn, RequestForbidden, TodokeError
from common.refusals import Refused
from common.web.accounts import Accounts, Standing, User

WRITE_HEADER = "x-todoke"
#: Whom a page takes itself to be of, percent-encoded.  A browser has one session for all its
#: windows: a page that was left open asks nothing, and writes nothing, in the name of who
#: signed in after its reader.
AS_HEADER = "x-todoke-as"
_READS = {"GET", "HEAD"}


def cookie_name(*, https: bool) -> str:
    """Return the session cookie's name; ``__Host-`` binds it to this host and https."""
    return "__Host-todoke_session" if https else "todoke_session"


def session_number(headers: Headers, *, https: bool) -> str | None:
    """Return the session's number of a request, None without."""
    return _cookie(headers.get("cookie", ""), cookie_name(https=https))


@lru_cache(256)  # a page asks for thousands of tiles with one header
def _cookie(header: str, name: str) -> str | None:
    try:
        cookies = SimpleCookie(header)
    except CookieError:
        return None
    morsel = cookies.get(name)
    return morsel.value if morsel else None


def signed_in(scope: Scope) -> User:
    """Return who makes this request.

    Raises
    ------
    NotSignedIn
        The path is not guarded, and nobody was asked.
    """
    user = scope.get("todoke_user")
    if not isinstance(user, User):
        raise NotSignedIn
    return user


def allow(request: Request, *roles: str) -> User:
    """Return who makes this request, if the role is one of those named.

    Raises
    ------
    NotSignedIn
    NotPermitted
    """
    user = signed_in(request.scope)
    if user.role not in roles:
        raise NotPermitted(cause=user.role)
    return user


def _anybody(standing: Standing, _path: str) -> None:
    standing.whole()


class Guard:
    """ASGI middleware before every route.

    Parameters
    ----------
    guarded : collection of str
        Paths, each with everything below it, that need a session.
    open_paths : collection of str
        Exceptions among them.
    passive : collection of str
        Ends of paths that a page asks for by itself: they keep no session alive.
    permitted : callable
        Raises for a session that may not ask for a path; by default one that is not whole.
    refused : callable
        Told of each request that is refused: address, cause, certificate.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        accounts: Accounts,
        https: bool,
        guarded: Collection[str],
        open_paths: Collection[str] = (),
        passive: Collection[str] = (),
        permitted: Callable[[Standing, str], None] = _anybody,
        refused: Refused = lambda *_: None,
    ) -> None:
        self.app = app
        self.accounts = accounts
        self.https = https
        self.guarded = tuple(guarded)
        self.open_paths = frozenset(open_paths)
        self.passive = tuple(passive)
        self.permitted = permitted
        self.refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with 401 or 403, or pass on with the user in the scope."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        try:
            if scope["type"] != "http":
                raise RequestForbidden(cause=scope["type"])
            headers = Headers(scope=scope)
            if scope["method"] not in _READS:
                self._check_write(scope, headers)
            if self._needs_session(scope["path"]):
                _check_site(headers)
                scope["todoke_user"] = await self._user(scope["path"], headers)
        except TodokeError as error:
            client = scope.get("client") or ("?", 0)
            cause = f"{error.number} {error.facts.get('cause', '')}".rstrip()
            await asyncio.to_thread(self.refused, client[0], cause, None)
            answer = JSONResponse({"error": error.for_peer().as_json()}, error.http_status)
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _needs_session(self, path: str) -> bool:
        if path in self.open_paths:
            return False
        return any(path == root or path.startswith(root + "/") for root in self.guarded)

    async def _user(self, path: str, headers: Headers) -> User:
        number = session_number(headers, https=self.https)
        if number is None:
            raise NotSignedIn
        standing = self.accounts.sessions.standing(number)
        meant = headers.get(AS_HEADER)
        if meant is not None and unquote(meant) != standing.user.name:
            raise NotSignedIn
        self.permitted(standing, path)
        whole = standing.stage == "full"
        if whole and standing.stale and not path.endswith(self.passive):
            await asyncio.to_thread(self.accounts.touch, number)
        return standing.user

    def _check_write(self, scope: Scope, headers: Headers) -> None:
        if headers.get(WRITE_HEADER) != "1":
            raise RequestForbidden(cause="X-Todoke")
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            raise RequestForbidden(cause="Sec-Fetch-Site")
        origin = headers.get("origin")
        if origin is not None:
            scheme = "https" if self.https else "http"
            if origin.lower() != f"{scheme}://{headers.get('host', '')}".lower():
                raise RequestForbidden(cause="Origin")


def _check_site(headers: Headers) -> None:
    """Give nothing guarded to a page of another site; ``none`` is an address typed in."""
    if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        raise RequestForbidden(cause="Sec-Fetch-Site")
