"""The instances of one transfer on their way: how each is sent is chosen, kept, and made ahead."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common.dicom.association import Context, Outgoing
from common.dicom.outlay import Pieces
from common.dicom.samples import HTJ2K, JPEG_LS
from common.errors import TodokeError
from common.link import COMPRESSED, NATIVE
from sender.compression import lines, splice
from sender.compression.ahead import ahead
from sender.compression.choice import PLAIN, Choice
from sender.compression.eligible import LARGEST, look
from sender.compression.splice import Spliced, compress
from sender.outbox import Instance
from sender.sources import FileSource

TOGETHER = 16  # instances that are chosen for at once: each choice is a write to the disk
#: What the setting `compression` may choose from.
CODINGS = {"auto": (HTJ2K, JPEG_LS), "off": (), "htj2k": (HTJ2K,), "jpegls": (JPEG_LS,)}

Choosing = tuple[Instance, str]  # and the transfer syntax it is sent in


def cores() -> int:
    """Return the processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(slots=True)
class Flight:
    """Chooses how instances are sent to an end that proves what it stored.

    Parameters
    ----------
    data : Path
        The sender's data directory, which keeps what lines take.
    partner : str
        Whose line it is.
    compression : str
        The setting, a key of :data:`CODINGS`.
    encoders : int
        Cores that may encode.
    keep : callable
        Makes durable, by UID, in which transfer syntax instances will be sent.
    """

    data: Path
    partner: str
    compression: str
    encoders: int
    keep: Callable[[Mapping[str, str]], None]
    choice: Choice = field(init=False)
    _ways: dict[str, str] = field(default_factory=dict, init=False)  # chosen, and unanswered

    def __post_init__(self) -> None:
        before = lines.known(self.data).get(self.partner, {})
        self.choice = Choice(before.pop(lines.LINE, None), before)
        if self.encoders and CODINGS[self.compression]:
            # beside the handshakes: loading a codec takes as long as they do
            threading.Thread(target=splice.load, name="codecs", daemon=True).start()

    def contexts(self, instance: Instance) -> list[Context]:
        """Return the presentation contexts that an instance may need, its own first."""
        own = instance.transfer_syntax
        syntaxes = [own]
        if instance.sent_as in COMPRESSED:
            syntaxes.append(instance.sent_as)
        elif not instance.sent_as and own == NATIVE and self.encoders:
            syntaxes += CODINGS[self.compression]
        return [Context(instance.sop_class, s) for s in dict.fromkeys(syntaxes)]

    def prepare(
        self, instances: Iterable[Instance], accepted: frozenset[Context]
    ) -> Generator[tuple[Instance, Coded | None]]:
        """Yield instances in order, coded where that delivers more."""
        line = self.choice.line
        chosen = self._chosen(iter(instances), accepted)
        made = ahead(
            self._make,
            chosen,
            cost=_cost,
            workers=max(1, self.encoders),
            # a line that has nothing to carry carries nothing the better for it
            meanwhile=lambda chosen: (chosen[0], None),
            hungry=lambda: line.hungry,
        )
        try:
            since = time.perf_counter()
            for instance, coded in made:
                line.idle(time.perf_counter() - since)
                size = instance.length if coded is None else coded.length
                yield instance, coded
                since = time.perf_counter()
                line.sent(instance.sop_uid, size, since)
        finally:
            made.close()
            # also what a line took with ease: the next transfer need not begin by coding
            taken = {lines.LINE: line.rate} if line.rate else {}
            lines.keep(self.data, self.partner, self.choice.delivered.new | taken)

    def answered(self, instance: Instance) -> None:
        """Note that the peer has answered an instance, whatever it said."""
        at = time.perf_counter()
        self.choice.line.answered(instance.sop_uid, at)
        way = self._ways.pop(instance.sop_uid, PLAIN)
        self.choice.delivered.answered(way, instance.length, at)

    def _chosen(
        self, instances: Iterator[Instance], accepted: frozenset[Context]
    ) -> Iterator[Choosing]:
        """Yield each instance with the syntax that it is sent in, which is kept by then."""
        while some := list(itertools.islice(instances, TOGETHER)):
            syntaxes = {i.sop_uid: i.sent_as or self._syntax(i, accepted) for i in some}
            # what goes as it is needs no note: a further try may choose anew
            fresh = [i for i in some if syntaxes[i.sop_uid] not in (i.sent_as, i.transfer_syntax)]
            if fresh:
                self.keep({i.sop_uid: syntaxes[i.sop_uid] for i in fresh})
            for instance in some:
                syntax = syntaxes[instance.sop_uid]
                if syntax != instance.transfer_syntax:
                    self._ways[instance.sop_uid] = syntax
                taken = Context(instance.sop_class, syntax) in accepted
                yield instance, syntax if taken else instance.transfer_syntax

    def _syntax(self, instance: Instance, accepted: frozenset[Context]) -> str:
        own = instance.transfer_syntax
        if own != NATIVE or instance.length > LARGEST or not self.encoders:
            return own
        able = [s for s in CODINGS[self.compression] if Context(instance.sop_class, s) in accepted]
        if self.compression == "auto":
            return self.choice.syntax(able, self.encoders) or own
        return able[0] if able else own

    def _make(self, chosen: Choosing) -> tuple[Instance, Coded | None]:
        instance, syntax = chosen
        if syntax == instance.transfer_syntax:
            return instance, None
        since = time.perf_counter()  # reading and D1 take the encoder's time too
        try:
            data_set, d1 = _read(instance)
        except TodokeError:
            return instance, None  # it will be told of where it is sent as it is
        native = look(data_set)
        if native is None:
            return instance, None
        spliced = compress(data_set, native, syntax)
        seconds = time.perf_counter() - since
        self.choice.encoded(syntax, len(data_set), spliced.length if spliced else 0, seconds)
        return instance, None if spliced is None else Coded(instance, spliced, d1)


class Coded:
    """A coded instance, given up as it is sent: others wait for their acknowledgement.

    Attributes
    ----------
    length : int
        Bytes of its data set.
    """

    def __init__(self, instance: Instance, spliced: Spliced, d1: str) -> None:
        self.length = spliced.length
        self._instance = instance
        self._parts: Sequence[bytes | memoryview] = spliced.parts
        self._syntax = spliced.transfer_syntax_uid
        self._d1 = d1

    def outgoing(self, read: Callable[[str], None]) -> Outgoing:
        """Return it as an association sends it, once.

        Parameters
        ----------
        read : callable
            Told D1 of the source, before the first piece is sent.
        """

        def opened() -> Pieces:
            read(self._d1)
            parts, self._parts = self._parts, ()
            return Pieces(self.length, parts)

        instance = self._instance
        return Outgoing(instance.sop_class, instance.sop_uid, self._syntax, self.length, opened)


def _cost(chosen: Choosing) -> int:
    instance, syntax = chosen
    return 0 if syntax == instance.transfer_syntax else instance.length


def _read(instance: Instance) -> tuple[bytearray, str]:
    """Read a data set whole, with its D1.

    Raises
    ------
    SourceChanged
    """
    found: list[str] = []
    source = FileSource(instance, found.append)
    try:
        data_set = bytearray(instance.length)
        source.read([memoryview(data_set)])
    finally:
        source.close()
    return data_set, found[0]
