"""Before any door opens: mend what a power cut left half done, sweep what nothing stands for."""

from __future__ import annotations

import logging

from sqlalchemy import delete, select, update

from receiver import index
from receiver.index import Index
from receiver.store import Store

log = logging.getLogger("todoke.receiver")
_instances = index.instances


def mend(db_index: Index, store: Store, *, aside: bool = False) -> None:
    """Bring index and store together; the caller holds the lock of the data directory.

    A level that got its final name just before the cut, and not its row, gets its
    row; files that no row knows were never acknowledged and are removed.

    Parameters
    ----------
    aside : bool
        See :meth:`receiver.store.Store.sweep`.
    """
    with db_index.write() as db:
        db.execute(delete(index.events))  # news that nobody is there to hear any more
        known = select(_instances.c.id, _instances.c.path).where(_instances.c.path.is_not(None))
        paths: set[str] = set()
        for row in db.execute(known).all():
            part = store.path(row.path)
            final = part.with_suffix(".dcm")
            if part.suffix == ".part" and not part.exists() and final.exists():
                renamed = store.relative(final)
                db.execute(update(_instances).where(_instances.c.id == row.id).values(path=renamed))
                paths.add(renamed)
            else:
                paths.add(str(row.path))
    removed = store.sweep(paths, aside=aside)
    if removed:
        what = "that the index does not know set aside" if aside else "never acknowledged removed"
        log.warning("%s files %s", removed, what)
