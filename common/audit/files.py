"""The files that trails consist of, and their lines, for whoever reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: First event of every file but the first; its ``segment`` is the number of the file.
CONTINUED = "continued"
_CLOSED = re.compile(r"([a-z-]+)\.(\d{6})\.jsonl")
_PRESENT = re.compile(r"([a-z-]+)\.jsonl")
_TRIES = 5


@dataclass(frozen=True, slots=True, order=True)
class File:
    """One file of a trail; numbers begin at 1."""

    process: str
    number: int
    path: Path


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """End of a line: which file, and how many bytes into it."""

    number: int
    offset: int


#: Before every line.
START = Place(1, 0)


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it lies there.

    Attributes
    ----------
    raw : bytes
        With its newline.
    place : Place
        Of its end.
    words : dict or None
        None of what is no JSON object: a line that a power failure cut.
    """

    process: str
    raw: bytes
    place: Place
    words: dict[str, Any] | None


def closed(folder: Path, process: str, number: int) -> Path:
    """Return where a file lies that nothing is written to any more."""
    return folder / f"{process}.{number:06d}.jsonl"


def processes(folder: Path) -> list[str]:
    """Return whose trails are here."""
    names = (_CLOSED.fullmatch(path.name) or _PRESENT.fullmatch(path.name)
             for path in folder.glob("*.jsonl"))  # fmt: skip
    return sorted({name[1] for name in names if name})


def earlier(folder: Path, process: str) -> list[File]:
    """Return the files of a process that are closed, the oldest first."""
    found = (_CLOSED.fullmatch(path.name) for path in folder.glob(f"{process}.*.jsonl"))
    return sorted(
        File(process, int(name[2]), folder / name[0])
        for name in found
        if name and name[1] == process
    )


def all_of(folder: Path, process: str) -> list[File]:
    """Return every file of a process, the present one last."""
    found = earlier(folder, process)
    present = folder / f"{process}.jsonl"
    if begun(present):
        found.append(File(process, number_of(present), present))
    return found


def begun(path: Path) -> bool:
    """Tell whether a file is there and has a line in it."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def number_of(path: Path) -> int:
    """Return the number of a process's present file, which its first line says."""
    with path.open("rb") as opened:
        return _number(opened.readline())


def words_of(line: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a line, None where it is none."""
    try:
        words = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return words if isinstance(words, dict) else None


def lines(folder: Path, process: str, after: Place = START) -> Iterator[Line]:
    """Yield the whole lines that end behind a place, over all files.

    What is renamed meanwhile, because its month ended, is gone on with under its new name.
    """
    for _ in range(_TRIES):
        try:
            for one in all_of(folder, process):
                if one.number < after.number:
                    continue
                for line in _in_file(one, after.offset if one.number == after.number else 0):
                    after = line.place
                    yield line
        except _Moved:
            continue
        return


class _Moved(Exception):
    """The file is not where it was a moment ago."""


def _in_file(one: File, start: int) -> Iterator[Line]:
    try:
        opened = one.path.open("rb")
    except FileNotFoundError:
        raise _Moved from None
    with opened:
        if _PRESENT.fullmatch(one.path.name) and _number(opened.readline()) != one.number:
            raise _Moved
        opened.seek(start)
        end = start
        for raw in opened:
            if not raw.endswith(b"\n"):
                return  # half written: with the next look
            end += len(raw)
            yield Line(one.process, raw, Place(one.number, end), words_of(raw))


def _number(first: bytes) -> int:
    words = words_of(first) or {}
    said = words.get("segment") if words.get("event") == CONTINUED else 1
    return said if isinstance(said, int) else 1
