"""Closing a transfer: read every instance back from the disk, compare, countersign.

A receipt is signed only when each digest that the sender took from its source
equals the one taken here from bytes read back (DIR-07).  A digest is never
compared with one made at the same end.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from common import durable, link, memory, request
from common.errors import IntegrityError, StorageError
from common.link import Closing, Digest, Receipt
from common.proof import jws
from common.proof.identity import Node
from common.states import InstanceState, TransferState
from receiver import held, index, standings, statements, transfers
from receiver.held import Held
from receiver.index import Index
from receiver.store import Store
from receiver.verifying import Verifiers

log = logging.getLogger("todoke.receipts")
_instances = index.instances


class Receipts:
    """Has closed transfers read back, several by turns, and keeps their receipts.

    Parameters
    ----------
    facts : dict
        What every receipt states of this receiver (version).
    """

    def __init__(self, index: Index, store: Store, node: Node, facts: dict[str, Any]) -> None:
        self.index = index
        self.store = store
        self.node = node
        self.facts = facts
        self.verifiers = Verifiers(index, store)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="receipts")  # all short work
        self._running: dict[str, Future[str]] = {}
        self._lock = threading.RLock()  # a future that has ended calls back at once

    def close(self) -> None:
        """Stop; what is being verified is verified when its receipt is next asked for."""
        self.verifiers.close()
        self._pool.shutdown()

    def running(self, transfer: str) -> Future[str] | None:
        """Return the verification that is under way for a transfer, if one is."""
        with self._lock:
            return self._running.get(transfer)

    def begin(self, transfer: str, closing: Closing, statement: str) -> Future[str]:
        """Keep the closing of a transfer of which nothing is missing, and verify it in its turn.

        Parameters
        ----------
        statement : str
            The closing as signed by the sender.

        Returns
        -------
        Future
            Of the receipt (JWS); fails with IntegrityError naming the instances.
        """
        if (running := self.running(transfer)) is not None:
            return running
        with self.index.write() as db:
            row = transfers.known(db, transfer)
            receipt = statements.read(db, transfer, "receipt")
            if receipt and statements.read(db, transfer, "closing") == statement:
                there: Future[str] = Future()
                there.set_result(receipt)
                return there
            statements.write(db, transfer, "closing", statement)
            transfers.set_state(db, row, TransferState.DELIVERED, closed_at=index.now())
        with self._lock:
            if (running := self._running.get(transfer)) is None:
                running = Future()
                running.set_running_or_notify_cancel()  # one who no longer waits stops it for none
                self._running[transfer] = running
                running.add_done_callback(lambda ended: self._forget(transfer, ended))
                self._pool.submit(self._verify, transfer, closing, jws.name(statement), running)
            return running

    def _forget(self, transfer: str, ended: Future[str]) -> None:
        with self._lock:
            if self._running.get(transfer) is ended:
                del self._running[transfer]

    def _verify(self, transfer: str, closing: Closing, answered: str, running: Future[str]) -> None:
        """Begin to read a transfer back; `running` gets its receipt when all of it is read.

        Parameters
        ----------
        answered : str
            SHA-256 of the closing as signed.
        """
        try:
            with self.index.read() as db:
                row = transfers.known(db, transfer)
                texts = (text for one in closing.instances for text in (one.uid, one.d1))
                rows = held.rows(db, _instances.c.transfer == transfer, texts)
            slide = row.kind == "slide"
            memory.trim()
            said = {digest.uid: digest for digest in closing.instances}
            reading = self.verifiers.read_back(row.priority, rows, slide=slide, said=said)
        except Exception as failure:
            running.set_exception(failure)
            return

        def conclude(read: Future[dict[int, Digest]]) -> str:
            found = [read.result().get(one.id, _nothing(one)) for one in rows]
            return self._conclude(row, closing, answered, rows, found)

        # no circle: what is held for ten thousand instances goes with its last use
        reading.add_done_callback(lambda read: self._pool.submit(_settle, running, conclude, read))

    def _conclude(
        self,
        row: Row[Any],
        closing: Closing,
        answered: str,
        rows: list[Held],
        found: list[Digest],
    ) -> str:
        unequal = set(link.compare(closing.instances, found))
        if unequal:
            differ = [pair for pair in zip(rows, found, strict=True) if pair[1].uid in unequal]
            gone = [one for one, here in differ if not _stands(one, here, row.opened_at)]
            self._give_up(row.id, gone)
            cause = f"{len(unequal)} / {len(rows)}"
            raise IntegrityError(cause=cause, unequal=sorted(unequal))
        return self._countersign(row, answered, rows, found)

    def _give_up(self, transfer: str, rows: list[Held]) -> None:
        """Keep what differs aside and wait for it again; the transfer is not receipted."""
        with self.index.write() as db:
            for row in rows:
                if row.path is not None and (path := self.store.where(row.path)).exists():
                    self.store.keep_aside(path)
                log.error("digests of %s differ; kept aside, asked for again", row.path)
            if rows:
                gone = [{"gone": row.id} for row in rows]
                of_level = index.frames.c.instance == bindparam("gone")
                db.execute(delete(index.frames).where(of_level), gone)
                none = {"path": None, "frame_table": None, "d1": None}
                same = _instances.c.id == bindparam("gone")
                again = update(_instances).where(same).values(state=InstanceState.EXPECTED, **none)
                db.execute(again, gone)
            transfers.set_state(db, transfers.known(db, transfer), TransferState.SENDING)

    def _countersign(
        self, known: Row[Any], answered: str, rows: list[Held], found: list[Digest]
    ) -> str:
        receipt = Receipt(
            transfer=known.id,
            sender=known.institution,
            receiver=self.node.institution.code,
            closing=answered,
            instances=tuple(found),
            facts=self.facts | _asked(known),
            receipted_at=index.now(),
        )
        signed = jws.sign(link.words(receipt), self.node)
        pairs = list(zip(rows, found, strict=True))
        names = {row.id: self._final_name(row) for row in rows if _unnamed(row)}
        with self.index.write() as db:
            row = transfers.known(db, known.id)
            for start in range(0, len(pairs), transfers.TOGETHER):
                _keep_verified(db, pairs[start : start + transfers.TOGETHER], names)
            statements.write(db, row.id, "receipt", signed)
            transfers.set_state(
                db,
                row,
                TransferState.RECEIPTED,
                receipted_at=receipt.receipted_at,
            )
            mine = _instances.c.transfer == row.id
            studies = select(_instances.c.study_uid).where(mine).distinct()
            for study in db.execute(studies).scalars().all():
                key = transfers.study_key(db, row.institution, study)
                index.announce(db, "study", key)
                standings.grown(db, key)
        return signed

    def _final_name(self, row: Held) -> str:
        """Give a level that was filled frame by frame its final name."""
        path = self.store.where(row.path)
        final = path.with_suffix(".dcm")
        durable.publish(path, final)
        return self.store.relative(final)


def _asked(row: Row[Any]) -> dict[str, str]:
    """Return what a receipt says of the request that is kept here (UX-02)."""
    kept = json.loads(row.request)
    return {"request": request.digest(row.priority, row.purpose, kept)} if kept else {}


def _keep_verified(
    db: Connection, pairs: Sequence[tuple[Held, Digest]], names: Mapping[int, str]
) -> None:
    """Write what was found of instances, and where each file lies now.

    Raises
    ------
    StorageError
        Another transfer found one of them damaged meanwhile.
    """
    verified = [
        {
            "verified": row.id,
            "read": row.path,
            "final": names.get(row.id, row.path),
            "own_d1": here.d1,
            "own_d2": here.d2 or here.root or None,
            "own_d3": here.d3,
        }
        for row, here in pairs
    ]
    values = {
        "state": InstanceState.VERIFIED,
        "path": bindparam("final"),
        **{digest: bindparam(f"own_{digest}") for digest in ("d1", "d2", "d3")},
    }
    same = (_instances.c.id == bindparam("verified")) & (_instances.c.path == bindparam("read"))
    if db.execute(update(_instances).where(same).values(**values), verified).rowcount != len(pairs):
        raise StorageError(cause="an instance changed while it was verified")


def _stands(row: Held, here: Digest, opened_at: str) -> bool:
    """Whether an instance is still what was acknowledged when it came (DAT-05).

    It stays as it came first; who closes with other digests has other content under
    its UID.  Not so what came under the very transfer that is closed and was never
    verified: our own memory may have changed it before it was digested.
    """
    if row.d1 is None or here.d1 != row.d1:
        return False
    return bool(row.state == InstanceState.VERIFIED or row.stored_at < opened_at)


def _unnamed(row: Held) -> bool:
    """Whether a file has the name that it has while it is being filled."""
    return str(row.path).endswith(".part")


def _nothing(row: Held) -> Digest:
    """Return what is found where nothing could be read back: equal to no digest."""
    return Digest(row.sop_uid, -1, "0" * 64)


def _settle(
    running: Future[str],
    conclude: Callable[[Future[dict[int, Digest]]], str],
    read: Future[dict[int, Digest]],
) -> None:
    try:
        signed = conclude(read)
    except Exception as failure:
        running.set_exception(failure)
    else:
        running.set_result(signed)
    finally:
        memory.trim()
