"""Instances over C-STORE, from the files where they lie."""

from __future__ import annotations

import hashlib
import itertools
import os
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from common import durable
from common.dicom.association import Context, Outgoing, Requestor
from common.dicom.dataset import DEFLATED
from common.dicom.digest import pieces
from common.errors import (
    ContextNotAccepted,
    InputError,
    PeerBusy,
    PeerRefused,
    SourceChanged,
    TodokeError,
)
from sender.outbox import Instance, stamp

CONTEXTS = 128  # presentation contexts of one association, PS3.8 table 9-18
WARNINGS = {0xB000, 0xB006, 0xB007, 0x0107, 0x0116}  # stored all the same, PS3.4 B.2.3


@dataclass(frozen=True, slots=True)
class Destination:
    """Where and as whom an association is opened.

    Attributes
    ----------
    even : bool
        The peer breaks off at fragments of odd length (PS3.8 section 9.3.5.1), as
        DCMTK and Orthanc do.  A todoke receiver takes them, and gets the data set
        exactly as it lies in the file.
    """

    address: tuple[str, int]
    host: str | None
    tls: ssl.SSLContext | None
    calling_aet: str
    called_aet: str
    even: bool = False


def send(
    to: Destination,
    instances: Sequence[Instance],
    acknowledged: Callable[[Instance], None],
    gives_way: Callable[[], bool] = lambda: False,
) -> list[TodokeError]:
    """Store instances and report each acknowledgement as it comes.

    Parameters
    ----------
    acknowledged : callable
        Called with an instance after the peer's success.
    gives_way : callable
        Asked between two instances; once it says so, no further one begins, and
        those under way are answered.

    Returns
    -------
    list of TodokeError
        One for each instance that the peer did not take.

    Raises
    ------
    SourceChanged
        A file is not what it was when it was digested; nothing of it was stored.
    PeerError
        The association cannot be opened or broke; what was acknowledged stays so.
    """
    refused: list[TodokeError] = []
    for part in itertools.takewhile(lambda _: not gives_way(), _by_contexts(instances)):
        contexts = list(dict.fromkeys(_context(i) for i in part))
        with Requestor.open(
            to.address,
            tls=to.tls,
            server_hostname=to.host,
            calling_aet=to.calling_aet,
            called_aet=to.called_aet,
            contexts=contexts,
        ) as association:
            able = [i for i in part if _context(i) in association.accepted]
            refused += [
                ContextNotAccepted(cause=f"{i.sop_class}, {i.transfer_syntax}")
                for i in part
                if _context(i) not in association.accepted
            ]
            if to.even:
                refused += [InputError(cause="odd length") for i in able if _cannot_be_even(i)]
                able = [i for i in able if not _cannot_be_even(i)]
            refused += _store(association, able, acknowledged, gives_way, even=to.even)
    return refused


def _cannot_be_even(instance: Instance) -> bool:
    """Whether an element of odd length lies in it: only a deflated stream has its own padding."""
    return instance.length % 2 == 1 and instance.transfer_syntax not in DEFLATED


def _store(
    association: Requestor,
    instances: Iterable[Instance],
    acknowledged: Callable[[Instance], None],
    gives_way: Callable[[], bool],
    *,
    even: bool,
) -> list[TodokeError]:
    refused: list[TodokeError] = []
    by_uid = {i.sop_uid: i for i in instances}
    feed = itertools.takewhile(lambda _: not gives_way(), by_uid.values())
    for outcome in association.store(outgoing(i, even=even) for i in feed):
        if outcome.error is None and (outcome.status == 0 or outcome.status in WARNINGS):
            acknowledged(by_uid[outcome.outgoing.sop_instance_uid])
        elif outcome.error is not None:
            refused.append(outcome.error)
        elif outcome.status >> 8 == 0xA7:
            refused.append(PeerBusy(cause=f"status {outcome.status:04X}H"))
        else:
            refused.append(PeerRefused(cause=f"status {outcome.status:04X}H"))
    return refused


def _context(instance: Instance) -> Context:
    return Context(instance.sop_class, instance.transfer_syntax)


def _by_contexts(instances: Sequence[Instance]) -> Iterator[list[Instance]]:
    """Split what needs more presentation contexts than one association can hold."""
    part: list[Instance] = []
    contexts: set[Context] = set()
    for instance in instances:
        if _context(instance) not in contexts and len(contexts) == CONTEXTS:
            yield part
            part, contexts = [], set()
        part.append(instance)
        contexts.add(_context(instance))
    if part:
        yield part


def outgoing(instance: Instance, *, even: bool = False) -> Outgoing:
    """Return an instance as an association sends it: its data set, as it lies in the file.

    Parameters
    ----------
    even : bool
        Give a deflated stream of odd length the NULL byte that its writer forgot
        (PS3.5 section A.5).
    """
    padding = b"\0" * (instance.length % 2) if even else b""
    return Outgoing(
        instance.sop_class,
        instance.sop_uid,
        instance.transfer_syntax,
        instance.length + len(padding),
        lambda: itertools.chain(_checked(instance), [padding] if padding else ()),
    )


def _checked(instance: Instance) -> Iterator[bytes]:
    """Read a data set while checking that it is still the one that was digested.

    The last piece is given only when the whole is known to be unchanged, so a
    changed source never becomes a complete instance at the peer.

    Raises
    ------
    SourceChanged
    """
    path = Path(instance.path)
    try:
        fd = durable.open_file(path)
    except TodokeError as failure:
        raise SourceChanged(path=path) from failure
    try:
        if stamp(os.fstat(fd)) != (instance.size, instance.mtime_ns, instance.inode):
            raise SourceChanged(path=path)
        digest, last, read = hashlib.sha256(), b"", 0
        for piece in pieces(fd, instance.offset, instance.length):
            digest.update(piece)
            read += len(piece)
            if last:
                yield last
            last = piece
        if read != instance.length or digest.hexdigest() != instance.d1:
            raise SourceChanged(path=path)
        yield last
    finally:
        os.close(fd)
