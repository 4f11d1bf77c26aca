"""A process of its own that reads instances back from the disk, for their digests.

Started as ``python -m receiver.verifier`` by :mod:`receiver.verifying`.
"""

from __future__ import annotations

import array
import base64
import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import durable, link, logs, workers
from common.dicom import digest
from common.dicom.digest import Digests
from common.errors import NotDicom, StorageError
from common.proof import merkle

PIECE = 32 << 20  # bytes of a level that are read before another transfer has its turn
NICENESS = 5

#: Levels that are begun, by their numbers: each a reader that stops after every piece.
_begun: dict[int, Iterator[dict[str, Any] | None]] = {}


def answer(request: dict[str, Any]) -> bytes:
    """Do one piece of work.

    Parameters
    ----------
    request : dict
        ``do`` is ``instance``; ``samples``, the same with all pixels decoded;
        ``plain``, the same by D1 alone, with nothing parsed or decoded; ``level`` to
        begin a slide level, ``more`` to go on with it.

    Returns
    -------
    bytes
        JSON: ``length`` and ``digests``; ``more`` or ``gone`` of a level; ``failed`` where
        the file cannot be read.
    """
    try:
        found = _level(request) if request["do"] in {"level", "more"} else _instance(request)
    except (OSError, NotDicom, StorageError) as failure:
        found = {"failed": type(failure).__name__}
    return json.dumps(found).encode()


def _instance(request: dict[str, Any]) -> dict[str, Any]:
    path, base = Path(request["path"]), int(request["base"])
    if request["do"] == "samples":
        return dataclasses.asdict(digest.of_file(path, base, request["syntax"], decoded=True))
    if request["do"] == "plain":
        found = _plain(path, base)
    else:
        try:
            # what may have been compressed in flight is proven by its samples
            coded = request["syntax"] in link.COMPRESSED
            found = digest.of_file(path, base, request["syntax"], decoded=coded)
        except NotDicom:  # D1 needs no parser, and says whether the bytes are those that came
            found = _plain(path, base)
    length = path.stat().st_size - base
    digests: dict[str, str | None] = dataclasses.asdict(found)
    rest = digests.pop("rest")
    if rest is not None and request["syntax"] in link.COMPRESSED:
        digests |= {"rest": rest, "syntax": request["syntax"]}
    return {"length": length, "digests": digests}


def _plain(path: Path, base: int) -> Digests:
    fd = durable.open_file(path)
    try:
        return Digests(digest.sha256(digest.pieces(fd, base, os.fstat(fd).st_size - base)))
    finally:
        os.close(fd)


def _level(request: dict[str, Any]) -> dict[str, Any]:
    number = int(request["number"])
    if request["do"] == "level":
        _begun[number] = _read_level(request)
    reader = _begun.pop(number, None)
    if reader is None:
        return {"gone": True}
    found = next(reader)
    if found is not None:
        return found
    _begun[number] = reader
    return {"more": True}


def _read_level(request: dict[str, Any]) -> Iterator[dict[str, Any] | None]:
    """Digest a level from its file: the data set whole, and the root of its frames.

    Each byte is read once.  Yields None after every piece, at the end what was found.
    """
    base = int(request["base"])
    table = array.array("Q")
    table.frombytes(base64.b64decode(request["table"]))
    if sys.byteorder == "big":
        table.byteswap()
    whole, leaves = hashlib.sha256(), []
    at = read = 0
    fd = durable.open_file(Path(request["path"]))
    try:
        length = os.fstat(fd).st_size - base
        for offset, size in zip(table[::2], table[1::2], strict=True):
            if offset < at:
                raise StorageError(cause="frame table")
            for piece in digest.pieces(fd, base + at, offset - at):
                whole.update(piece)
            frame = durable.read_at(fd, size, base + offset)
            whole.update(frame)
            leaves.append(hashlib.sha256(frame).digest())
            read += offset + size - at
            at = offset + size
            if read >= PIECE:
                read = 0
                yield None
        for piece in digest.pieces(fd, base + at, length - at):
            whole.update(piece)
    finally:
        os.close(fd)
    digests = {"d1": whole.hexdigest(), "root": merkle.root(leaves)}
    yield {"length": length, "digests": digests}


if __name__ == "__main__":
    logs.quiet_pydicom()
    workers.serve(answer, niceness=NICENESS)
