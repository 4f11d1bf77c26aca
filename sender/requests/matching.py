"""Which rows speak of a slide, and what they say of it together.

A row speaks of a slide by its file name, by its case, or as the only row of a request file
that is named like the slide or lies in a case's own folder.  Of two rows the nearer one
counts; but two that name different patients are never weighed against each other.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from common.errors import RequestUnreadable
from sender.requests.files import Row

#: Must not differ between two rows of one slide.
IDENTITY = ("patient_id", "birth_date", "sex")


def speaking(rows: Iterable[Row], slide: Path, root: Path, case: str | None) -> list[Row]:
    """Return the rows that speak of a slide, the nearest first.

    Parameters
    ----------
    root : Path
        The watched folder: what lies in it directly is no case's own folder.
    case : str or None
        Name of the case, where the folder or the file's name gives it.
    """
    found: list[tuple[int, Row]] = []
    for row in rows:
        if row.folder not in slide.parents:
            continue
        rank = _rank(row, slide, root, case)
        if rank is not None:
            found.append((rank, row))
    # the rank, then the folder that is nearer
    found.sort(key=lambda one: (one[0], -len(one[1].folder.parts)))
    return [row for _, row in found]


def _rank(row: Row, slide: Path, root: Path, case: str | None) -> int | None:
    named, of_case = row.words.get("file"), row.words.get("case")
    if named is not None:
        return 1 if _same(str(named), slide, row.folder) else None
    if _nfc(row.stem) in {_nfc(slide.name), _nfc(slide.stem)}:
        return 0
    if of_case is not None and case is not None:
        return 2 if _nfc(str(of_case)) == _nfc(case) else None
    if of_case is None and row.folder != root:
        return 3
    return None


def _same(named: str, slide: Path, folder: Path) -> bool:
    said = _nfc(named.replace("\\", "/"))
    known = {slide.name, slide.stem, slide.relative_to(folder).as_posix()}
    return said in {_nfc(name) for name in known}


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def merged(rows: Sequence[Row]) -> dict[str, Any]:
    """Return what rows say of one slide together.

    Raises
    ------
    RequestUnreadable
        One of them is wrong, or two contradict each other.
    """
    said: dict[str, Any] = {}
    by: dict[str, Row] = {}
    for row in rows:
        if row.wrong is not None:
            raise row.wrong
        for key, value in row.words.items():
            if key in said and said[key] != value and (key in IDENTITY or _level(row, by[key])):
                raise RequestUnreadable(
                    place=row.place, cause=f"{key}: {by[key].place} と違います / differs from it"
                )
            if key not in said:
                said[key], by[key] = value, row
    return said


def _level(one: Row, other: Row) -> bool:
    """Whether two rows stand in one file: neither is nearer."""
    return (one.folder, one.stem) == (other.folder, other.stem)
