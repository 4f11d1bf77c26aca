"""Rules that have studies handed off by themselves: by modality and by partner."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, exists, select

from common.errors import TodokeError
from common.states import TransferState
from receiver import index
from receiver.facts import KnownFacts
from receiver.forwarding import RULE, Forwarding
from receiver.index import Index
from receiver.worklist import Worklist

log = logging.getLogger("todoke.forward")
_forwards, _rules = index.forwards, index.forward_rules
_studies, _transfers = index.studies, index.transfers
_NOT_YET = (TransferState.ANNOUNCED, TransferState.RECALLED)


class Rules:
    """Finds the studies that a rule is about.

    Parameters
    ----------
    store : Path
        Folder that the paths of the index are relative to.
    """

    def __init__(self, database: Index, store: Path, forwarding: Forwarding) -> None:
        self.index = database
        self.forwarding = forwarding
        self._worklist = Worklist(database, KnownFacts(store))
        self._passed: dict[tuple[int, str], str] = {}  # rule and study to when it was looked at

    def look(self) -> None:
        """Ask for what the rules say; a study that fits none is looked at again if it changes."""
        with self.index.read() as db:
            rules = db.execute(select(_rules)).all()
            found = [(rule, study) for rule in rules for study in _candidates(db, rule)]
        for rule, study in found:
            if self._passed.get((rule.id, study.key)) == study.changed_at:
                continue
            self._passed[rule.id, study.key] = study.changed_at
            if self._fits(rule, study.key):
                try:
                    self.forwarding.ask(study.key, RULE, rule.target)
                except TodokeError as error:  # recalled, or a test
                    log.info("rule %s: %s", rule.id, error.number)

    def _fits(self, rule: Row[Any], key: str) -> bool:
        if rule.modality is None:
            return True
        study = self._worklist.study(key)
        return rule.modality in study["modalities"]


def _candidates(db: Connection, rule: Row[Any]) -> list[Row[Any]]:
    """Return the studies since a rule was made that do not go to its target yet."""
    there = exists().where(_forwards.c.study == _studies.c.key, _forwards.c.target == rule.target)
    query = (
        select(_studies.c.key, _studies.c.changed_at)
        .join(_transfers, _transfers.c.id == _studies.c.transfer)
        .where(
            _transfers.c.opened_at >= rule.since,
            _transfers.c.test.is_(False),
            _transfers.c.state.not_in(_NOT_YET),
            ~there,
        )
    )
    if rule.partner is not None:
        query = query.where(_studies.c.institution == rule.partner)
    return list(db.execute(query))
