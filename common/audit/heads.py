"""How far each trail has come, signed: what shows that its end, or a whole file, was taken away.

A head is a compact JWS (RFC 7515) by the node's signing key over the trail's file, the
number and digest of its last line, the time, and how good the clock was (AUD-03).  Heads
of one trail are chained as its lines are.  Whoever can write here can take the newest
heads away together with the lines, so that they are to be kept elsewhere too:
``todoke receiver audit heads`` prints them, ``audit verify --heads FILE`` compares.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from common import durable
from common.audit import files
from common.audit.files import Place
from common.errors import DataInUse, IntegrityError
from common.proof import jws

VERSION = 1


def folder_of(trails: Path) -> Path:
    """Return where the heads of trails lie."""
    return trails / "heads"


def read(trails: Path, process: str) -> list[str]:
    """Return the heads of a trail as signed, the oldest first."""
    path = folder_of(trails) / f"{process}.jws"
    try:
        return path.read_text("ascii", errors="replace").split()
    except FileNotFoundError:
        return []


def place_of(head: dict[str, Any]) -> Place:
    """Return the end of the line that a head is over.

    Raises
    ------
    IntegrityError
        It says none.
    """
    try:
        return Place(int(head["segment"]), int(head["offset"]))
    except (KeyError, TypeError, ValueError) as failure:
        raise IntegrityError(cause="head") from failure


def seal(
    trails: Path,
    node: jws.Signer,
    certificate: str,
    clock: Callable[[], dict[str, Any]],
    now: datetime,
) -> list[str]:
    """Sign a head of every trail that has gone on since its last one.

    Parameters
    ----------
    node : Signer
    certificate : str
        PEM of its signing certificate.
    clock : callable
        What is known of the clock, see :mod:`common.audit.timesource`; asked once, and
        only if something is signed.
    now : datetime
        Aware.

    Returns
    -------
    list of str
        Trails whose lines do not follow what was signed of them before: none of
        those is signed, and ``audit verify`` names what is wrong.
    """
    broken: list[str] = []
    said: dict[str, Any] | None = None
    durable.make_folder(folder_of(trails))
    with contextlib.suppress(DataInUse), durable.lock(folder_of(trails) / ".lock"):
        for process in files.processes(trails):
            known = read(trails, process)
            try:
                after = jws.verify(known[-1], certificate) if known else {}
                found = _advanced(trails, process, after)
            except IntegrityError:
                broken.append(process)
                continue
            if found is None:
                continue
            said = said if said is not None else clock()
            words = {
                "version": VERSION,
                "process": process,
                "at": now.isoformat(timespec="milliseconds"),
                "clock": said,
                "before": digest(known[-1]) if known else "",
                **found,
            }
            _append(folder_of(trails) / f"{process}.jws", jws.sign(words, node))
    return broken


def digest(head: str) -> str:
    """Return what the next head calls this one."""
    return hashlib.sha256(head.encode("ascii", "replace")).hexdigest()


def _advanced(trails: Path, process: str, after: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the next head states; None where nothing was written since.

    Raises
    ------
    IntegrityError
        The lines do not go on from the last head.
    """
    place = place_of(after) if after else files.START
    before, count = str(after.get("digest", "")), int(after.get("count", 0))
    if after and not _stands(trails, process, place, before):
        raise IntegrityError(cause=process)
    start = count
    for line in files.lines(trails, process, place):
        if line.words is not None and line.words.get("before") != before:
            raise IntegrityError(cause=process)
        before, place, count = hashlib.sha256(line.raw).hexdigest(), line.place, count + 1
    if count == start:
        return None
    return {"segment": place.number, "offset": place.offset, "count": count, "digest": before}


def _stands(trails: Path, process: str, place: Place, wanted: str) -> bool:
    """Tell whether the line that was signed last still ends at its place."""
    for one in files.all_of(trails, process):
        if one.number == place.number:
            data = one.path.read_bytes()[: place.offset]
            start = data.rfind(b"\n", 0, max(0, len(data) - 1)) + 1
            return len(data) == place.offset and (
                hashlib.sha256(data[start:]).hexdigest() == wanted
            )
    return False


def _append(path: Path, head: str) -> None:
    earlier = path.read_bytes() if path.exists() else b""
    durable.save(path, earlier + head.encode("ascii") + b"\n", private=True)
