"""What readers said of pairs of studies: one person's, or not; kept until either study goes.

Decided in :mod:`receiver.possible_priors`; here are the rows alone, for whoever takes studies
away or makes the index again.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, or_, select

from receiver import index

_links, _studies = index.prior_links, index.studies


def of(db: Connection, key: str) -> dict[str, Row[Any]]:
    """Return the newest row of each pair that a study is in, by the other's key."""
    mine = or_(_links.c.study == key, _links.c.prior == key)
    rows = db.execute(select(_links).where(mine).order_by(_links.c.id))
    return {row.prior if row.study == key else row.study: row for row in rows}


def forget(db: Connection, key: str) -> None:
    """Forget the pairs of a study that goes: they say who its patient was, and the other's."""
    db.execute(delete(_links).where(or_(_links.c.study == key, _links.c.prior == key)))


def both_here(db: Connection, *keys: str) -> bool:
    """Whether every study of some keys has its row."""
    found = db.execute(select(_studies.c.key).where(_studies.c.key.in_(keys))).scalars()
    return set(found) == set(keys)


def standing(db: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of which both studies are still here: a record may be older than a purge."""
    return [row for row in rows if both_here(db, row["study"], row["prior"])]
