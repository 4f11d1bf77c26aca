"""Making the evidence record of a transfer that has ended, and the anchor of a day."""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import durable, errors, link
from common.clocks import Clock
from common.link import Digest
from common.proof import jws, record, software
from common.proof.identity import Node
from common.proof.leaves import Leaves
from common.proof.record import Anchor, Record
from common.proof.role import FOLDER
from common.states import TransferState
from sender import establishing, settling
from sender.outbox import Outbox, Transfer, now
from sender.partners import Partner
from sender.recorded import Row, Signed

_LATER = {"opened", "reading", "done", "query"}  # states of what was receipted


@dataclass(frozen=True, slots=True)
class Ended:
    """How a transfer ended, for its record."""

    state: str
    person: str | None
    said: str  # what a person typed; it may name a patient


def secret(data: Path) -> bytes:
    """Return the site's secret for HMACs, made at first need and never sent."""
    path = data / FOLDER / "subject.key"
    try:
        return bytes.fromhex(path.read_text("ascii"))
    except FileNotFoundError:
        durable.save(path, secrets.token_bytes(32).hex().encode(), private=True)
        return bytes.fromhex(path.read_text("ascii"))


def key(data: Path, transfer: str) -> bytes:
    """Return the key of the HMACs in the records of a transfer."""
    return record.key_of(secret(data), transfer)


def ended(transfer: Transfer) -> Ended:
    """Return how a transfer ended.

    What was recalled while it was held, before anything of it was sent, is *held*: it was
    given up.
    """
    state = str(transfer.state)
    recalled = transfer.request.get("recalled")
    if transfer.state is TransferState.RECALLED and isinstance(recalled, dict):
        given_up = recalled.get("was") == TransferState.HELD
        return Ended("held" if given_up else state, recalled["by"], recalled["reason"])
    released = transfer.request.get("released") or {}
    person = released.get("by") or _judged(transfer).get("by")
    said = released.get("reason") or _judged(transfer).get("reason") or ""
    return Ended("receipted" if state in _LATER else state, person, said)


def _judged(transfer: Transfer) -> dict[str, Any]:
    return judgement(transfer).get("released") or {}


def judgement(transfer: Transfer) -> dict[str, Any]:
    """Return what the rules found of a transfer; empty where none was made."""
    return dict(getattr(transfer, "judgement", None) or {})


def settled(
    transfer: Transfer, closing: Sequence[Digest], *, receipted: bool, signs: bool
) -> dict[str, Any]:
    """Return the judgement with what only the end of the way decides: R7, R10 and R12."""
    made = judgement(transfer)
    if not made:
        return made
    coded = sum(one.syntax in link.COMPRESSED for one in closing)
    return settling.settle(
        made,
        settling.TransferFacts(
            delivered=transfer.delivered is not None,
            compressed=coded,
            samples_equal=transfer.digests_equal if coded else None,
            receipt=transfer.digests_equal if receipted else None,
            signs=signs,
        ),
    )


def declaration(judged: Mapping[str, Any], opens: bytes) -> dict[str, Any]:
    """Return a judgement as a record has it: without what a person typed."""
    made = dict(judged)
    if made.get("released"):
        released = dict(made["released"])
        released["said"] = record.said(opens, str(released.pop("reason", "")))
        made["released"] = released
    return made


def patient_of(attributes: Mapping[str, Any]) -> dict[str, str]:
    """Return what a patient is known by, of the attributes of an opening."""

    def first(tag: str) -> str:
        values = (attributes.get(tag) or {}).get("Value") or [""]
        return str(values[0] or "")

    return {"PatientID": first("00100020"), "IssuerOfPatientID": first("00100021")}


def leaves(outbox: Outbox, transfer: Transfer) -> Leaves:
    """Return the leaves of a transfer in the order of its closing, else of its instances."""
    roles: dict[str, str] = {}
    found: list[Digest] = []
    for part in outbox.parts(transfer.id):
        for one in part:
            roles[one.sop_uid] = sys.intern(str(getattr(one, "role", "") or ""))
            found.append(Digest(one.sop_uid, one.length, one.d1 or "", one.d2, one.d3, one.root))
    closing = outbox.statement(transfer.id, "closing")
    if closing is not None:
        found = list(link.read_closing(jws.payload(closing, link.digests(found))).instances)
    return Leaves(found, [roles.get(one.uid, "") for one in found])


@dataclass(slots=True)
class Maker:
    """Signs records and anchors towards one partner."""

    outbox: Outbox
    node: Node
    partner: Partner

    @property
    def _owed(self) -> bool:
        """Whether the partner can countersign."""
        return self.partner.kind == "todoke"

    def make(self, transfer: Transfer, when: str, clock: Clock | None) -> bool:
        """Make the record of a transfer's end, under the partner's next number.

        Parameters
        ----------
        when : str
            When it ended so.
        clock : Clock or None
            As measured just now; None where the partner has no clock that we can ask.

        Returns
        -------
        bool
            Whether one was made.

        Raises
        ------
        ClockOff
            Nothing is signed.
        """
        if clock is not None:
            clock.check()
        how = ended(transfer)
        values = self._values(transfer, how, key(self.node.data, transfer.id), clock)

        def sign(number: int, before: str) -> Signed:
            made = Record(number=number, before=before, **values)
            statement = jws.sign(record.words(made), self.node)
            day = str(made.times["signed"])[:10]
            own = self.node.signing_certificate
            return Signed(
                record.name(statement), day, made.state, statement, own, self._owed, how.said
            )

        return self.outbox.record(self.partner.key, transfer.id, when, sign)

    def _values(
        self, transfer: Transfer, how: Ended, opens: bytes, clock: Clock | None
    ) -> dict[str, Any]:
        own, partner = self.node.institution, self.partner
        found = leaves(self.outbox, transfer)
        said = {
            kind: self.outbox.statement(transfer.id, kind)
            for kind in ("opening", "closing", "receipt")
        }
        receipt = jws.payload(said["receipt"], lambda _one: None) if said["receipt"] else {}
        facts = json.loads(self.outbox.statement(transfer.id, "facts") or "{}")
        todoke = partner.kind == "todoke"
        judged = settled(transfer, found.digests, receipted=bool(receipt), signs=todoke)
        known = establishing.Known(
            declaration=judged,
            todoke=todoke,
            receipted=bool(receipt) and transfer.digests_equal is True,
            state=how.state,
            own=own.code,
            code=partner.code or "",
            tls=bool(partner.ca),
        )
        return {
            "transfer": transfer.id,
            "kind": transfer.kind,
            "purpose": transfer.purpose,
            "priority": transfer.priority,
            "test": transfer.test,
            "state": how.state,
            "reason": _reason(transfer, how, opens),
            "person": how.person,
            "sender": {"code": own.code, "name": own.name},
            "receiver": {"code": partner.code or "", "name": partner.name},
            "subject": record.subject(opens, patient_of(transfer.attributes), transfer.study),
            "declaration": declaration(judged, opens),
            "instances": {
                "count": len(found),
                "bytes": sum(one["length"] for one in found),
                "root": record.root(found) if found else "",
            },
            "statements": {kind: jws.name(text) if text else "" for kind, text in said.items()},
            "digests_equal": transfer.digests_equal,
            "established": establishing.parts(known),
            "tls": {"dicom": facts.get("dicom"), "link": facts.get("link")},
            "times": {
                "created": transfer.created,
                "started": transfer.started,
                "delivered": transfer.delivered,
                "receipted": receipt.get("receipted_at"),
                "finished": transfer.finished,
                "signed": now(),
            },
            "clock": clock.words() if clock is not None else None,
            "software": {
                "sender": software.facts(),
                "receiver": _software(receipt.get("facts") or {}),
            },
            "not_proven": _not_proven(known, clock),
        }

    def anchor(self, day: str) -> None:
        """Make the anchor of a day that is over."""

        def sign(rows: list[Row], before: str) -> Signed:
            made = Anchor(
                day=day,
                sender=self.node.institution.code,
                receiver=self.partner.code or "",
                first=rows[0].number,
                last=rows[-1].number,
                count=len(rows),
                root=record.day_root(row.name for row in rows),
                before=before,
            )
            statement = jws.sign(record.words(made), self.node)
            own = self.node.signing_certificate
            return Signed(record.name(statement), day, "", statement, own, self._owed)

        self.outbox.anchor(self.partner.key, day, sign)


def _reason(transfer: Transfer, how: Ended, opens: bytes) -> dict[str, str] | None:
    """Return why it ended otherwise, in the words of the number alone: facts may name a path."""
    said = record.said(opens, how.said)
    if transfer.error and how.state in {"failed", "held", "recalled"}:
        plain = errors.of_number(transfer.error["number"])()
        return {**plain.as_json(), "said": said}
    if how.state in {"recalled", "held"} or said:
        words = ("担当者の判断", "a person's decision")
        return {"number": "", "ja": words[0], "en": words[1], "said": said}
    return None


def _software(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what a receipt states of the receiver's program."""
    return {name: str(facts.get(name) or "") for name in ("version", "commit", "sbom")}


def _not_proven(known: establishing.Known, clock: Clock | None) -> tuple[str, ...]:
    """Return the ids of what this record does not prove (DIR-15)."""
    more = []
    if clock is None:
        more.append("clock")
    if not known.receipted:
        more.append("identity")
    if not known.code:
        more.append("endpoint")
    return (*record.ALWAYS, *more)
