"""UIDs that were sent before: the same content may go again, other content may not (DAT-05).

Only what left this sender counts.  A study that was held, put right and sent anew has
its UIDs again, as it must.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from common.errors import TodokeError
from sender import identity
from sender.outbox import Instance


@dataclass(frozen=True, slots=True)
class Sent:
    """An instance of an earlier transfer.

    Attributes
    ----------
    transfer : str
        Its id.
    """

    transfer: str
    instance: Instance


def other_content(instances: Iterable[Instance], before: Mapping[str, list[Sent]]) -> list[str]:
    """Return the transfers that sent other content under the UID of one of these instances.

    What went once in these very bytes may go again, whatever else went besides.
    Instances are compared by D1, and so only in the same transfer syntax: the same
    image may have been compressed meanwhile, which the receiver can tell (by D3).
    """
    if not before:
        return []
    found: set[str] = set()
    for one in instances:
        sent = before.get(one.sop_uid, ())
        if sent and all(_differ(one, earlier.instance) for earlier in sent):
            found.update(earlier.transfer for earlier in sent)
    return sorted(found)


def _differ(one: Instance, sent: Instance) -> bool:
    if one.transfer_syntax != sent.transfer_syntax or one.frames or sent.frames:
        return False  # of a slide's level D1 is that of its header
    if one.length != sent.length:
        return True
    if (one.path, one.size, one.mtime_ns) == (sent.path, sent.size, sent.mtime_ns):
        return False  # the same file, as it was
    try:
        return identity.d1(one) != (sent.d1 or identity.d1(sent))
    except (TodokeError, OSError):
        return False  # the earlier file is gone, and nothing of it was read: nobody can tell
