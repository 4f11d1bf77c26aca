"""Signing in, and opening the lock, through the hospital's own service: the routes.

The page asks for the way with a POST that no other site can make, and goes there; the
service sends the browser back with a GET.  That one is cross-site, so it carries none of
our strict cookies but the one that says which browser asked (``SameSite=Lax``, ten
minutes, good once).  Whatever goes wrong is one message on the page and one word in the
audit trail.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from common.errors import NotFound, NotSignedIn, SignInFailed, SignInServiceAway, TodokeError
from common.refusals import Refusals
from common.web import guard
from common.web.accounts import Accounts
from common.web.oidc import BEGUN_SECONDS, Relying, Somebody, Unproved
from receiver.account_door import AccountDoor, address_of
from receiver.replies import reply
from receiver.viewer_services import ViewerServices

BACK = "/api/sign-in/oidc/return"
#: What needs no session: they begin one.
OPEN = ("/api/sign-in/ways", "/api/sign-in/oidc", BACK)
FAILED, UNLOCKED, DONE = "/?sign-in=failed", "/?sign-in=unlocked", "/"


def routes(services: ViewerServices, accounts: Accounts, wrong: Refusals) -> list[BaseRoute]:
    """Return the routes; where no service is set, only what says so."""
    door = _Door(services, accounts, wrong)
    return [
        Route("/api/sign-in/ways", door.ways, methods=["GET"]),
        Route("/api/sign-in/oidc", door.begin, methods=["POST"]),
        Route(BACK, door.back, methods=["GET"]),
        Route("/api/session/unlock/oidc", door.begin_unlock, methods=["POST"]),
    ]


class _Door(AccountDoor):
    def __init__(self, services: ViewerServices, accounts: Accounts, wrong: Refusals) -> None:
        super().__init__(services, accounts, wrong)
        self._relying = Relying(services.sign_in, accounts.clock) if services.sign_in else None

    @property
    def relying(self) -> Relying:
        """The receiver as the service knows it.

        Raises
        ------
        NotFound
            No service is set.
        """
        if self._relying is None:
            raise NotFound(thing="OpenID Connect")
        return self._relying

    async def ways(self, request: Request) -> Response:
        """Say how one may sign in here besides name and password."""
        label = self.services.sign_in_label if self._relying is not None else None
        return reply(request, {"oidc": label})

    async def begin(self, request: Request) -> Response:
        """Return the service's address that the page goes to."""
        return await self._begin(request, None)

    async def begin_unlock(self, request: Request) -> Response:
        """Return the address at which the person of a locked session shows anew who she is."""
        user = guard.signed_in(request.scope)
        issuer = self.relying.service.issuer
        if not await asyncio.to_thread(self.vouched.is_linked, user.name, issuer):
            raise NotFound(thing="OpenID Connect")
        return await self._begin(request, self.session_number(request))

    async def _begin(self, request: Request, session: str | None) -> Response:
        scheme = "https" if self.services.https else "http"
        back = f"{scheme}://{request.headers.get('host', '').lower()}{BACK}"
        there, browser = await asyncio.to_thread(self.relying.begin, back, session)
        answer = JSONResponse({"address": there})
        answer.set_cookie(self._browser_cookie, browser, int(BEGUN_SECONDS), **self._as_set)
        return answer

    async def back(self, request: Request) -> Response:
        """Take who the service sends back."""
        answer = await asyncio.to_thread(self._taken, request)
        answer.delete_cookie(self._browser_cookie, **self._as_set)
        return answer

    def _taken(self, request: Request) -> Response:
        relying = self.relying
        said = dict(request.query_params)
        try:
            if len(said) != len(request.query_params.multi_items()):
                raise Unproved("twice")
            who = relying.finish(said, request.cookies.get(self._browser_cookie, ""))
            if who.session is not None:
                return self._unlocked(request, who, who.session)
            user, number, done = self.vouched.enter(who, address_of(request))
        except Unproved as wrong:
            return self._failed(request, SignInFailed(), str(wrong))
        except SignInServiceAway as away:
            return self._failed(request, SignInFailed(), f"{away.number} {away.facts['cause']}")
        except (SignInFailed, NotSignedIn) as error:  # a session that ended meanwhile
            return self._failed(request, error, "account")
        for what in done:
            facts = {"what": what, "of": user.name, "role": user.role, "by": "oidc"}
            self.note("account", request, user.name, **facts, outcome="ok")
        if (old := self.number(request)) is not None:
            self.sessions.end(old)
        if self.sessions.standing(number).stage == "full":
            self.note("sign-in", request, user.name, outcome="ok", factor="oidc")
        answer = RedirectResponse(DONE, 303)
        self._cookie(answer, number)
        return answer

    def _unlocked(self, request: Request, who: Somebody, number: str) -> Response:
        """Go on with a locked session, if it is this person's."""
        user = self.sessions.standing(number).user
        if self.vouched.account(who) != user.name:
            return self._failed(request, self.accounts.wrong_unlock(number), "another person")
        self.sessions.unlock(number)
        self.note("session-unlocked", request, user.name, outcome="ok", factor="oidc")
        return RedirectResponse(UNLOCKED, 303)

    def _failed(self, request: Request, error: TodokeError, why: str) -> Response:
        address, user = address_of(request), str(error.facts.get("user") or "")
        self.services.refused(address, f"{error.number} oidc {why}", None)
        self.wrong.note(address, f"{error.number} oidc {why}", user=user)
        return RedirectResponse(FAILED, 303)

    @property
    def _browser_cookie(self) -> str:
        return "__Host-todoke_oidc" if self.services.https else "todoke_oidc"

    @property
    def _as_set(self) -> dict[str, Any]:
        secure = self.services.https
        return {"path": "/", "secure": secure, "httponly": True, "samesite": "lax"}
