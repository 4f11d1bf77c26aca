"""Closing a transfer: read every instance back from the disk, compare, countersign.

A receipt is signed only when each digest that the sender took from its source
equals the one taken here from bytes read back (DIR-07).  A digest is never
compared with one made at the same end.
"""

from __future__ import annotations

import array
import hashlib
import logging
import os
import threading
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import Row, delete, update

from common import durable, link
from common.dicom import digest
from common.errors import IntegrityError, NotDicom, StorageError
from common.link import Closing, Digest, Receipt
from common.proof import jws
from common.proof.identity import Node
from common.states import InstanceState, TransferState
from receiver import index, transfers
from receiver.index import Index
from receiver.store import Store

log = logging.getLogger("todoke.receipts")
_instances, _transfers = index.instances, index.transfers


class Receipts:
    """Verifies closed transfers, one after another, and keeps their receipts.

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
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="verify")
        self._running: dict[str, Future[str]] = {}
        self._lock = threading.RLock()  # a future that has ended calls back at once

    def close(self) -> None:
        """Stop after the transfer that is being verified."""
        self._pool.shutdown(cancel_futures=True)

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
        with self._lock:
            if (running := self._running.get(transfer)) is not None:
                return running
        with self.index.write() as db:
            row = transfers.known(db, transfer)
            if row.receipt is not None and row.closing == statement:
                there: Future[str] = Future()
                there.set_result(str(row.receipt))
                return there
            transfers.set_state(
                db, row, TransferState.DELIVERED, closing=statement, closed_at=index.now()
            )
        with self._lock:
            if (running := self._running.get(transfer)) is None:
                running = self._pool.submit(self._verify, transfer, closing, statement)
                self._running[transfer] = running
                running.add_done_callback(lambda ended: self._forget(transfer, ended))
            return running

    def _forget(self, transfer: str, ended: Future[str]) -> None:
        with self._lock:
            if self._running.get(transfer) is ended:
                del self._running[transfer]

    def _verify(self, transfer: str, closing: Closing, statement: str) -> str:
        with self.index.read() as db:
            row = transfers.known(db, transfer)
            rows = transfers.instances_of(db, transfer)
        slide = row.kind == "slide"
        found = [self._read_back(one, slide=slide) for one in rows]
        unequal = link.compare(closing.instances, found)
        if unequal:
            differ = [pair for pair in zip(rows, found, strict=True) if pair[1].uid in set(unequal)]
            gone = [one for one, here in differ if not _stands(one, here, row.opened_at)]
            self._give_up(transfer, gone)
            raise IntegrityError(cause=f"{len(unequal)} / {len(rows)}", unequal=unequal)
        return self._countersign(transfer, statement, rows, found)

    def _read_back(self, row: Row[Any], *, slide: bool) -> Digest:
        nothing = Digest(row.sop_uid, -1, "0" * 64)
        if row.path is None:  # given up meanwhile
            return nothing
        path = self.store.where(row.path)
        try:
            if slide:
                return _read_back_level(path, row)
            found = digest.of_file(path, row.prefix_length, row.transfer_syntax)
            length = path.stat().st_size - row.prefix_length
        except (OSError, NotDicom, StorageError) as failure:
            log.error("instance %s cannot be read back: %s", row.key, type(failure).__name__)
            return nothing
        return Digest(row.sop_uid, length, found.d1, found.d2, found.d3)

    def _give_up(self, transfer: str, rows: Iterable[Row[Any]]) -> None:
        """Keep what differs aside and wait for it again; the transfer is not receipted."""
        with self.index.write() as db:
            for row in rows:
                if row.path is not None and (path := self.store.where(row.path)).exists():
                    self.store.keep_aside(path)
                db.execute(delete(index.frames).where(index.frames.c.instance == row.id))
                db.execute(
                    update(_instances)
                    .where(_instances.c.id == row.id)
                    .values(state=InstanceState.EXPECTED, path=None, frame_table=None, d1=None)
                )
                log.error("digests of instance %s differ; kept aside, asked for again", row.key)
            transfers.set_state(db, transfers.known(db, transfer), TransferState.SENDING)

    def _countersign(
        self, transfer: str, statement: str, rows: list[Row[Any]], found: list[Digest]
    ) -> str:
        final = {row.id: self._final_name(row) for row in rows}
        with self.index.write() as db:
            row = transfers.known(db, transfer)
            receipt = Receipt(
                transfer=transfer,
                sender=row.institution,
                receiver=self.node.institution.code,
                closing=hashlib.sha256(statement.encode()).hexdigest(),
                instances=tuple(found),
                facts=self.facts,
                receipted_at=index.now(),
            )
            signed = jws.sign(link.words(receipt), self.node)
            for instance, known in zip(rows, found, strict=True):
                db.execute(
                    update(_instances)
                    .where(_instances.c.id == instance.id)
                    .values(
                        state=InstanceState.VERIFIED,
                        path=final[instance.id],
                        d1=known.d1,
                        d2=known.d2 or known.root or None,
                        d3=known.d3,
                    )
                )
            transfers.set_state(
                db,
                row,
                TransferState.RECEIPTED,
                receipt=signed,
                receipted_at=receipt.receipted_at,
            )
            for study in {instance.study_uid for instance in rows}:
                key = transfers.study_key(db, row.institution, study)
                index.announce(db, "study", key)
        return signed

    def _final_name(self, row: Row[Any]) -> str:
        """Give a level that was filled frame by frame its final name."""
        path = self.store.where(row.path)
        if path.suffix != ".part":
            return self.store.relative(path)
        final = path.with_suffix(".dcm")
        durable.publish(path, final)
        return self.store.relative(final)


def _stands(row: Row[Any], here: Digest, opened_at: str) -> bool:
    """Whether an instance is still what was acknowledged when it came (DAT-05).

    It stays as it came first; who closes with other digests has other content under
    its UID.  Not so what came under the very transfer that is closed and was never
    verified: our own memory may have changed it before it was digested.
    """
    if row.d1 is None or here.d1 != row.d1:
        return False
    return bool(row.state == InstanceState.VERIFIED or row.stored_at < opened_at)


def _read_back_level(path: Path, row: Row[Any]) -> Digest:
    """Digest a level from its file: the data set whole, and the root of its frames."""
    table = array.array("Q")
    table.frombytes(bytes(row.frame_table))
    fd = durable.open_file(path)
    try:
        length = os.fstat(fd).st_size - row.prefix_length
        d1 = digest.sha256(digest.pieces(fd, row.prefix_length, length))
        leaves = [
            hashlib.sha256(durable.read_at(fd, size, row.prefix_length + offset)).digest()
            for offset, size in zip(table[::2], table[1::2], strict=True)
        ]
    finally:
        os.close(fd)
    return Digest(row.sop_uid, length, d1, root=digest.merkle_root(leaves))
