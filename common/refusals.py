"""Refusals at the doors, in the audit trail: every one counted, repeats in one line.

Wrong passwords are counted in the same way (event ``sign-in``, outcome ``refused``).

A flood of refusals must neither fill the disk nor make each of them wait for
it.  The first of its kind (address, cause, certificate) is written at once; what
repeats it within the interval is counted and written as one line when the
interval ends, or the door closes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from common import tls
from common.errors import StorageError
from common.logs import visible

log = logging.getLogger("todoke.refusals")
EVENT = "security-alert"
INTERVAL = 60.0  # seconds
KINDS = 200  # lines of one interval that are written at once; more are counted together
MANY = "*"  # stands for an address where there are more kinds than that
_LONGEST = 300  # characters of a cause or a name

_Key = tuple[str, str, str, str, str | None]  # address, cause, door, user, fingerprint

#: Address, cause in both languages, certificate (DER).
Refused = Callable[[str, str, bytes | None], None]


class Notes(Protocol):
    """What writes an event durably: :class:`common.audit.Trail`, or who passes it on."""

    @property
    def note(self) -> Callable[..., None]:
        """Write an event with its facts."""
        ...


@dataclass(slots=True)
class _Kind:
    """What is known of one kind of refusal in this interval."""

    facts: dict[str, Any]
    since: float
    repeats: int = field(default=0)


class Refusals:
    """Writes refusals into a trail; from any thread.

    Parameters
    ----------
    trail : Notes
        Stays its owner's to close, after :meth:`close`.
    event : str
        Under which refusals are written.
    interval : float
        Seconds for which repeats are counted.
    clock : callable
        Seconds that only go on.
    **facts
        Part of every line, for example the door.
    """

    def __init__(
        self,
        trail: Notes,
        *,
        event: str = EVENT,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.monotonic,
        **facts: Any,
    ) -> None:
        self._trail = trail
        self._event = event
        self._interval = interval
        self._clock = clock
        self._facts = facts
        self._kinds: dict[_Key, _Kind] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def at(self, door: str) -> Refused:
        """Return :meth:`note` for one door, with the words that doors use."""

        def noted(address: str, cause: str, certificate: bytes | None) -> None:
            self.note(address, cause, certificate, door=door)

        return noted

    def note(
        self,
        address: str,
        cause: str,
        certificate: bytes | None = None,
        *,
        door: str = "",
        user: str = "",
    ) -> None:
        """Write a refusal, or count it.

        Parameters
        ----------
        address : str
            Of the peer.
        cause : str
            Without patient data; control characters are made visible.
        certificate : bytes or None
            The peer's leaf, DER.
        door : str
            Where, if one trail has several.
        user : str
            Whose session it was; of a name that was only typed, nothing.
        """
        shown = tls.fingerprint(certificate) if certificate else None
        cause = one_line(cause)
        with self._changed:
            key = address, cause, door, user, shown
            if key not in self._kinds and len(self._kinds) >= KINDS:
                # addresses and names are the peer's to choose, and endless
                key, address, certificate, shown = (MANY, "", door, "", None), MANY, None, None
                user = ""
                cause = "種類が多く、まとめて数えました / too many kinds, counted together"
            known = self._kinds.get(key)
            if known is not None:
                known.repeats += 1
                return
            facts: dict[str, Any] = {"door": door} if door else {}
            facts |= {"user": user} if user else {}
            facts |= {"address": address, "cause": cause, "certificate": shown}
            facts["subject"] = subject_of(certificate)
            first = self._kinds[key] = _Kind(facts, self._clock())
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._count, name="refusals", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        try:
            self._trail.note(self._event, **self._facts, **facts)
        except StorageError as error:  # it stays counted until the disk takes it
            log.error("refusal of %s not written: %s", address, error)
            with self._changed:
                first.repeats += 1

    def flush(self) -> None:
        """Write what was counted since the first of each kind whose interval is over."""
        self._write(self._clock() - self._interval)

    def close(self) -> None:
        """Write what was counted, and count no more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        self._write(float("inf"))

    def _count(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                oldest = min((kind.since for kind in self._kinds.values()), default=None)
                over = None if oldest is None else oldest + self._interval - self._clock()
                if over is None or over > 0:
                    self._changed.wait(over)
                    continue
            self.flush()

    def _write(self, until: float) -> None:
        """Write and forget the kinds that began by `until`."""
        with self._changed:
            over = {key: kind for key, kind in self._kinds.items() if kind.since <= until}
            for key in over:
                del self._kinds[key]
        for key, kind in over.items():
            if not kind.repeats:
                continue
            count = {"repeats": kind.repeats, "seconds": round(self._clock() - kind.since)}
            try:
                self._trail.note(self._event, **self._facts, **kind.facts, **count)
            except StorageError as error:
                log.error("%d refusals of %s not written: %s", kind.repeats, key[0], error)
                self._keep(key, kind)

    def _keep(self, key: _Key, kind: _Kind) -> None:
        """Count on what could not be written."""
        with self._changed:
            now = self._kinds.setdefault(key, _Kind(kind.facts, self._clock()))
            now.repeats += kind.repeats


def one_line(text: str) -> str:
    """Return a peer's words so that they cannot look like a line or a word of ours.

    See :func:`common.logs.visible`; what is very long is cut.
    """
    shown = visible(text)
    return shown if len(shown) <= _LONGEST else shown[:_LONGEST] + "…"


def subject_of(certificate: bytes | None) -> str | None:
    """Return the subject of a certificate (RFC 4514) in one line; None where there is none."""
    if certificate is None:
        return None
    from cryptography import x509

    try:
        subject = x509.load_der_x509_certificate(certificate).subject.rfc4514_string()
    except ValueError:
        return "?"
    return one_line(subject)
