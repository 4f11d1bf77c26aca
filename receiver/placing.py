"""A group of instances gets its rows: one transaction, few statements, whoever sent them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from common.errors import MixedPatients, SameUidOtherContent, TodokeError
from common.link import Digest
from common.states import InstanceState
from receiver import index, repairs, standings, transfers
from receiver.arrival import Arrival

Outcome = tuple[Arrival, TodokeError | None]
Key = tuple[str, str]  # institution and UID
_instances, _studies = index.instances, index.studies

# made once: building a statement takes longer than running it
_HELD = select(
    _instances.c.sop_uid,
    _instances.c.id,
    _instances.c.state,
    _instances.c.d1,
    _instances.c.transfer,
).where(
    _instances.c.institution == bindparam("institution"),
    _instances.c.sop_uid.in_(bindparam("uids", expanding=True)),
)
_OF_STUDIES = select(
    _studies.c.study_uid, _studies.c.key, _studies.c.transfer, _studies.c.attributes
).where(
    _studies.c.institution == bindparam("institution"),
    _studies.c.study_uid.in_(bindparam("uids", expanding=True)),
)
_STORED = select(_instances.c.path, _instances.c.prefix_length, _instances.c.transfer_syntax).where(
    _instances.c.id == bindparam("place")
)
_NEW = insert(_instances)
_ARRIVED = update(_instances).where(_instances.c.id == bindparam("place"))
_TOUCH = update(_studies).where(_studies.c.key == bindparam("study"))


class Doubtful(Exception):
    """An instance came whose UID is here with other bytes: the same, coded otherwise, or not."""

    def __init__(
        self, d1: str | None, here: tuple[Path, int, str] | Digest | None, arrival: Arrival
    ) -> None:
        super().__init__(d1, arrival.d1)
        self.pair = d1, arrival.d1
        self.here = here  # the file; of a damaged one what was receipted
        came = arrival.final, len(arrival.prefix), arrival.transfer_syntax_uid
        self.came: tuple[Path, int, str] = came


@dataclass(slots=True)
class _Known:
    """What the index, or this group before, holds under a SOP Instance UID."""

    id: int | None
    state: str
    d1: str | None
    transfer: str | None


@dataclass(slots=True)
class _Study:
    """A study's row; without a key where it is this group that begins it."""

    key: str | None
    transfer: str | None
    model: dict[str, Any]


@lru_cache(maxsize=64)
def _model(attributes: str) -> dict[str, Any]:
    """Read the same study's attributes once, not with every group."""
    model: dict[str, Any] = json.loads(attributes)
    return model


@dataclass(slots=True)
class Placing:
    """Gives the instances of one group their places.

    Parameters
    ----------
    alarm : callable
        Called with an institution and a cause when something is kept aside.
    same : dict
        By D1 of what is here and of what came: whether both are one instance, coded
        in two ways.
    """

    db: Connection
    group: Sequence[Arrival]
    alarm: Callable[[str, str], None]
    same: dict[tuple[str | None, str], bool] = field(default_factory=dict)
    _known: dict[Key, _Known] = field(default_factory=dict)
    _studies: dict[Key, _Study] = field(default_factory=dict)
    _unopened: dict[Key, str | None] = field(default_factory=dict)
    _new: list[dict[str, Any]] = field(default_factory=list)
    _expected: list[dict[str, Any]] = field(default_factory=list)
    _touched: dict[Key, tuple[Arrival, str | None]] = field(default_factory=dict)

    def run(self) -> list[Outcome]:
        """Return what became of each: None is success, and true once the transaction is.

        Raises
        ------
        Doubtful
            Nothing was done: `same` does not say enough yet.
        """
        self._look_up()
        self._doubt()
        outcomes = [(arrival, self._place(arrival)) for arrival in self.group]
        at = index.now()
        if self._new:
            self.db.execute(_NEW, [row | {"stored_at": at} for row in self._new])
        if self._expected:
            self.db.execute(_ARRIVED, [row | {"stored_at": at} for row in self._expected])
        for (institution, uid), (arrival, transfer) in self._touched.items():
            study = self._studies[institution, uid]
            if study.key is None:
                study.key = transfers.touch_study(
                    self.db, institution, uid, transfer, arrival.study_model
                )
            else:
                to = study.transfer if transfer is None else transfer
                values = {"study": study.key, "changed_at": at, "transfer": to}
                self.db.execute(_TOUCH, values)
            index.announce(self.db, "study", study.key)
            standings.grown(self.db, study.key)
        return outcomes

    def _look_up(self) -> None:
        for institution in {arrival.institution for arrival in self.group}:
            ours = [arrival for arrival in self.group if arrival.institution == institution]
            asked = {"institution": institution, "uids": [a.sop_instance_uid for a in ours]}
            for uid, *known in self.db.execute(_HELD, asked):
                self._known[institution, uid] = _Known(*known)
            asked["uids"] = list({str(arrival.values["study_uid"]) for arrival in ours})
            for uid, key, transfer, attributes in self.db.execute(_OF_STUDIES, asked):
                model = _model(attributes)
                # what an opening said is replaced by what the first image says
                begun = None if transfers.ANNOUNCED in model else key
                self._studies[institution, uid] = _Study(begun, transfer, model)

    def _doubt(self) -> None:
        first: dict[Key, Arrival] = {}
        for arrival in self.group:
            key = arrival.institution, arrival.sop_instance_uid
            known = self._known.get(key)
            if known is None or known.state == InstanceState.EXPECTED:
                self._doubt_in_group(first.setdefault(key, arrival), arrival)
                continue
            if known.d1 == arrival.d1 or (known.d1, arrival.d1) in self.same:
                continue
            if known.state == InstanceState.DAMAGED:
                said = repairs.receipted(self.db, known.transfer, arrival.sop_instance_uid)
                raise Doubtful(known.d1, said, arrival)
            row = self.db.execute(_STORED, {"place": known.id}).one()
            if row.path is not None:
                here = arrival.store.where(row.path), row.prefix_length, row.transfer_syntax
                raise Doubtful(known.d1, here, arrival)

    def _doubt_in_group(self, first: Arrival, arrival: Arrival) -> None:
        if first.d1 == arrival.d1 or (first.d1, arrival.d1) in self.same:
            return
        here = first.final, len(first.prefix), first.transfer_syntax_uid
        raise Doubtful(first.d1, here, arrival)

    def _place(self, arrival: Arrival) -> TodokeError | None:
        """Give one instance its place, unless its UID is taken or it is another patient's."""
        here = arrival.institution, arrival.sop_instance_uid
        known = self._known.get(here)
        if known is not None and known.state != InstanceState.EXPECTED:
            return self._again(arrival, known)
        at = arrival.institution, str(arrival.values["study_uid"])
        study = self._studies.get(at)
        if study is None or (study.key is None and at not in self._touched):
            self._studies[at] = _Study(None, None, arrival.patient)
        elif transfers.disagree(study.model, arrival.patient):
            arrival.store.keep_aside(arrival.final)
            self.alarm(arrival.institution, "another patient in the same study")
            return MixedPatients(count=2)
        if known is None:
            transfer = self._without_opening(arrival, at)
            identity = {"institution": here[0], "sop_uid": here[1], "transfer": transfer}
            self._new.append(arrival.values | identity)
        else:
            transfer = known.transfer
            self._expected.append(arrival.values | {"place": known.id})
        self._known[here] = _Known(None, InstanceState.STORED, arrival.d1, transfer)
        self._touched[at] = arrival, transfer
        return None

    def _without_opening(self, arrival: Arrival, at: Key) -> str | None:
        """Return the transfer of an instance that no opening names, or not yet."""
        if arrival.linked:
            return None  # the opening is on its way, beside it, and takes it over
        if at not in self._unopened:
            self._unopened[at] = transfers.without_opening(self.db, *at)
        return self._unopened[at]

    def _replace(self, arrival: Arrival, known: _Known, number: int) -> None:
        """Put what came again in the place of what was damaged; it is read back before long."""
        self._expected.append(arrival.values | {"place": number})
        known.state, known.d1 = InstanceState.STORED, arrival.d1
        at = arrival.institution, str(arrival.values["study_uid"])
        if at in self._studies:
            self._touched[at] = arrival, known.transfer

    def _again(self, arrival: Arrival, known: _Known) -> TodokeError | None:
        """The same instance again is a success and counted; another content is kept aside."""
        if known.d1 == arrival.d1 or self.same.get((known.d1, arrival.d1)):
            if known.state == InstanceState.DAMAGED and known.id is not None:
                self._replace(arrival, known, known.id)
                return None
            arrival.final.unlink(missing_ok=True)
            transfers.count_repeats(self.db, known.transfer, 1)
            return None
        arrival.store.keep_aside(arrival.final)
        self.alarm(arrival.institution, "same UID, other content")
        return SameUidOtherContent(path="SOP Instance UID")
