"""Instances over C-STORE, from the files where they lie."""

from __future__ import annotations

import contextlib
import itertools
import ssl
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from common import tls
from common.dicom.association import Context, Outgoing, Paced, Requestor, Source
from common.dicom.calling import Reach, reach
from common.dicom.dataset import DEFLATED
from common.errors import (
    ContextNotAccepted,
    InputError,
    PeerBusy,
    PeerFull,
    PeerRefused,
    PeerUnreachable,
    TodokeError,
    TooLargeForPeer,
)
from sender.compression.flight import Coded, Flight
from sender.links.several import Several
from sender.outbox import Instance
from sender.partners import Partner
from sender.sources import FileSource

Acknowledged = Callable[[Instance, str], None]
GivesWay = Callable[[], bool]
#: Opens the bytes of an instance; the second is told D1 before the last piece is sent.
Opening = Callable[[Instance, Callable[[str], None]], Source]
Association = TypeVar("Association", bound=Requestor)
Going = tuple[Instance, Coded | None]  # None: as it lies in its file
CONTEXTS = 128  # presentation contexts of one association, PS3.8 table 9-18
PLAIN_MOST = (1 << 32) - 2  # bytes of a data set, what a 32 bit length can say
WINDOW = 32  # instances unanswered at a time, where the peer has the window
WARNINGS = {0xB000, 0xB006, 0xB007, 0x0107, 0x0116}  # stored all the same, PS3.4 B.2.3


@dataclass(frozen=True, slots=True)
class Destination:
    """Where and as whom an association is opened.

    Attributes
    ----------
    addresses : tuple of (str, int)
        Tried in order.
    even : bool
        The peer breaks off at fragments of odd length (PS3.8 section 9.3.5.1), as
        DCMTK and Orthanc do.  A todoke receiver takes them, and gets the data set
        exactly as it lies in the file.
    associations : int
        Most at a time, where the peer has no window.
    pieces : callable, optional
        Gives what is to be sent in the pieces, and at the moments, that a cap allows.
    reach : callable
        Gives a connection, which may have been made while the job was read.
    flight : Flight, optional
        Chooses what is compressed on the way to an end that proves what it stored.
    source : callable
        Opens what goes as it is: a file's data set, or one made of a slide's tiles.
    """

    addresses: tuple[tuple[str, int], ...]
    host: str | None
    tls: ssl.SSLContext | None
    calling_aet: str
    called_aet: str
    even: bool = False
    associations: int = 4
    pieces: Paced | None = None
    reach: Reach = reach
    flight: Flight | None = None
    source: Opening = FileSource


def tls_towards(partner: Partner, profile: str) -> ssl.SSLContext | None:
    """Return the TLS of associations to a partner, None where it has none.

    Raises
    ------
    RevocationListUnusable
        Of the list that its entry names.
    """
    if not partner.ca:
        return None
    own = partner.credentials
    return tls.client_context(
        own if own.key.exists() else None,
        [partner.ca],
        profile=profile,
        check_host=not partner.leaf,
        lists=partner.lists(),
    )


def check_lengths(owed: Iterable[Instance]) -> None:
    """Refuse a whole transfer of which a peer without the link cannot be trusted to take all.

    A study that lacks its largest object would look whole there (decision 0015).

    Raises
    ------
    TooLargeForPeer
    """
    for one in owed:
        if one.length > PLAIN_MOST:
            raise TooLargeForPeer(cause=f"{one.length / (1 << 30):.1f} GiB")


def send(
    to: Destination,
    instances: Sequence[Instance],
    acknowledged: Acknowledged,
    gives_way: GivesWay = lambda: False,
) -> list[TodokeError]:
    """Store instances and report each acknowledgement as it comes.

    Parameters
    ----------
    acknowledged : callable
        Called with an instance and D1 of what was sent, after the peer's success.
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
        A file is not what it was when it was found; nothing of it was stored.
    PeerError
        The association cannot be opened or broke; what was acknowledged stays so.
    """
    refused: list[TodokeError] = []

    def ends(_part: Sequence[Instance]) -> bool:
        return gives_way() or (not to.even and _is_full(refused))

    for part in itertools.takewhile(lambda part: not ends(part), _by_contexts(to, instances)):
        contexts = list(dict.fromkeys(c for i in part for c in _contexts(to, i)))
        with open_association(to, contexts, Requestor) as association:
            able, unable = _able(to, part, association.accepted)
            refused += unable
            refused += _send(to, contexts, association, able, acknowledged, gives_way)
    return refused


def _able(
    to: Destination, part: Sequence[Instance], accepted: frozenset[Context]
) -> tuple[list[Instance], list[TodokeError]]:
    """Return what the peer can take, and an error for each other."""
    able: list[Instance] = []
    unable: list[TodokeError] = []
    for instance in part:
        if _context(instance) not in accepted:
            cause = f"{instance.sop_class}, {instance.transfer_syntax}"
            unable.append(ContextNotAccepted(cause=cause))
        elif to.even and _cannot_be_even(instance):
            unable.append(InputError(cause="odd length"))
        else:
            able.append(instance)
    return able, unable


def _send(
    to: Destination,
    contexts: Sequence[Context],
    association: Requestor,
    able: Sequence[Instance],
    acknowledged: Acknowledged,
    gives_way: GivesWay,
) -> list[TodokeError]:
    """Store over this association, and over further ones where it has no window."""
    if association.window > 1 or to.associations == 1:
        with contextlib.closing(_on_their_way(to, association, able)) as going:
            # asked when one is about to be sent, and not when it is coded ahead
            unhurried = itertools.takewhile(lambda _: not gives_way(), going)
            answered = to.flight.answered if to.flight else None
            return _store(to, association, unhurried, acknowledged, answered)

    def told(instance: Instance, d1: str) -> None:
        acknowledged(instance, d1)
        several.acknowledged(instance)

    several = Several(
        lambda: open_association(to, contexts, Requestor),
        lambda one, some: _store(to, one, ((i, None) for i in some), told),
        to.associations,
    )
    return several.run(association, itertools.takewhile(lambda _: not gives_way(), able))


def _on_their_way(
    to: Destination, association: Requestor, able: Sequence[Instance]
) -> Generator[Going]:
    if to.flight is None:
        yield from ((instance, None) for instance in able)
    else:
        yield from to.flight.prepare(able, association.accepted)


def open_association(
    to: Destination,
    contexts: Sequence[Context],
    kind: type[Association],
    window: int = WINDOW,
) -> Association:
    """Open an association at the first address that answers."""
    failure: TodokeError = PeerUnreachable(peer=to.called_aet, cause="no address")
    for address in to.addresses:
        try:
            return kind.open(
                address,
                tls=to.tls,
                server_hostname=to.host,
                calling_aet=to.calling_aet,
                called_aet=to.called_aet,
                contexts=contexts,
                window=window,
                pieces=to.pieces,
                reach=to.reach,
            )
        except PeerUnreachable as unreachable:
            failure = unreachable
    raise failure


def _cannot_be_even(instance: Instance) -> bool:
    """Whether an element of odd length lies in it: only a deflated stream has its own padding."""
    return instance.length % 2 == 1 and instance.transfer_syntax not in DEFLATED


def _store(
    to: Destination,
    association: Requestor,
    going: Iterator[Going],
    acknowledged: Acknowledged,
    answered: Callable[[Instance], None] | None = None,
) -> list[TodokeError]:
    refused: list[TodokeError] = []
    under_way: dict[str, Instance] = {}
    digests: dict[str, str] = {}

    def sent() -> Iterator[Outgoing]:
        for instance, coded in going:
            if not to.even and _is_full(refused):
                return  # a todoke receiver would refuse the rest too, after it came all the way
            under_way[instance.sop_uid] = instance
            keep = partial(digests.__setitem__, instance.sop_uid)
            as_it_is = outgoing(instance, even=to.even, read=keep, source=to.source)
            yield coded.outgoing(keep) if coded else as_it_is

    for outcome in association.store(sent()):
        uid = outcome.outgoing.sop_instance_uid
        instance, d1 = under_way.pop(uid), digests.pop(uid, "")
        if answered is not None:
            answered(instance)
        if outcome.error is None and (outcome.status == 0 or outcome.status in WARNINGS):
            acknowledged(instance, d1)
        elif outcome.error is not None:
            refused.append(outcome.error)
        elif outcome.status >> 8 == 0xA7:
            refused.append(PeerBusy(cause=f"status {outcome.status:04X}H"))
        else:
            refused.append(PeerRefused(cause=f"status {outcome.status:04X}H"))
    return refused


def _is_full(refused: Sequence[TodokeError]) -> bool:
    return any(isinstance(error, PeerFull) for error in refused)


def _context(instance: Instance) -> Context:
    return Context(instance.sop_class, instance.transfer_syntax)


def _contexts(to: Destination, instance: Instance) -> list[Context]:
    """Return what an instance may be sent in, as it is first."""
    return [_context(instance)] if to.flight is None else to.flight.contexts(instance)


def _by_contexts(to: Destination, instances: Sequence[Instance]) -> Iterator[list[Instance]]:
    """Split what needs more presentation contexts than one association can hold."""
    part: list[Instance] = []
    contexts: set[Context] = set()
    for instance in instances:
        needed = contexts.union(_contexts(to, instance))
        if len(needed) > CONTEXTS:
            yield part
            part, needed = [], set(_contexts(to, instance))
        part.append(instance)
        contexts = needed
    if part:
        yield part


def outgoing(
    instance: Instance,
    *,
    even: bool = False,
    read: Callable[[str], None] = lambda _d1: None,
    source: Opening = FileSource,
) -> Outgoing:
    """Return an instance as an association sends it: its data set, as its source gives it.

    Parameters
    ----------
    even : bool
        Give a deflated stream of odd length the NULL byte that its writer forgot
        (PS3.5 section A.5).
    read : callable
        Told D1 of what was read, before the last piece of it is sent.
    """
    return Outgoing(
        instance.sop_class,
        instance.sop_uid,
        instance.transfer_syntax,
        instance.length + (instance.length % 2 if even else 0),
        lambda: source(instance, read),
    )
