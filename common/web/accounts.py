"""People who sign in, and their sessions.

Passwords are kept as Argon2id hashes (RFC 9106), sessions as the SHA-256 of an
opaque number of 256 bits: who reads the database can become nobody.  A session
ends after 15 minutes without a request of its user and 12 hours in any case.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
import unicodedata
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from common.errors import NotFound, NotSignedIn, PasswordTooWeak, SignInFailed, UsageError

IDLE_SECONDS = 15 * 60
ABSOLUTE_SECONDS = 12 * 60 * 60
TOUCH_SECONDS = 20  # a session's last use is written at most so often
MIN_PASSWORD = 13
MAX_PASSWORD = 256
MAX_NAME = 64
KEPT_SESSIONS = 1000  # in memory, each as long as nothing is written

metadata = MetaData()
users = Table(
    "users",
    metadata,
    Column("name", String(MAX_NAME), primary_key=True),  # as typed at sign-in, case folded
    Column("display", Text, nullable=False),
    Column("password", Text, nullable=False),  # Argon2id, PHC string
    Column("disabled", Boolean, nullable=False),
    Column("made_at", Float, nullable=False),  # seconds since 1970
)
sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the session's number
    Column("user", String(MAX_NAME), ForeignKey("users.name"), nullable=False),
    Column("made_at", Float, nullable=False),
    Column("used_at", Float, nullable=False),
)


class Database(Protocol):
    """Short transactions, as the rooms' indexes give them."""

    def read(self) -> AbstractContextManager[Connection]:
        """One consistent view."""

    def write(self) -> AbstractContextManager[Connection]:
        """One transaction that writes."""


@dataclass(frozen=True, slots=True)
class User:
    """Who is signed in."""

    name: str
    display: str

    def as_json(self) -> dict[str, str]:
        """Return the fields as the web API names them."""
        return {"name": self.name, "display": self.display}


class Failures:
    """Counts failed sign-ins per key and says when there were too many.

    Parameters
    ----------
    limit : int
        Failures after which a key is refused.
    seconds : float
        Time after which a failure is forgotten.
    """

    KEPT = 10_000  # keys; the oldest are forgotten first

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float]) -> None:
        self.limit = limit
        self.seconds = seconds
        self.clock = clock
        self._times: OrderedDict[str, list[float]] = OrderedDict()
        self._lock = threading.Lock()

    def blocked(self, key: str) -> bool:
        """Whether the key has failed too often of late."""
        with self._lock:
            return len(self._recent(key)) >= self.limit

    def add(self, key: str) -> None:
        """Note a failure."""
        with self._lock:
            self._times[key] = [*self._recent(key), self.clock()][-self.limit :]
            self._times.move_to_end(key)
            while len(self._times) > self.KEPT:
                self._times.popitem(last=False)

    def forget(self, key: str) -> None:
        """A success: begin again."""
        with self._lock:
            self._times.pop(key, None)

    def _recent(self, key: str) -> list[float]:
        since = self.clock() - self.seconds
        return [at for at in self._times.get(key, []) if at > since]


class Accounts:
    """Accounts and sessions in one database.

    Parameters
    ----------
    database : Database
        Its tables ``users`` and ``sessions`` are made if they are not there.
    clock : callable
        Seconds since 1970; tests hand in their own.
    version : callable
        Gives a number that every commit to the database changes, or None for "unknown":
        a session is looked up once for each.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float] = time.time,
        version: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.database = database
        self.clock = clock
        self._version = version
        self._kept: OrderedDict[str, tuple[int, Any]] = OrderedDict()
        # 19 MiB, two passes: OWASP's figure for a server that signs many in; RFC 9106 section 4
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
        self._nobody = self._hasher.hash(secrets.token_hex(16))
        self._hashing = threading.BoundedSemaphore(2)  # hashes take memory and a processor each
        self._by_name = Failures(5, 300, clock)
        self._by_address = Failures(30, 300, clock)
        with database.write() as db:
            metadata.create_all(db)

    def add(self, name: str, password: str, display: str = "") -> User:
        """Make an account.

        Raises
        ------
        UsageError
            The name is taken or no name.
        PasswordTooWeak
        """
        name = _folded(name)
        if not re.fullmatch(r"[^\W_][\w.@-]*", name) or len(name) > MAX_NAME:
            raise UsageError(cause=f"名前 / name: {name!r}")
        check_password(password, name)
        hashed = self._hasher.hash(password)
        with self.database.write() as db:
            if _user(db, name) is not None:
                raise UsageError(cause=f"{name} は使われています / is taken")
            db.execute(
                insert(users).values(
                    name=name,
                    display=display or name,
                    password=hashed,
                    disabled=False,
                    made_at=self.clock(),
                )
            )
        return User(name, display or name)

    def names(self) -> list[dict[str, Any]]:
        """Return every account, without its secrets."""
        with self.database.read() as db:
            rows = db.execute(select(users).order_by(users.c.name))
            return [
                {"name": row.name, "display": row.display, "disabled": row.disabled} for row in rows
            ]

    def disable(self, name: str) -> None:
        """Let an account sign in no more, and end its sessions.

        Raises
        ------
        NotFound
        """
        self._change(name, disabled=True)

    def set_password(self, name: str, password: str) -> None:
        """Give an account another password, and end its sessions.

        Raises
        ------
        NotFound
        PasswordTooWeak
            Against the rule, or the password of now again.
        """
        check_password(password, _folded(name))
        with self.database.read() as db:
            row = _user(db, _folded(name))
        if row is not None and self._matches(row.password, password):
            raise PasswordTooWeak(cause="前と同じ / the same as before")
        self._change(name, password=self._hasher.hash(password), disabled=False)

    def _change(self, name: str, **values: Any) -> None:
        name = _folded(name)
        with self.database.write() as db:
            if _user(db, name) is None:
                raise NotFound(thing=name)
            db.execute(update(users).where(users.c.name == name).values(**values))
            db.execute(delete(sessions).where(sessions.c.user == name))

    def sign_in(self, name: str, password: str, address: str = "") -> tuple[User, str]:
        """Check a password and begin a session.

        Parameters
        ----------
        address : str
            Where the request came from; failures are counted per name and per address.

        Returns
        -------
        (User, str)
            The session's number, for the cookie alone.

        Raises
        ------
        SignInFailed
            Always the same, whatever was wrong, and as late for a name that does
            not exist as for one that does.
        """
        name = _folded(name)[:MAX_NAME]
        tried = f"{name}\0{address}"
        if self._by_name.blocked(tried) or self._by_address.blocked(address):
            raise SignInFailed
        with self.database.read() as db:
            row = _user(db, name)
        known = row is not None and not row.disabled
        right = self._matches(row.password if row else self._nobody, password)
        if row is None or not known or not right:
            self._by_name.add(tried)
            self._by_address.add(address)
            raise SignInFailed
        self._by_name.forget(tried)
        number = secrets.token_urlsafe(32)
        now = self.clock()
        with self.database.write() as db:
            db.execute(delete(sessions).where(sessions.c.made_at < now - ABSOLUTE_SECONDS))
            db.execute(
                insert(sessions).values(digest=_digest(number), user=name, made_at=now, used_at=now)
            )
        return User(row.name, row.display), number

    def sign_out(self, number: str) -> None:
        """End a session; one that is not there is no error."""
        with self.database.write() as db:
            db.execute(delete(sessions).where(sessions.c.digest == _digest(number)))

    def session(self, number: str) -> tuple[User, bool]:
        """Return whose session this is, and whether its use should be noted.

        Raises
        ------
        NotSignedIn
            No session, an ended one, or one of a disabled account.
        """
        now = self.clock()
        row = self._session_row(_digest(number))
        # a use in the future is one before the clock was set back
        if row is None or abs(now - row.used_at) > IDLE_SECONDS:
            raise NotSignedIn
        if now - row.made_at > ABSOLUTE_SECONDS:
            raise NotSignedIn
        return User(row.name, row.display), now - row.used_at > TOUCH_SECONDS

    def _session_row(self, digest: str) -> Any:
        """Return the row of a session and its user, from memory while nothing was written."""
        version = self._version()  # before the rows are read, or an old row would be kept as new
        kept = self._kept.get(digest)
        if kept is not None and version is not None and kept[0] == version:
            return kept[1]
        with self.database.read() as db:
            row = db.execute(
                select(users.c.name, users.c.display, sessions.c.made_at, sessions.c.used_at)
                .join(users, users.c.name == sessions.c.user)
                .where(sessions.c.digest == digest, users.c.disabled.is_(False))
            ).one_or_none()
        self._kept.pop(digest, None)
        if row is not None and version is not None:
            self._kept[digest] = (version, row)
            while len(self._kept) > KEPT_SESSIONS:
                self._kept.popitem(last=False)
        return row

    def touch(self, number: str) -> None:
        """Note that a session was used just now."""
        with self.database.write() as db:
            db.execute(
                update(sessions)
                .where(sessions.c.digest == _digest(number))
                .values(used_at=self.clock())
            )

    def _matches(self, hashed: str, password: str) -> bool:
        if len(password) > MAX_PASSWORD:
            password = ""
        with self._hashing:
            try:
                return self._hasher.verify(hashed, password)
            except (Argon2Error, InvalidHashError):
                return False


def check_password(password: str, name: str = "") -> None:
    """Refuse a password against the rule: 13 characters, letters, digits and signs (AUT-03).

    Raises
    ------
    PasswordTooWeak
    """
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise PasswordTooWeak(cause=f"{len(password)}文字 / characters")
    kinds = {
        "digit" if sign.isdigit() else "letter" if sign.isalpha() else "sign" for sign in password
    }
    if len(kinds) < 3:
        raise PasswordTooWeak(cause="英字・数字・記号 / letters, digits, signs")
    if name and name in password.casefold():
        raise PasswordTooWeak(cause="名前を含む / it has the name in it")
    if len(set(password)) < 5:
        raise PasswordTooWeak(cause="くり返し / repetition")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


@lru_cache(256)  # a page asks for thousands of tiles with one number
def _digest(number: str) -> str:
    return hashlib.sha256(number.encode()).hexdigest()


def _user(db: Connection, name: str) -> Any:
    return db.execute(select(users).where(users.c.name == name)).one_or_none()
