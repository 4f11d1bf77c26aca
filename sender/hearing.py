"""Hears what reading rooms say, and tells them what is written, while the sender runs.

We dial out only, so a question stands at each receiver, and is answered as soon as there is
something: a state, a query, an alarm reaches this end in a round trip.  What a person writes
here goes out by a connection of its own.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import NoNewsThere, NotFound, PeerRefused, SettingsError, TodokeError
from common.proof.identity import Node
from common.settings import Sender
from sender import stopped
from sender.correspondence import Letter
from sender.delivery import Delivery
from sender.outbox import Outbox
from sender.partners import Partner, load_partners

if TYPE_CHECKING:
    from sender.engine import Engine
    from sender.links.http import LinkClient

log = logging.getLogger("todoke.hearing")
LOOK = 0.5  # seconds between two looks whether something is to be sent
PARTNERS_AGAIN = 5.0  # seconds until partners that are new are seen
PAUSES = (0.5, 1.0, 2.0, 5.0, 15.0, 30.0)  # seconds after a failure, and after the next
OLD = 300.0  # seconds until a receiver that knows no news is asked again
ENDING = 2.0  # seconds that threads have to end; nothing hangs on them


class Hearing:
    """One thread a receiver that asks, and one that sends.

    Parameters
    ----------
    data : Path
        The sender's data directory.
    outbox : Outbox
        Open for as long as this runs.
    """

    def __init__(self, data: Path, outbox: Outbox, node: Node, settings: Sender) -> None:
        self._data = data
        self._ours = outbox, node, settings
        self._outbox = outbox
        self._stop = threading.Event()
        self._clients: dict[str, LinkClient] = {}
        self._threads: dict[str, threading.Thread] = {}

    def start(self) -> None:
        """Begin."""
        self._begin("", self._send_on)

    def stop(self) -> None:
        """End; questions that stand are broken off."""
        self._stop.set()
        for client in list(self._clients.values()):
            client.break_off()
            client.close()
        for thread in list(self._threads.values()):
            thread.join(ENDING)

    def _begin(self, name: str, work: object) -> None:
        thread = threading.Thread(target=work, name=f"hear-{name}", daemon=True)  # type: ignore[arg-type]
        self._threads[name] = thread
        thread.start()

    def _send_on(self) -> None:
        """Send what is written; see to it that every receiver is asked."""
        tries, looked = 0, 0.0
        while not self._stop.wait(LOOK if not tries else PAUSES[min(tries, len(PAUSES)) - 1]):
            looked -= LOOK
            try:
                if looked <= 0:
                    looked = PARTNERS_AGAIN
                    self._ask_all()
                for letter in self._outbox.unsent():
                    with contextlib.closing(self._delivery(letter.partner).connect()) as client:
                        send(self._outbox, client, letter)
                for key in list(self._threads):
                    if key and self._outbox.untold(key):
                        with contextlib.closing(self._delivery(key).connect()) as client:
                            stopped.tell_all(self._outbox, client, key)
                tries = 0
            except Exception as failure:  # whatever one peer brings about ends nothing here
                tries += 1
                self._say(failure)

    def _ask_all(self) -> None:
        for partner in load_partners(self._data):
            if partner.kind == "todoke" and partner.key not in self._threads:
                key = partner.key
                self._begin(key, lambda key=key: self._listen(key))

    def _delivery(self, key: str) -> Delivery:
        return Delivery(*self._ours, _named(self._data, key), self._stop)

    def _listen(self, key: str) -> None:
        tries, pause = 0, 0.0
        while not self._stop.wait(pause):
            try:
                with contextlib.closing(self._delivery(key).connect()) as client:
                    self._clients[key] = client
                    while not self._stop.is_set():
                        hear(self._outbox, client, key)
                        tries = 0
            except NoNewsThere:
                pause = OLD
            except Exception as failure:
                pause = PAUSES[min(tries, len(PAUSES) - 1)]
                tries += 1
                self._say(failure)
            finally:
                self._clients.pop(key, None)

    def _say(self, failure: Exception) -> None:
        if not self._stop.is_set():
            words = failure.number if isinstance(failure, TodokeError) else ""
            log.warning("news: %s %s", type(failure).__name__, words)


def hear(outbox: Outbox, client: LinkClient, partner: str, *, wait: bool = True) -> None:
    """Ask a receiver for news and keep it.

    Raises
    ------
    NoNewsThere
        It is of a version without news.
    PeerError, StorageError
    """
    last, listening, audible = outbox.heard_to(partner)
    outbox.take(partner, client.tidings(last, listening, audible, wait=wait))


def send(outbox: Outbox, client: LinkClient, letter: Letter) -> None:
    """Send words to a receiver; what it refuses is kept as refused, and said.

    Raises
    ------
    PeerError
        It could not be reached: tried again later.
    """
    said = {"id": letter.id, "study": letter.study, "kind": letter.kind}
    said |= {"answers": letter.answers, "text": letter.text, "by": letter.by}
    try:
        client.say(said)
    except (NoNewsThere, NotFound, PeerRefused) as refused:
        outbox.letter_sent(letter.id, refused.number)
        return
    outbox.letter_sent(letter.id)


def exchange(data: Path, outbox: Outbox) -> list[TodokeError]:
    """Hear and send once, for a verb where no daemon runs; return what failed."""
    from common.proof.role import Role

    node, settings = Node.load(data, Role.REQUESTER), Sender.load(data)
    failures: list[TodokeError] = []
    for partner in load_partners(data):
        if partner.kind != "todoke":
            continue
        try:
            work = Delivery(outbox, node, settings, partner, threading.Event())
            with contextlib.closing(work.connect()) as client:
                for letter in outbox.unsent():
                    if letter.partner == partner.key:
                        send(outbox, client, letter)
                stopped.tell_all(outbox, client, partner.key)
                hear(outbox, client, partner.key, wait=False)
        except TodokeError as failure:
            failures.append(failure)
    return failures


def _named(data: Path, key: str) -> Partner:
    for partner in load_partners(data):
        if partner.key == key:
            return partner
    raise SettingsError(path="partners", key=key, cause="?")


@contextlib.contextmanager
def keeping(engine: Engine) -> Iterator[None]:
    """Hear and send while an engine runs."""
    hearing = Hearing(engine.data, engine.outbox, engine.node, engine.settings)
    hearing.start()
    try:
        yield
    finally:
        hearing.stop()
