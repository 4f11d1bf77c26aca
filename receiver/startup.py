"""Before any door opens: mend what a power cut left half done, sweep what nothing stands for."""

from __future__ import annotations

import json
import logging

from sqlalchemy import delete, select, update

from common.states import InstanceState
from receiver import index
from receiver.index import Index
from receiver.store import LEFT_BEHIND, Store

log = logging.getLogger("todoke.receiver")
_instances, _purges = index.instances, index.purges
_PLACE = select(_instances.c.id, _instances.c.key, _instances.c.path)


def mend(db_index: Index, store: Store, *, aside: bool = False) -> None:
    """Bring index and store together; the caller holds the lock of the data directory.

    A level that got its final name just before the cut, and not its row, gets its
    row; what a purge began it ends; files that no row knows were never acknowledged
    and are removed.  Only indexes of the table are read, never its rows: they hold
    blobs, and a receiver with 100,000 of them has to serve within two seconds.

    Parameters
    ----------
    aside : bool
        See :meth:`receiver.store.Store.sweep`.
    """
    with db_index.write() as db:
        db.execute(delete(index.events))  # news that nobody is there to hear any more
        exact: dict[str, str] = {}
        filling = select(_instances.c.id).where(_instances.c.state == InstanceState.RECEIVED)
        for number in db.execute(filling).scalars().all():
            row = db.execute(_PLACE.where(_instances.c.id == number)).one()
            if row.path is None:
                continue
            part = store.path(row.path)
            final = part.with_suffix(".dcm")
            exact[row.key] = str(row.path)
            if not part.exists() and final.exists():
                exact[row.key] = store.relative(final)
                same = _instances.c.id == row.id
                db.execute(update(_instances).where(same).values(path=exact[row.key]))
        keys = set(db.execute(select(_instances.c.key)).scalars())
        unfinished = db.execute(select(_purges).where(_purges.c.paths.is_not(None))).all()
        nobody = db.execute(select(index.partners.c.code).limit(1)).first() is None
    purged = {path for purge in unfinished for path in json.loads(purge.paths)}
    # without partners nothing can have come: then it is another index, made anew
    removed = store.sweep(keys, exact, purged, 0 if nobody else LEFT_BEHIND, aside=aside)
    if removed:
        what = "that the index does not know set aside" if aside else "never acknowledged removed"
        log.warning("%s files %s", removed, what)
