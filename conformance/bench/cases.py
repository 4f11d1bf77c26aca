"""The table of what is measured: groups that share a line, and the rows made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from common.errors import NotFound
from conformance.bench.line import Quality
from conformance.bench.runner import Group

MBIT = 1e6 / 8  # bytes a second

GROUPS = (
    Group(
        "loopback",
        (
            "todoke", "DCMTK", "DCMTK as installed", "DCMTK -> Orthanc", "pynetdicom",
            "todoke -> storescp", "todoke -> storescp as installed",
            "storescu as installed -> todoke",
        ),
        500, 60,
    ),
    Group("disk", ("todoke", "DCMTK", "DCMTK, then synced"), 500, 60, disk=True),
    Group("evidence", ("todoke uncompressed", "todoke without evidence", "receipt"), 500, 60),
    Group("sustained", ("todoke", "DCMTK"), 3000, 200, rounds=7, disk=True),
    # a daemon is started again for another setting: those that share one stand side by side
    Group(
        "100 Mbit/s 20 ms",
        (
            "raw TLS", "todoke uncompressed", "todoke -> storescp --fork", "todoke -> Orthanc",
            "todoke", "first view", "DCMTK",
        ),
        100, 100, Quality(0.010, 100 * MBIT),
    ),
    Group("100 Mbit/s 80 ms", ("todoke", "DCMTK"), 100, 100, Quality(0.040, 100 * MBIT)),
    Group(
        "1 Gbit/s 20 ms", ("raw TLS", "todoke uncompressed", "todoke", "DCMTK x 4"),
        200, 200, Quality(0.010, 1000 * MBIT),
    ),
    # a line without delay or limit, which tells when a first byte came
    Group(
        "start",
        ("send with daemon", "send without daemon", "sender run", "receiver run"),
        1, 1, Quality(),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One row: two entrants of a group, or one and a bound.

    Attributes
    ----------
    peer : str or float
        An entrant, or a bound in seconds.
    goal : float
        Of the ratio, peer / ours.
    """

    group: str
    name: str
    ours: str
    peer: str | float
    goal: float

    @property
    def peer_name(self) -> str:
        """The peer as a row names it."""
        return self.peer if isinstance(self.peer, str) else f"bound {self.peer:g} s"


NEAR, FAR, FAST = "100 Mbit/s 20 ms", "100 Mbit/s 80 ms", "1 Gbit/s 20 ms"
FROM_PRODUCT = "storescu as installed -> todoke"

CASES = (
    Case("loopback", "loopback", "todoke", "DCMTK", 1.0),
    Case("sustained", "loopback, sustained, on disk", "todoke", "DCMTK", 1.1),
    Case("loopback", "loopback", "todoke", "DCMTK as installed", 15),
    Case("loopback", "loopback", "todoke", "DCMTK -> Orthanc", 3),
    Case("loopback", "loopback", "todoke", "pynetdicom", 12),
    Case("loopback", "loopback, into storescp", "todoke -> storescp", "DCMTK", 1.0),
    Case(
        "loopback", "loopback, into storescp as installed", "todoke -> storescp as installed",
        "DCMTK as installed", 5,
    ),
    Case(
        "loopback", "loopback, out of storescu as installed", FROM_PRODUCT,
        "DCMTK as installed", 8,
    ),
    Case(NEAR, "100 Mbit/s, 20 ms, no compression", "todoke uncompressed", "raw TLS", 0.98),
    Case(FAST, "1 Gbit/s, 20 ms, no compression", "todoke uncompressed", "raw TLS", 0.94),
    Case(NEAR, "100 Mbit/s, 20 ms, compression", "todoke", "DCMTK", 4.5),
    Case(FAR, "100 Mbit/s, 80 ms, compression", "todoke", "DCMTK", 7.5),
    Case(FAST, "1 Gbit/s, 20 ms, compression", "todoke", "DCMTK x 4", 2.0),
    Case(
        NEAR, "100 Mbit/s, 20 ms, into storescp --fork (no window)", "todoke -> storescp --fork",
        "raw TLS", 0.95,
    ),
    Case(
        NEAR, "100 Mbit/s, 20 ms, into Orthanc (no window)", "todoke -> Orthanc", "raw TLS", 0.95
    ),
    Case(
        NEAR, "100 Mbit/s, 20 ms, first instance readable over WADO-RS", "first view", 0.5, 1.0
    ),
    Case("start", "sender send, to a daemon: first byte", "send with daemon", 0.25, 1.0),
    Case("start", "sender send, alone: first byte", "send without daemon", 1.0, 1.0),
    Case("disk", "loopback, on disk", "todoke", "DCMTK", 1.0),
    Case("disk", "loopback, on disk", "todoke", "DCMTK, then synced", 1.0),
    Case(
        "evidence", "loopback, with evidence: last acknowledgement", "todoke uncompressed",
        "todoke without evidence", 0.87,
    ),
    Case("evidence", "last acknowledgement to receipt, 500 slices", "receipt", 2.0, 1.0),
    Case("start", "process start, sender run: ready", "sender run", 2.0, 1.0),
    Case("start", "process start, receiver run: ready", "receiver run", 3.0, 1.0),
)  # fmt: skip


def groups(only: Sequence[str] = ()) -> list[Group]:
    """Return the groups that are asked for by name, all if none is.

    Raises
    ------
    NotFound
    """
    known = {group.name: group for group in GROUPS}
    for name in only:
        if name not in known:
            raise NotFound(thing=f"--only {name} ({', '.join(known)})")
    return [known[name] for name in only or known]
