"""Evidence records at the receiver: compared with its own facts, countersigned, kept.

A record that says something else than what is known here is kept too, without a
countersignature and with the words why: the chain of numbers goes on, and nobody can
say that it never came.  Rows and files say the same::

    DATA/evidence/INSTITUTION/00000001.json     the record file (inside view)
    DATA/evidence/INSTITUTION/anchor-DAY.json   the anchor and its countersignature
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from common import durable, link
from common.clocks import Clock
from common.errors import (
    ClockOff,
    NotFound,
    ProtocolError,
    RecordDiffers,
    RecordOrder,
    UsageError,
)
from common.link import Digest
from common.proof import jws, record, record_file
from common.proof.identity import Node
from common.proof.leaves import Leaves
from common.proof.record import Anchor, AnchorCountersignature, Countersignature, Record
from common.states import TransferState
from receiver import evidence_files, index, recalls, statements, transfers
from receiver.index import Index

_records, _anchors = index.evidence, index.anchors


class OutOfOrder(Exception):
    """A record comes before one that is not here."""

    def __init__(self, number: int) -> None:
        super().__init__(f"number {number}")
        self.number = number


@dataclass(frozen=True, slots=True)
class Own:
    """What the receiver found of a transfer itself.

    Attributes
    ----------
    leaves : sequence of dict or None
        Of what it read back; None where it receipted nothing.
    """

    row: Row[Any] | None
    names: dict[str, str]
    leaves: Sequence[dict[str, Any]] | None


@dataclass(slots=True)
class Evidence:
    """Keeps the records of every sender.

    Parameters
    ----------
    data : Path
        Data directory.
    bound_ms : int
        Milliseconds that a sender's clock may differ.
    note : callable
        Of the audit trail.
    """

    index: Index
    node: Node
    data: Path
    bound_ms: int
    note: Callable[..., None]

    # -- records --------------------------------------------------------------

    def take(self, partner: Any, transfer: str, statement: str, roles: Sequence[str]) -> str:
        """Countersign a record; the same again gives the same countersignature.

        Parameters
        ----------
        partner : row
            Of the sender, by its certificate.
        roles : sequence of str
            Of the instances as the rules judged them, in the order of the closing.

        Returns
        -------
        str
            The countersignature, JWS.

        Raises
        ------
        OutOfOrder
            An earlier one is not here yet.
        RecordOrder
            It does not follow what is here, or another one has its number.
        RecordDiffers
            It says something else than what is known here.  It is kept, and audited.
        ClockOff
            The clocks differ; nothing is kept, it may come again.
        IntegrityError, ProtocolError
            It is not signed by the partner, or no record.
        """
        said = record.read_record(jws.verify(statement, partner.signing_certificate))
        if said.transfer != transfer:
            raise ProtocolError(cause="transfer")
        self._check_clock(said)
        name = record.name(statement)
        with self.index.read() as db:
            kept = self._at(db, partner.code, said.number)
        if kept is not None and kept.name == name and kept.countersignature:
            if not evidence_files.path_of(self.data, partner.code, said.number).exists():
                # an interruption kept us from writing it
                self._save(kept, self._own(partner, said, roles))
            return str(kept.countersignature)
        own = self._own(partner, said, roles)
        differs = self._differences(partner, said, own)
        with self.index.write() as db:
            self._follows(db, partner.code, said, name)
            signed = None if differs else self._countersign(said, name, own)
            row = self._keep(db, partner, said, statement, signed, differs)
        self._save(row, own)
        if differs:
            cause = ", ".join(differs)
            self.note("record-differs", institution=partner.code, number=said.number, cause=cause)
            raise RecordDiffers(cause=cause)
        return str(signed)

    def _check_clock(self, said: Record) -> None:
        """Refuse while the clocks differ by more than our own bound, as the sender measured it."""
        if said.clock is None:
            if said.statements["receipt"]:
                raise ClockOff(cause="not measured")
            return
        offset, trip = said.clock.get("offset_ms"), said.clock.get("round_trip_ms")
        if type(offset) is not int or type(trip) is not int or trip < 0:
            raise ProtocolError(cause="clock")
        Clock(offset, trip, self.bound_ms).check()
        try:
            signed = datetime.fromisoformat(str(said.times["signed"]))
            ahead = signed - datetime.fromisoformat(index.now())
        except (TypeError, ValueError) as failure:
            raise ProtocolError(cause="times") from failure
        if ahead > timedelta(milliseconds=self.bound_ms):
            raise ClockOff(cause=f"{ahead.total_seconds():+.1f} s")

    def _own(self, partner: Any, said: Record, roles: Sequence[str]) -> Own:
        with self.index.read() as db:
            row = transfers.find(db, said.transfer)
            if row is not None and row.institution != partner.code:
                raise NotFound(thing=said.transfer)
            names = dict.fromkeys(("opening", "closing", "receipt"), "")
            found = dict[str, Sequence[Digest]]()
            for kind in names if row is not None else ():  # megabytes each, by turns
                sent = found.get("closing") or ()
                names[kind], found[kind] = _statement(db, said.transfer, kind, sent)
        receipted = bool(names["receipt"])
        leaves = own_leaves(found["closing"], found["receipt"], roles) if receipted else None
        return Own(row, names, leaves)

    def _differences(self, partner: Any, said: Record, own: Own) -> list[str]:
        """Return the members of a record that say something else than what is known here."""
        wrong = []
        ends = said.sender["code"], said.receiver["code"]
        if ends != (partner.code, self.node.institution.code):
            wrong.append("sender, receiver")
        wrong += _other_statements(said, own)
        if said.statements["receipt"]:
            wrong += _other_instances(said, own.leaves or [])
        elif said.state == TransferState.RECEIPTED:
            wrong.append("state")
        if own.row is not None:
            members = "kind", "purpose", "priority", "test"
            wrong += [one for one in members if getattr(said, one) != getattr(own.row, one)]
        if not self._certificate_is_known(partner, said):
            wrong.append("tls")
        return wrong

    def _certificate_is_known(self, partner: Any, said: Record) -> bool:
        line = said.tls.get("link")
        if not line:
            return True
        shown = (line.get("certificates") or {}).get("sender")
        table = index.certificates
        with self.index.read() as db:
            query = select(table.c.fingerprint).where(table.c.institution == partner.code)
            known = set(db.execute(query).scalars())
        return not known or shown in known

    def _follows(self, db: Connection, institution: str, said: Record, name: str) -> None:
        """Refuse a record that does not follow the last one here."""
        there = self._at(db, institution, said.number)
        last = self._last(db, institution)
        if there is not None:
            if there.name != name:
                self.note("record-conflict", institution=institution, number=said.number)
                raise RecordOrder(cause=f"{said.number}")
            return
        number, before = (last.number, last.name) if last is not None else (0, "")
        if said.number != number + 1:
            raise OutOfOrder(number + 1)
        if said.before != before:
            self.note("record-conflict", institution=institution, number=said.number)
            raise RecordOrder(cause=f"{said.number}: before")

    def _countersign(self, said: Record, name: str, own: Own) -> str:
        receipted = bool(said.statements["receipt"]) and own.leaves is not None
        made = Countersignature(
            record=name,
            transfer=said.transfer,
            number=said.number,
            sender=said.sender["code"],
            receiver=self.node.institution.code,
            count=len(own.leaves or ()) if receipted else 0,
            root=record.root(own.leaves or ()) if receipted else "",
            signed_at=index.now(),
            clock=said.clock,
        )
        return jws.sign(record.words(made), self.node)

    def _keep(
        self,
        db: Connection,
        partner: Any,
        said: Record,
        statement: str,
        signed: str | None,
        differs: list[str],
    ) -> Row[Any]:
        words = RecordDiffers(cause=", ".join(differs)).as_json() if differs else None
        answered = {
            "countersignature": signed,
            "countersigner": self.node.signing_certificate if signed else None,
            "refused": json.dumps(words, ensure_ascii=False) if words else None,
        }
        if self._at(db, partner.code, said.number) is not None:
            same = (_records.c.institution == partner.code) & (_records.c.number == said.number)
            db.execute(update(_records).where(same).values(**answered))
        else:
            db.execute(
                insert(_records).values(
                    institution=partner.code,
                    number=said.number,
                    name=record.name(statement),
                    transfer=said.transfer,
                    state=said.state,
                    day=str(said.times["signed"])[:10],
                    statement=statement,
                    certificate=partner.signing_certificate,
                    kept_at=index.now(),
                    **answered,
                )
            )
        same = (_records.c.institution == partner.code) & (_records.c.number == said.number)
        return db.execute(select(_records).where(same)).one()

    @staticmethod
    def _at(db: Connection, institution: str, number: int) -> Row[Any] | None:
        same = (_records.c.institution == institution) & (_records.c.number == number)
        return db.execute(select(_records).where(same)).one_or_none()

    @staticmethod
    def _last(db: Connection, institution: str) -> Row[Any] | None:
        of = select(_records).where(_records.c.institution == institution)
        return db.execute(of.order_by(_records.c.number.desc()).limit(1)).one_or_none()

    def _save(self, row: Row[Any], own: Own) -> None:
        """Write the record as a file, before anybody hears that it is kept."""
        path = evidence_files.path_of(self.data, row.institution, row.number)
        receipted = bool(jws.payload(row.statement)["statements"]["receipt"])
        kept = evidence_files.kept(self.index, self.data, row)
        kept = replace(kept, leaves=own.leaves if receipted else None)
        durable.make_folder(path.parent)
        record_file.save(path, record_file.build(kept))

    # -- anchors --------------------------------------------------------------

    def take_anchor(self, partner: Any, statement: str) -> str:
        """Countersign a day's anchor; the same again gives the same countersignature.

        Raises
        ------
        RecordDiffers
            Our own records of that day are others, or another anchor was countersigned.
        """
        said = record.read_anchor(jws.verify(statement, partner.signing_certificate))
        name = record.name(statement)
        of_day = (_anchors.c.institution == partner.code) & (_anchors.c.day == said.day)
        with self.index.write() as db:
            there = db.execute(select(_anchors).where(of_day)).one_or_none()
            if there is None:
                there = self._new_anchor(db, partner, said, statement)
        if there is None or there.name != name:
            self.note("anchor-differs", institution=partner.code, day=said.day)
            raise RecordDiffers(cause=said.day)
        path = evidence_files.anchor_path(self.data, partner.code, said.day)
        words = {one: getattr(there, one) for one in
                 ("statement", "certificate", "countersignature", "countersigner")}  # fmt: skip
        durable.make_folder(path.parent)
        durable.save(path, json.dumps(words).encode(), private=True)
        return str(there.countersignature)

    def _new_anchor(
        self, db: Connection, partner: Any, said: Anchor, statement: str
    ) -> Row[Any] | None:
        """Keep an anchor; None where the records of its day are others here."""
        mine = (_records.c.institution == partner.code) & (_records.c.day == said.day)
        rows = db.execute(
            select(_records.c.number, _records.c.name).where(mine).order_by(_records.c.number)
        ).all()
        found = record.day_root(row.name for row in rows)
        ends = said.sender, said.receiver
        agree = bool(rows) and (
            (len(rows), found, rows[0].number, rows[-1].number, ends)
            == (said.count, said.root, said.first, said.last,
                (partner.code, self.node.institution.code))
        )  # fmt: skip
        if not agree:
            return None
        made = AnchorCountersignature(
            anchor=record.name(statement), day=said.day, sender=said.sender,
            receiver=said.receiver, count=len(rows), root=found, signed_at=index.now(),
        )  # fmt: skip
        values = {
            "institution": partner.code, "day": said.day, "name": made.anchor,
            "first": said.first, "last": said.last, "statement": statement,
            "certificate": partner.signing_certificate,
            "countersignature": jws.sign(record.words(made), self.node),
            "countersigner": self.node.signing_certificate,
        }  # fmt: skip
        db.execute(insert(_anchors).values(**values))
        same = (_anchors.c.institution == partner.code) & (_anchors.c.day == said.day)
        return db.execute(select(_anchors).where(same)).one()

    # -- what else the link asks ----------------------------------------------

    def recall(self, partner: Any, transfer: str, by: str, reason: str = "") -> None:
        """Hide a transfer that its sender takes back; nothing is deleted."""
        with self.index.write() as db:
            row = transfers.owned(db, transfer, partner.code)
            if row.state == TransferState.RECALLED:
                return
            try:
                studies = recalls.recall(db, row, by, reason)
            except UsageError as failure:
                raise ProtocolError(cause="state") from failure
        of = {"institution": partner.code, "transfer": transfer}
        self.note("recalled", **of, studies=",".join(studies))

    def standing(self, institution: str) -> dict[str, Any]:
        """Return how many records of a sender are here, how many countersigned, and the last."""
        mine = _records.c.institution == institution
        with self.index.read() as db:
            count = db.execute(select(func.count()).where(mine)).scalar_one()
            signed = mine & _records.c.countersignature.is_not(None)
            good = db.execute(select(func.count()).where(signed)).scalar_one()
            last = self._last(db, institution)
        number, name = (last.number, last.name) if last is not None else (0, "")
        return {"count": count, "countersigned": good, "last": number, "name": name}


def _other_statements(said: Record, own: Own) -> list[str]:
    """Return the kinds of statement of which a record names another than lies here.

    What ended on its way may lack one at either end: a closing that never came, or a receipt
    that never went back.
    """
    receipted = bool(said.statements["receipt"])
    return [
        kind
        for kind, name in own.names.items()
        if said.statements[kind] != name and (receipted or (name and said.statements[kind]))
    ]


def _other_instances(said: Record, found: Sequence[dict[str, Any]]) -> list[str]:
    """Return what a record says otherwise of the instances that were read back here."""
    here = {"count": len(found), "root": record.root(found), "digests_equal": True}
    told = {**said.instances, "digests_equal": said.digests_equal}
    return [name for name, value in here.items() if told[name] != value]


def _statement(
    db: Connection, transfer: str, kind: str, sent: Sequence[Digest]
) -> tuple[str, Sequence[Digest]]:
    """Return the name of a statement, and its digests; those equal to the ones sent are these."""
    text = statements.read(db, transfer, kind)
    if not text:
        return "", ()
    if kind == "opening":
        return jws.name(text), ()
    said = jws.payload(text, link.digests(sent))
    read = link.read_closing if kind == "closing" else link.read_receipt
    return jws.name(text), read(said).instances


def own_leaves(sent: Sequence[Digest], read: Sequence[Digest], roles: Sequence[str]) -> Leaves:
    """Return the leaves of what was read back for a receipt, in the order of the closing."""
    named = list(roles) if len(roles) == len(sent) else [""] * len(sent)
    return Leaves(record.as_sent(sent, read), named)
