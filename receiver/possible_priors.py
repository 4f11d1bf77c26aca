"""Earlier studies that may be of the same person under another Patient ID (VIEWING 7, id.prior).

A name and a day of birth prove nothing, so such a study is only named; a reader who has
compared both identities says whether they are one person's.  From then on it is offered
like any prior, and says so.  What was said holds for the two identities that were
compared: where either study says another patient by now, it is asked again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import insert, or_, select

from common import request
from common.errors import NotFound, PriorNotAsSeen, UsageError
from common.states import TransferState
from receiver import index, prior_links, study_words
from receiver.standings import Person, line
from receiver.worklist import Worklist

POSSIBLE, LINKED, DISMISSED = "possible", "linked", "dismissed"
#: What a reader does, and how a pair stands afterwards.
STEPS = {"link": LINKED, "dismiss": DISMISSED, "undo": POSSIBLE}
EVENTS = {"link": "prior-linked", "dismiss": "prior-dismissed", "undo": "prior-link-undone"}
#: The groups of a name; of two people the first that both have is compared.
GROUPS = ("ideographic", "phonetic", "alphabetic")
_SAID = (*GROUPS, "id", "issued_by", "birth_date", "sex")
_BETWEEN = re.compile(r"[\s^,.・･]+")
_LONG = re.compile(r"o[hu](?![aiueo])|oo")
_links, _studies = index.prior_links, index.studies


@dataclass(frozen=True, slots=True)
class Pair:
    """An earlier study beside the one that is read, and what was said of the two.

    Attributes
    ----------
    prior : str
        Key of the earlier study.
    state : str
        :data:`POSSIBLE`, :data:`LINKED` or :data:`DISMISSED`.
    seen : str
        What tells these two identities from any others; an answer repeats it.
    last : int
        Number of the newest row of the pair, 0 without any.
    """

    prior: str
    state: str
    seen: str
    by: str
    display: str
    at: str | None
    last: int
    identities: tuple[dict[str, Any], dict[str, Any]]

    def as_json(self, *, show: bool = True) -> dict[str, Any]:
        """Return the fields; without patients, and so without what a yes needs, if not `show`."""
        said = asdict(self)
        del said["last"]
        if not show:
            del said["identities"], said["seen"]
        return said


def alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two patients may be one: name and day of birth agree, nothing contradicts.

    Parameters
    ----------
    one, other : mapping
        As :func:`receiver.study_words.patient` has them.
    """
    born = one["birth_date"]
    if not born or born != other["birth_date"]:
        return False
    if one["sex"] and other["sex"] and one["sex"] != other["sex"]:
        return False
    for group in GROUPS:
        mine, theirs = folded(one[group], group), folded(other[group], group)
        if mine and theirs:
            return mine == theirs
    return False


def folded(name: str, group: str) -> str:
    """Return a group of a name as it is compared: as pages and requests are searched."""
    plain = _BETWEEN.sub("", request.fold(name))
    return _LONG.sub("o", plain) if group == "alphabetic" else plain


def same_identity(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two patients have one Patient ID of one institution: priors of themselves."""
    number = str(one["id"]).strip()
    return bool(number) and (one["issuer"], number) == (other["issuer"], str(other["id"]).strip())


class PossiblePriors:
    """Finds them, and keeps what readers say.

    Parameters
    ----------
    worklist : Worklist
        Says what stands, and of whom it is.
    note : callable
        :meth:`common.audit.Trail.note`.
    """

    def __init__(
        self, worklist: Worklist, note: Callable[..., None] = lambda *_, **__: None
    ) -> None:
        self.worklist = worklist
        self.index = worklist.index
        self.note = note

    def of(self, key: str, may: Collection[str] | None = None) -> list[Pair]:
        """Return the earlier studies that may be of a study's patient, the newest first.

        Parameters
        ----------
        may : collection of str, optional
            Codes of the institutions that who asks may see; by default all.

        Raises
        ------
        NotFound
        """
        study = self.worklist.study(key)
        found = []
        for other in self._alike(key, study["patient"], may):
            row = self._standing(other)
            if row is not None and row["test"] == study["test"] and _when(row) <= _when(study):
                found.append(row)
        with self.index.read() as db:
            said = prior_links.of(db, key)
        found.sort(key=_when, reverse=True)
        return [_pair(study, row, said.get(row["key"])) for row in found]

    def decide(
        self,
        key: str,
        who: Person,
        prior: Any,
        step: Any,
        *,
        seen: Any,
        reason: Any = None,
        may: Collection[str] | None = None,
        address: str = "",
    ) -> None:
        """Keep that two identities are one person's, or are not, or take that back.

        Parameters
        ----------
        step : str
            Of :data:`STEPS`.
        seen : str
            :attr:`Pair.seen` of the identities that were compared.
        reason : str, optional
            Of taking back.

        Raises
        ------
        NotFound
            There is no such study, or it is none that may be of the same person.
        PriorNotAsSeen
            It is not what was compared, or somebody else has decided meanwhile.
        UsageError
        """
        if step not in STEPS:
            raise UsageError(cause="/".join(STEPS))
        why = line(reason, "reason") if step == "undo" else ""
        pair = next((one for one in self.of(key, may) if one.prior == prior), None)
        if pair is None:
            raise NotFound(thing="study")
        facts = {"user": who.name, "address": address, "study": key, "prior": prior}
        if seen != pair.seen or (pair.state == POSSIBLE) == (step == "undo"):
            self.note(EVENTS[step], **facts, outcome="refused")
            raise PriorNotAsSeen
        values = {"study": key, "prior": prior, "state": STEPS[step], "reason": why}
        values |= {"seen": pair.seen, "identities": json.dumps(pair.identities, ensure_ascii=False)}
        by = {"by": who.name, "display": who.shown, "at": index.now()}
        with self.index.write() as db:
            last = prior_links.of(db, key).get(pair.prior)
            if not prior_links.both_here(db, key, pair.prior):
                raise NotFound(thing="study")
            if (last.id if last else 0) != pair.last:
                raise PriorNotAsSeen
            db.execute(insert(_links).values(**values, **by))
            # to whoever sees both: to anybody else there is no other study
            index.announce(db, "priors", key, beside=[pair.prior])
            index.announce(db, "priors", pair.prior, beside=[key])
        self.note(EVENTS[step], **facts, outcome="ok")

    def shown(self, key: str, who: Person, pairs: list[Pair], address: str = "") -> None:
        """Note that somebody was shown whose these studies are."""
        if pairs:
            facts = {"user": who.name, "address": address, "study": key}
            self.note("possible-priors-shown", **facts, priors=[one.prior for one in pairs])

    def _alike(
        self, key: str, patient: Mapping[str, Any], may: Collection[str] | None
    ) -> list[str]:
        """Return the keys of studies with another identity that may be the same person's."""
        born = patient["birth_date"]
        if not born:
            return []
        # a day of birth stands in few models: only those are read (PS3.5 6.2, with dots of old)
        models = _studies.c.attributes
        days = (born.replace("-", ""), born.replace("-", "."))
        query = select(_studies.c.key, _studies.c.institution, models).where(
            _studies.c.key != key, or_(*(models.contains(day, autoescape=True) for day in days))
        )
        if may is not None:
            query = query.where(_studies.c.institution.in_(may))
        with self.index.read() as db:
            rows = db.execute(query).all()
        of_rows = (
            (row.key, study_words.patient(json.loads(row.attributes), row.institution, None))
            for row in rows
        )
        return [
            other
            for other, whose in of_rows
            if alike(patient, whose) and not same_identity(patient, whose)
        ]

    def _standing(self, key: str) -> dict[str, Any] | None:
        """Return a study of which something can be shown beside another."""
        try:
            row = self.worklist.study(key)
        except NotFound:
            return None  # taken back by its sender, or purged meanwhile
        here = row["state"] != TransferState.RECALLED and row["arrived"] > 0
        return row if here and row["kind"] == "dicom" and row["study_date"] else None


def _when(row: Mapping[str, Any]) -> str:
    """Return when a study was made, as the pages compare it: what has no time comes first."""
    return f"{row['study_date'] or ''}{row['study_time'] or ''}"


def _identity(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a reader compares: the patient, and of which study."""
    patient = row["patient"]
    said = {name: patient[name] or "" for name in _SAID}
    told = {name: row[name] for name in ("study_date", "modalities", "description")}
    return {**said, "guessed": patient["guessed"], "institution": row["institution"], **told}


def _pair(study: Mapping[str, Any], prior: Mapping[str, Any], said: Any) -> Pair:
    whole = sorted(
        [row["key"], row["institution"]["code"], *(row["patient"][name] or "" for name in _SAID)]
        for row in (study, prior)
    )
    seen = hashlib.sha256(json.dumps(whole).encode()).hexdigest()
    holds = said is not None and said.seen == seen and said.state != POSSIBLE
    return Pair(
        prior=prior["key"],
        state=said.state if holds else POSSIBLE,
        seen=seen,
        by=said.by if holds else "",
        display=said.display if holds else "",
        at=said.at if holds else None,
        last=said.id if said is not None else 0,
        identities=(_identity(study), _identity(prior)),
    )
