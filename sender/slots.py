"""The slots that an opening announces: what will come, before any of it has."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from common.link import Slot
from sender.outbox import Instance

if TYPE_CHECKING:
    from sender.slides import Slide


def of_images(instances: Iterable[Instance]) -> tuple[Slot, ...]:
    """Return the slots of instances that are sent whole."""
    return tuple(
        Slot(i.sop_uid, i.sop_class, i.transfer_syntax, i.series, i.number, i.length)
        for i in instances
    )


def of_slide(instances: Sequence[Instance], slide: Slide) -> tuple[Slot, ...]:
    """Return the slots of a slide's levels, with their headers and JPEG tables."""
    return tuple(
        Slot(
            i.sop_uid, i.sop_class, i.transfer_syntax, i.series, i.number,
            frames=level.frames,
            header=_base64(level.header),
            prefix=_base64(level.prefix),
            offsets=level.offsets,
        )
        for i, level in zip(instances, slide.instances, strict=True)
    )  # fmt: skip


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
