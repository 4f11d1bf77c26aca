"""The ways to an agreed target: C-STORE to a DICOM node, or files into a folder.

Bytes leave as they lie here, and none that are not the ones that were acknowledged: each
instance is digested while it is read, its last piece held back until D1 is the index's.
A target never has a whole copy of a damaged instance.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Row

from common import durable, tls
from common.dicom import commitment, digest
from common.dicom.association import Context, NormalizedRequestor, Outgoing, Requestor
from common.dicom.outlay import Pieces
from common.errors import (
    ForwardedDiffers,
    ImageDamaged,
    StorageError,
    TargetFolderGone,
    TodokeError,
)
from common.proof.identity import Node
from receiver.forward_targets import Target
from receiver.store import Store

log = logging.getLogger("todoke.forward")
Kind = TypeVar("Kind", bound=Requestor)
CONTEXTS = 128  # presentation contexts of one association, PS3.8 table 9-18


@dataclass(frozen=True)
class Answer:
    """What became of one instance: taken where there is no error.

    Attributes
    ----------
    status : int or None
        As the target answered (PS3.4 table B.2-1); None of a folder, and where nothing
        was asked.
    """

    row: Row[Any]
    status: int | None
    error: TodokeError | None


#: Sends instances and yields what became of each; facts of the connection go to the dict.
Way = Callable[[Target, str, Sequence[Row[Any]], dict[str, Any]], Iterator[Answer]]


def sound(fd: int, offset: int, length: int, d1: str) -> Generator[bytes]:
    """Yield a data set, its last piece only once the whole is what was acknowledged.

    Raises
    ------
    ImageDamaged
        It is not; at least one byte was not yielded.
    """
    seen, held = hashlib.sha256(), b""
    for piece in digest.pieces(fd, offset, length):
        if held:
            yield held
        seen.update(piece)
        held = piece
    if seen.hexdigest() != d1:
        raise ImageDamaged
    yield held


def _opened(store: Store, row: Row[Any]) -> int:
    path = store.where(row.path)
    try:
        return durable.open_file(path)
    except StorageError:
        if path.exists():
            raise
        raise ImageDamaged from None


class ByDicom:
    """C-STORE as SCU (PS3.4 annex B), in the transfer syntax that each instance has.

    Parameters
    ----------
    aet : str
        Our AE title.
    profile : str
        TLS profile, for targets with TLS.
    """

    def __init__(self, store: Store, node: Node, aet: str, profile: str) -> None:
        self._store = store
        self._node = node
        self._aet = aet
        self._profile = profile

    def __call__(
        self, target: Target, study: str, rows: Sequence[Row[Any]], facts: dict[str, Any]
    ) -> Iterator[Answer]:
        """Send instances and yield the answer to each.

        Raises
        ------
        PeerError
            The association is none, or has broken: instances without an answer are unknown.
        """
        contexts = list(dict.fromkeys(Context(r.sop_class, r.transfer_syntax) for r in rows))
        for start in range(0, len(contexts), CONTEXTS):
            some = contexts[start : start + CONTEXTS]
            among = [r for r in rows if Context(r.sop_class, r.transfer_syntax) in some]
            with self._associated(target, some, Requestor) as association:
                facts |= {
                    "implementation": association.peer.implementation_version,
                    "tls": association.peer.tls_version,
                    "cipher": association.peer.cipher,
                }
                by_uid = {row.sop_uid: row for row in among}
                for outcome in association.store(map(self._outgoing, among)):
                    row = by_uid[outcome.outgoing.sop_instance_uid]
                    asked = outcome.error is None or not isinstance(outcome.error, ImageDamaged)
                    yield Answer(row, outcome.status if asked else None, outcome.error)

    def commitment(self, target: Target) -> NormalizedRequestor:
        """Return an association to ask for Storage Commitment on (PS3.4 annex J).

        Raises
        ------
        PeerError
        """
        return self._associated(target, commitment.CONTEXTS, NormalizedRequestor, window=1)

    def _associated(
        self,
        target: Target,
        contexts: Sequence[Context],
        kind: type[Kind],
        window: int = 32,
    ) -> Kind:
        context = None
        if target.ca is not None:
            own = self._node.credentials
            context = tls.client_context(own, [target.ca], profile=self._profile)
        return kind.open(
            (str(target.host), int(target.port or 0)),
            tls=context,
            server_hostname=target.host if context else None,
            calling_aet=self._aet,
            called_aet=str(target.aet),
            contexts=contexts,
            window=window,
        )

    def _outgoing(self, row: Row[Any]) -> Outgoing:
        def opened() -> Pieces:
            return Pieces(row.length, self._pieces(row))

        return Outgoing(row.sop_class, row.sop_uid, row.transfer_syntax, row.length, opened)

    def _pieces(self, row: Row[Any]) -> Generator[bytes]:
        fd = _opened(self._store, row)
        try:
            yield from sound(fd, row.prefix_length, row.length, row.d1)
        finally:
            os.close(fd)


class ByFolder:
    """Part 10 files in a folder: ``FOLDER/STUDY/INSTANCE.dcm``, names that nobody's data made.

    A file appears under its name when it is whole, on the disk, and was read back.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(
        self, target: Target, study: str, rows: Sequence[Row[Any]], facts: dict[str, Any]
    ) -> Iterator[Answer]:
        """Write instances and yield what became of each.

        Raises
        ------
        TargetFolderGone
            The folder is not there: it is not made, since a share that is not mounted
            would be replaced by a folder of this machine.
        """
        root = Path(str(target.folder))
        if not root.is_dir():
            raise TargetFolderGone(target=target.name)
        durable.make_folder(root / study)
        for row in rows:
            try:
                self._write(target, root / study / f"{row.key}.dcm", row)
            except TodokeError as error:
                yield Answer(row, None, error)
            else:
                yield Answer(row, None, None)

    def _write(self, target: Target, final: Path, row: Row[Any]) -> None:
        if final.exists() and _reads_as(final, row):
            return  # written before a restart
        part = final.with_name(f".{final.name}.part")
        durable.discard(part)
        fd = _opened(self._store, row)
        try:
            with contextlib.ExitStack() as undone:
                undone.callback(durable.discard, part)
                self._copy(fd, part, row)
                if not _reads_as(part, row):
                    raise ForwardedDiffers(target=target.name)
                undone.pop_all()
            durable.publish(part, final)
        finally:
            os.close(fd)

    @staticmethod
    def _copy(fd: int, part: Path, row: Row[Any]) -> None:
        made = durable.create(part)
        try:
            durable.write_at(made, durable.read_at(fd, row.prefix_length, 0), 0)
            at = row.prefix_length
            for piece in sound(fd, row.prefix_length, row.length, row.d1):
                durable.write_at(made, piece, at)
                at += len(piece)
            durable.sync_data(made)
            durable.drop_cached(made)  # what is read back comes from the disk
        finally:
            os.close(made)


def _reads_as(path: Path, row: Row[Any]) -> bool:
    """Whether a file has the data set of a row, read back from the disk."""
    fd = durable.open_file(path)
    try:
        if os.fstat(fd).st_size != row.prefix_length + row.length:
            return False
        read = digest.sha256(digest.pieces(fd, row.prefix_length, row.length))
        return bool(read == row.d1)
    finally:
        os.close(fd)


def is_final(error: TodokeError) -> bool:
    """Whether trying again by itself cannot help: the target refuses the instance."""
    return not (error.retryable or isinstance(error, ImageDamaged))
