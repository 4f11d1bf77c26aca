"""Merkle trees with SHA-256 as RFC 6962 section 2.1 has them: of frames, instances, records.

A leaf is hashed behind a zero byte and a node behind a one, so neither passes for the
other.  An inclusion proof (section 2.1.1) shows one leaf and tells nothing of the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence


def root(leaves: Iterable[bytes]) -> str:
    """Return the Merkle root over leaves.

    Parameters
    ----------
    leaves : iterable of bytes
        What each leaf stands for, in order: the SHA-256 of a frame, the words of an instance.

    Returns
    -------
    str
        Hex; of no leaves the SHA-256 of nothing.
    """
    row = [leaf_hash(leaf) for leaf in leaves]
    if not row:
        return hashlib.sha256().hexdigest()
    while len(row) > 1:
        row = _above(row)
    return row[0].hex()


def proof(leaves: Sequence[bytes], place: int) -> list[str]:
    """Return the inclusion proof of a leaf: the siblings on its way up, the lowest first, hex.

    Raises
    ------
    IndexError
        There is no such leaf.
    """
    if not 0 <= place < len(leaves):
        raise IndexError(place)
    row = [leaf_hash(leaf) for leaf in leaves]
    path = []
    while len(row) > 1:
        sibling = place ^ 1
        if sibling < len(row):  # a lone node has none and moves up as it is
            path.append(row[sibling].hex())
        row, place = _above(row), place >> 1
    return path


def root_of_proof(leaf: bytes, place: int, count: int, path: Sequence[str]) -> str | None:
    """Return the root that an inclusion proof leads to; None where it is no proof of that place.

    Parameters
    ----------
    place, count : int
        0-based place of the leaf, and the number of leaves.
    path : sequence of str
        As :func:`proof` gives it.
    """
    if not 0 <= place < count:
        return None
    node, left = leaf_hash(leaf), list(path)
    while count > 1:
        if place ^ 1 < count:
            if not left:
                return None
            sibling = bytes.fromhex(left.pop(0))
            node = _node(sibling, node) if place & 1 else _node(node, sibling)
        place, count = place >> 1, (count + 1) >> 1
    return None if left else node.hex()


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf, 32 bytes."""
    return hashlib.sha256(b"\0" + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _above(row: list[bytes]) -> list[bytes]:
    """Return the row above: RFC 6962 splits at the largest power of two, a lone node moves up."""
    paired = [_node(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
    return paired + ([row[-1]] if len(row) % 2 else [])
