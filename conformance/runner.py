"""Runs cases one after another against one receiver."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from time import monotonic
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from common.errors import NotFound, PeerUnreachable
from conformance import wire
from conformance.case import NEED_WORDS, Case, Failed, Need, Result, Skipped, Verdict, Words
from conformance.session import Left, Session
from conformance.target import Target
from conformance.wire import IMPLICIT, VERIFICATION

Told = Callable[[Result], None]


@dataclass(frozen=True, slots=True)
class Report:
    """All that a run established."""

    target: Target
    run: str
    started: dt.datetime
    facts: dict[str, str]
    results: tuple[Result, ...]
    left: tuple[Left, ...]

    @property
    def counts(self) -> dict[Verdict, int]:
        """Number of results for each verdict."""
        verdicts = [result.verdict for result in self.results]
        return {verdict: verdicts.count(verdict) for verdict in Verdict}

    @property
    def exit_code(self) -> int:
        """0 where nothing failed, else 1."""
        counts = self.counts
        return 1 if counts[Verdict.FAIL] or counts[Verdict.ERROR] else 0

    def as_json(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {
            "version": 1,
            "kit": version("todoke"),
            "mark": "試験",
            "run": self.run,
            "started": self.started.isoformat(timespec="seconds"),
            "receiver": {
                "address": f"{self.target.host}:{self.target.port}",
                "called_aet": self.target.called_aet,
                "calling_aet": self.target.calling_aet,
                "tls": self.target.credentials is not None,
                **self.facts,
            },
            "counts": {str(verdict): count for verdict, count in self.counts.items()},
            "cases": [result.as_json() for result in self.results],
            "left_behind": [
                {
                    "case": left.label,
                    "patient_id": left.patient_id,
                    "study_instance_uid": left.study_uid,
                    "sop_instance_uid": left.sop_instance_uid,
                }
                for left in self.left
            ],
        }


def choose(cases: Sequence[Case], only: Iterable[str]) -> list[Case]:
    """Return the cases named by id or by area; all of them when none is named.

    Raises
    ------
    NotFound
        A name that is neither.
    """
    names = {name.strip().upper() for word in only for name in word.split(",") if name.strip()}
    areas = {case.id.partition("-")[0] for case in cases}
    unknown = names - areas - {case.id for case in cases}
    if unknown:
        raise NotFound(thing=", ".join(sorted(unknown)))
    if not names:
        return list(cases)
    return [case for case in cases if {case.id, case.id.partition("-")[0]} & names]


def run(session: Session, cases: Iterable[Case], told: Told | None = None) -> Report:
    """Run the cases and return the report.

    Parameters
    ----------
    session : Session
        The run.
    cases : iterable of Case
        In this order.
    told : callable or None
        Hears each result as it comes.

    Raises
    ------
    PeerUnreachable
        Nothing listens at the address.
    """
    started = dt.datetime.now(dt.UTC)
    facts = look(session.target)
    results = []
    for case in cases:
        results.append(_try(session, case))
        if told is not None:
            told(results[-1])
    left = tuple(session.left.values())
    return Report(session.target, session.run, started, facts, tuple(results), left)


def look(target: Target) -> dict[str, str]:
    """Return what the receiver says of itself: TLS, certificate, implementation.

    Raises
    ------
    PeerUnreachable
        No TCP connection.
    """
    try:
        socket.create_connection(target.address, timeout=target.patience).close()
    except OSError as error:
        peer = f"{target.host}:{target.port}"
        raise PeerUnreachable(peer=peer, cause=error.strerror or type(error).__name__) from error
    facts: dict[str, str] = {}
    try:
        with wire.associated(target, [(VERIFICATION, IMPLICIT)]) as line:
            facts["implementation"] = line.peer_implementation
            facts["maximum_pdu"] = str(line.peer_maximum)
            if isinstance(line.sock, ssl.SSLSocket):
                facts |= _tls_facts(line.sock)
            line.release()
    except (OSError, wire.Ended, wire.Silent) as error:
        facts["first_look"] = str(error)
    return facts


def _tls_facts(sock: ssl.SSLSocket) -> dict[str, str]:
    cipher, der = sock.cipher(), sock.getpeercert(binary_form=True)
    facts = {"tls_version": sock.version() or "?", "cipher": cipher[0] if cipher else "?"}
    if der:
        certificate = x509.load_der_x509_certificate(der)
        facts["certificate_sha256"] = certificate.fingerprint(hashes.SHA256()).hex()
        facts["certificate_ends"] = certificate.not_valid_after_utc.isoformat()
    return facts


def _try(session: Session, case: Case) -> Result:
    start = monotonic()
    verdict, words, remark = _judge(session, case)
    return Result(case, verdict, words, remark, monotonic() - start)


def _judge(session: Session, case: Case) -> tuple[Verdict, Words, bool]:
    for need in case.needs:
        if session.lacks(need):
            # a refusal shows nothing while the right certificate is refused too
            verdict = Verdict.ERROR if need is Need.ADMITTED else Verdict.SKIP
            return verdict, NEED_WORDS[need], False
    try:
        seen = case.trial(session)
    except Failed as failed:
        return Verdict.FAIL, failed.words, False
    except Skipped as skipped:
        return Verdict.SKIP, skipped.words, False
    except wire.Ended as ended:
        how = f"({ended.how})"
        return Verdict.FAIL, Words(f"途中で切断されました {how}", f"closed midway {how}"), False
    except wire.Silent:
        words = Words("応答がありませんでした", "no answer in time")
        return Verdict.FAIL, words, False
    except Exception as error:
        # whatever broke, the other cases are still to be tried; the report holds the cause
        cause = f"{type(error).__name__}: {error}"
        return Verdict.ERROR, Words(cause, cause), False
    return Verdict.PASS, seen.words, seen.remark
