"""Request files: a CSV or JSON beside the slides, read into rows that each name their place."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import RequestUnreadable, StorageError
from sender.requests import text, values

SUFFIXES = frozenset({".csv", ".tsv", ".json"})
MOST_ROWS = 20_000
_SLIDES = ("slides", "スライド")


@dataclass(frozen=True, slots=True)
class Row:
    """What one line of a request file says.

    Attributes
    ----------
    folder : Path
        Where the file lies: a row speaks of slides in it and below.
    place : str
        Of the row, as ``NAME.csv:3``.
    stem : str
        Name of the request file without its suffix.
    words : dict
        Values by the keys of :data:`sender.requests.values.COLUMNS`.
    wrong : RequestUnreadable or None
        Why the row cannot be used; its ``file`` and ``case`` still say of whom it speaks.
    """

    folder: Path
    place: str
    stem: str
    words: dict[str, Any] = field(default_factory=dict)
    wrong: RequestUnreadable | None = None


def is_request_name(path: Path) -> bool:
    """Tell by its name whether a file may hold request information."""
    return path.suffix.lower() in SUFFIXES


def load(path: Path) -> list[Row]:
    """Read a request file.

    Returns
    -------
    list of Row
        Empty where the file is of something else: it has no column known here.

    Raises
    ------
    RequestUnreadable
        The whole file cannot be read; the words name it and the line.
    StorageError
        It cannot be opened.
    """
    try:
        with path.open("rb") as file:
            data = file.read(text.LARGEST + 1)
    except OSError as failure:
        raise StorageError(cause=failure.strerror or "cannot be read") from failure
    return parse(path, data)


def parse(path: Path, data: bytes) -> list[Row]:
    """Read the bytes of a request file; as :func:`load`."""
    try:
        written = text.decode(data)
        if path.suffix.lower() == ".json":
            return list(_from_json(path, written))
        return list(_from_csv(path, written))
    except RequestUnreadable as failure:
        if failure.facts.get("place"):
            raise
        raise RequestUnreadable(place=path.name, cause=failure.facts["cause"]) from failure


# -- CSV ----------------------------------------------------------------------


def _from_csv(path: Path, written: str) -> Iterator[Row]:
    delimiter = _delimiter(written)
    if delimiter is None:
        return
    lines = csv.reader(io.StringIO(written, newline=""), delimiter=delimiter, strict=True)
    columns: list[values.Column | None] = []
    begins = 1
    try:
        for number, cells in enumerate(lines):
            if number > MOST_ROWS:
                raise RequestUnreadable(place=path.name, cause=f"> {MOST_ROWS} rows")
            if not columns:
                columns = [values.column(cell) for cell in cells]
                _check_heads(path, columns)
            elif any(cell.strip() for cell in cells):
                yield _row(path, f"{path.name}:{begins}", _pairs(columns, cells))
            begins = lines.line_num + 1
    except csv.Error as failure:
        raise RequestUnreadable(place=f"{path.name}:{begins}", cause=failure) from failure


def _delimiter(written: str) -> str | None:
    """Return what parts the columns; None where the first line holds no head known here."""
    first = written.lstrip("\ufeff").split("\n", 1)[0][: 1 << 16].rstrip("\r")
    counts = {
        mark: sum(values.column(cell.strip('" ')) is not None for cell in first.split(mark))
        for mark in ",\t;"
    }
    best = max(counts, key=lambda mark: counts[mark])
    return best if counts[best] else None


def _check_heads(path: Path, columns: list[values.Column | None]) -> None:
    known = [column.key for column in columns if column is not None]
    twice = next((key for key in known if known.count(key) > 1), None)
    if twice is not None:
        raise RequestUnreadable(
            place=f"{path.name}:1", cause=f"{_heads(twice)}: 列が2つ / two columns"
        )


def _pairs(
    columns: list[values.Column | None], cells: list[str]
) -> Iterator[tuple[values.Column, str]]:
    for column, cell in zip(columns, cells, strict=False):
        if column is not None:
            yield column, cell
    if any(cell.strip() for cell in cells[len(columns) :]):
        # a comma in a value that is not quoted moves every cell behind it
        raise values.Wrong("見出しより列が多い / more cells than heads")


# -- JSON ---------------------------------------------------------------------


def _from_json(path: Path, written: str) -> Iterator[Row]:
    try:
        said = json.loads(written, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as failure:
        place = f"{path.name}:{failure.lineno}"
        raise RequestUnreadable(place=place, cause=failure.msg) from failure
    except RecursionError as failure:
        raise RequestUnreadable(place=path.name, cause="nested too deeply") from failure
    except ValueError as failure:
        raise RequestUnreadable(place=path.name, cause=failure) from failure
    if isinstance(said, dict):
        common = {key: value for key, value in said.items() if key not in _SLIDES}
        slides = next((said[key] for key in _SLIDES if key in said), None)
        objects = [common] if slides is None else _listed(path, slides, common)
    else:
        objects = _listed(path, said, {})
    if not any(values.column(key) for one in objects for key in one):
        return
    for number, one in enumerate(objects, 1):
        place = path.name if len(objects) == 1 else f"{path.name}[{number}]"
        yield _row(path, place, _members(one))


def _listed(path: Path, said: Any, common: dict[str, Any]) -> list[dict[str, Any]]:
    if not isinstance(said, list) or not all(isinstance(one, dict) for one in said):
        if not common:
            return []  # of something else
        raise RequestUnreadable(place=path.name, cause="slides: [{...}]")
    if len(said) > MOST_ROWS:
        raise RequestUnreadable(place=path.name, cause=f"> {MOST_ROWS} rows")
    return [_over(common, one) for one in said]


def _over(common: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    """Return what is common to the slides, and over it what one says of the same columns."""
    said = {id(values.column(key)) for key in one if values.column(key)}
    return {k: v for k, v in common.items() if id(values.column(k)) not in said} | one


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise ValueError("a name twice in one object")
    return dict(pairs)


def _no_number(_text: str) -> None:
    raise ValueError("NaN or Infinity")


def _members(one: dict[str, Any]) -> Iterator[tuple[values.Column, str]]:
    seen: set[str] = set()
    for head, value in one.items():
        column = values.column(head)
        if column is None:
            continue
        if column.key in seen:
            raise values.Wrong(f"{_heads(column.key)}: 2つ / twice")
        seen.add(column.key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise values.Wrong(f"{_heads(column.key)}: 文字列で / must be text")
        if isinstance(value, float) and column.key != "spacing_um":
            raise values.Wrong(f"{_heads(column.key)}: 文字列で / must be text")
        yield column, str(value)


# -- both ---------------------------------------------------------------------


def _row(path: Path, place: str, pairs: Iterable[tuple[values.Column, str]]) -> Row:
    words: dict[str, Any] = {}
    wrong: RequestUnreadable | None = None
    try:
        for column, cell in pairs:
            try:
                if (value := values.read(column, cell)) is not None:
                    words |= {column.key: value} | values.more(column, cell)
            except values.Wrong as failure:
                wrong = wrong or RequestUnreadable(
                    place=place, cause=f"{_heads(column.key)}: {failure}"
                )
    except values.Wrong as failure:
        wrong = RequestUnreadable(place=place, cause=failure)
    return Row(path.parent, place, path.stem, words, wrong)


def _heads(key: str) -> str:
    names = next(column.names for column in values.COLUMNS if column.key == key)
    return f"{names[0]} / {key}"
