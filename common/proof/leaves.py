"""What stands for the instances of a transfer in its record, many of them without memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from common.link import Digest
from common.proof.record import leaf


class Leaves(Sequence[dict[str, Any]]):
    """The leaves of a transfer, each made when it is read: ten thousand at once are 10 MB.

    Parameters
    ----------
    digests : sequence of Digest
        In the order of the closing.
    roles : sequence of str
        One for each.
    """

    def __init__(self, digests: Sequence[Digest], roles: Sequence[str]) -> None:
        if len(digests) != len(roles):
            raise ValueError(f"{len(digests)} digests, {len(roles)} roles")
        self.digests, self.roles = digests, roles

    def __len__(self) -> int:
        return len(self.digests)

    @overload
    def __getitem__(self, place: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> Leaves: ...
    def __getitem__(self, place: int | slice) -> dict[str, Any] | Leaves:
        if isinstance(place, slice):
            return Leaves(self.digests[place], self.roles[place])
        return leaf(self.digests[place], self.roles[place])
