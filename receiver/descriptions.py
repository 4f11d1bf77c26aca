"""Attributes of instances, which are acknowledged before their attributes are made.

A row that holds none yet is described from its file, there and then, so that no
page shows less than it would later; :mod:`receiver.describe_process` fills the rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, bindparam, select, update

from common.states import InstanceState
from receiver import attributes, index
from receiver.index import Index

BATCH = 48  # rows that are read and written together: others wait for the transaction

_instances = index.instances
#: States in which an instance's file is whole.
WHOLE = (InstanceState.STORED, InstanceState.VERIFIED)


@dataclass(frozen=True, slots=True)
class Described:
    """What was made of one file."""

    id: int
    path: str  # relative to the store; the row may be of another file meanwhile
    packed: bytes


def packed(
    db: Connection, store: Path, numbers: Iterable[int], tags: Iterable[str] | None = None
) -> dict[int, bytes | None]:
    """Return the packed attributes of instances by their ids.

    Parameters
    ----------
    store : Path
        Folder that the paths of the index are relative to.
    tags : iterable of str, optional
        All that the caller needs, where a file has to be read.

    Returns
    -------
    dict
        None where nothing is known: nothing has arrived, or its file cannot be read.
    """
    found: dict[int, bytes | None] = {}
    columns = _instances.c.id, _instances.c.attributes, _instances.c.state, _instances.c.path
    for some in pieces(list(numbers)):
        for row in db.execute(select(*columns).where(_instances.c.id.in_(some))):
            found[row.id] = row.attributes
            if row.attributes is None and row.state in WHOLE and row.path is not None:
                found[row.id] = attributes.of_file(store / row.path, tags)
    return found


def undescribed(db: Connection, but: Collection[int] = ()) -> list[tuple[int, str]]:
    """Return id and path of some instances that are whole and have no attributes yet."""
    query = select(_instances.c.id, _instances.c.path).where(
        _instances.c.attributes.is_(None),
        _instances.c.state.in_(WHOLE),
        _instances.c.path.is_not(None),
    )
    rows = db.execute(query.limit(BATCH + len(but)))
    return [(row.id, row.path) for row in rows if row.id not in but][:BATCH]


def keep(database: Index, made: Iterable[Described]) -> None:
    """Write what was made of files, in one transaction that holds the lock from its start.

    Raises
    ------
    StorageError
        Nothing is lost: who asks reads the file.
    """
    same = (
        _instances.c.id == bindparam("of_id"),
        _instances.c.path == bindparam("of_path"),
        _instances.c.attributes.is_(None),
    )
    statement = update(_instances).where(*same).values(attributes=bindparam("made"))
    rows = [{"of_id": one.id, "of_path": one.path, "made": one.packed} for one in made]
    if rows:
        with database.write() as db:
            db.execute(statement, rows)


def pieces(numbers: list[int], size: int = 200) -> Iterator[list[int]]:
    """Cut a list so that a statement has not too many parameters, nor blobs."""
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]
