"""Where images come in by themselves: modalities of the house, and watched folders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sender.engine import Engine


@contextmanager
def open_doors(engine: Engine) -> Iterator[dict[str, Any]]:
    """Open the doors that the settings name; give their addresses.

    Neither faces the WAN: the modality door listens on a named LAN address only,
    and without one not at all.  The doors for Storage Commitment are a partner's
    own, where its entry names an address.
    """
    from sender import declaring
    from sender.doors import commitment
    from sender.doors.folder import FolderDoor
    from sender.doors.modality import ModalityDoor

    settings = engine.settings
    words: dict[str, Any] = {"modality": None, "watch": list(settings.watch)}
    with ExitStack() as opened:
        if settings.modality_bind:
            door = opened.enter_context(
                ModalityDoor(engine.data, engine.outbox, settings, submitted=engine.wake)
            )
            words["modality"] = {"address": door.address[0], "port": door.address[1]}
        if settings.watch:
            house = declaring.house(engine.outbox, settings, engine.node.institution.code)
            opened.enter_context(
                FolderDoor(engine.outbox, settings, submitted=engine.wake, house=house)
            )
        words["commitment"] = opened.enter_context(commitment.open_doors(engine))
        yield words
