"""Passwords: the rule, their hashes, and who has guessed too often (AUT-03, AUT-08)."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from common.errors import PasswordTooWeak

MIN_PASSWORD = 13
MIN_WITH_FACTOR = 8  # where nobody signs in without a second factor
MAX_PASSWORD = 256


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


class Hashes:
    """Argon2id (RFC 9106), never more than two at a time."""

    def __init__(self) -> None:
        # 19 MiB, two passes: OWASP's figure for a server that signs many in; RFC 9106 section 4
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
        self._turns = threading.BoundedSemaphore(2)  # hashes take memory and a processor each
        self.nobody = self._hasher.hash(secrets.token_hex(16))

    def make(self, password: str) -> str:
        """Return the PHC string of a password."""
        with self._turns:
            return self._hasher.hash(password)

    def matches(self, hashed: str, password: str) -> bool:
        """Whether a password is the one of a hash."""
        if len(password) > MAX_PASSWORD:
            password = ""
        with self._turns:
            try:
                return self._hasher.verify(hashed, password)
            except (Argon2Error, InvalidHashError):
                return False


def check_password(password: str, name: str = "", least: int = MIN_PASSWORD) -> None:
    """Refuse a password against the rule: letters, digits and signs, long enough (AUT-03).

    Parameters
    ----------
    least : int
        Characters: 13, or 8 where a second factor is always asked for.

    Raises
    ------
    PasswordTooWeak
    """
    if not least <= len(password) <= MAX_PASSWORD:
        raise PasswordTooWeak(cause=f"{len(password)}文字 / characters", least=least)
    kinds = {
        "digit" if sign.isdigit() else "letter" if sign.isalpha() else "sign" for sign in password
    }
    if len(kinds) < 3:
        raise PasswordTooWeak(cause="英字・数字・記号 / letters, digits, signs", least=least)
    if name and name in password.casefold():
        raise PasswordTooWeak(cause="名前を含む / it has the name in it", least=least)
    if len(set(password)) < 5:
        raise PasswordTooWeak(cause="くり返し / repetition", least=least)
