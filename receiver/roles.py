"""Who may ask for what (AUT-04): one table, asked before any route.

A path that is in no row is for nobody, so that a new page is closed until somebody has
said whose it is.  The auditor sees no image and no list of patients; the administrator sees
neither, and there is no path that changes a log.
"""

from __future__ import annotations

from functools import lru_cache

from common.errors import NotPermitted
from common.web.sessions import Standing

READER, ADMINISTRATOR, AUDITOR = "reader", "administrator", "auditor"
EVERYBODY = frozenset((READER, ADMINISTRATOR, AUDITOR))
READERS = frozenset((READER,))
ADMINISTRATORS = frozenset((ADMINISTRATOR,))
AUDITORS = frozenset((AUDITOR,))

#: Path -> roles; ``/**`` is the path before it and everything below. The longest row decides.
TABLE: dict[str, frozenset[str]] = {
    "/api/session": EVERYBODY,
    "/api/session/lock": EVERYBODY,
    "/api/session/unlock/**": EVERYBODY,
    "/api/sign-out": EVERYBODY,
    "/api/sign-in/**": EVERYBODY,
    "/api/account/**": EVERYBODY,
    "/api/worklist": READERS,
    "/api/studies/**": READERS,
    "/api/forward-targets": READERS,
    "/api/monitor": READERS,
    "/api/events": READERS,
    "/api/listening": READERS,
    "/api/calls": READERS,
    "/dicomweb/**": READERS,
    "/api/people/**": ADMINISTRATORS,
    "/api/audit/**": AUDITORS,
}

#: What a session that is not whole may ask for: stage -> paths.
STAGES: dict[str, tuple[str, ...]] = {
    "second": ("/api/session", "/api/sign-in/**", "/api/sign-out"),
    "enrol": (
        *("/api/session", "/api/sign-out", "/api/account/totp/**"),
        *("/api/account/passkey/**", "/api/account/enrolled"),
    ),
    "locked": ("/api/session", "/api/session/unlock/**", "/api/sign-out"),
}
#: Paths that only an unfinished or locked session asks for.
_UNWHOLE = ("/api/sign-in/**", "/api/session/unlock/**", "/api/account/enrolled")


def covers(row: str, path: str) -> bool:
    """Whether a row of the table is about a path."""
    if not row.endswith("/**"):
        return path == row
    return path == row[:-3] or path.startswith(row[:-2])


@lru_cache(4096)  # pages ask for thousands of tiles below one row
def roles_of(path: str) -> frozenset[str]:
    """Return who may ask for a path; nobody if no row is about it."""
    rows = [row for row in TABLE if covers(row, path)]
    return TABLE[max(rows, key=len)] if rows else frozenset()


def check(standing: Standing, path: str) -> None:
    """Refuse what a session may not ask for.

    Raises
    ------
    SessionLocked, SecondStepNeeded
        The session is not whole, and this is no way to make it so.
    NotPermitted
        The path is not for this role, or for nobody.
    """
    if not any(covers(row, path) for row in STAGES.get(standing.stage, ())):
        standing.whole()
        if any(covers(row, path) for row in _UNWHOLE):
            raise NotPermitted(cause=standing.stage)
    if standing.user.role not in roles_of(path):
        raise NotPermitted(cause=standing.user.role)
