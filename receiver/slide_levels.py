"""The pyramid of a slide as the viewer is told it: its levels, and which instances they lie in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Row

from receiver.facts import NOTHING, Facts


def slide(known: Iterable[tuple[Row[Any], Facts]], arrived: Callable[[Row[Any]], int]) -> Any:
    """Return one slide.

    Parameters
    ----------
    known : iterable of (Row, Facts)
        Its instances.
    arrived : callable
        Gives the frames of an instance that are here.
    """
    whole, associated = NOTHING, []
    parts: dict[tuple[Any, ...], list[tuple[Row[Any], Facts, dict[str, Any]]]] = {}
    for row, facts in known:
        image = _image(row, facts, arrived(row))
        if facts.flavor != "VOLUME":
            associated.append(image)
            continue
        whole = facts if whole is NOTHING else whole
        parts.setdefault(_level(row, facts), []).append((row, facts, image))
    levels = [level for found in parts.values() if (level := _joined(found)) is not None]
    levels.sort(key=lambda level: int(level["columns"] or 0), reverse=True)
    return {
        "levels": levels,
        "associated": associated,
        "objective_power": whole.objective_power,
        "icc": whole.icc,
        "ratio": whole.ratio,
        "scanner": whole.scanner,
        "reencoded": whole.reencoded,
    }


def _image(row: Row[Any], facts: Facts, arrived: int) -> dict[str, Any]:
    return {
        "sop_uid": row.sop_uid,
        "columns": facts.total_columns,
        "rows": facts.total_rows,
        "tile_columns": facts.columns,
        "tile_rows": facts.rows,
        "frames": row.frames,
        "spacing_um": facts.spacing_um,
        "flavor": facts.flavor,
        "arrived": arrived,
        "transfer_syntax": row.transfer_syntax,
    }


def _level(row: Row[Any], facts: Facts) -> tuple[Any, ...]:
    """Return what the instances of one level share; an instance that is no part is alone."""
    of = facts.concatenation or row.sop_uid
    return of, facts.total_columns, facts.total_rows, facts.columns, facts.rows


def _joined(found: list[tuple[Row[Any], Facts, dict[str, Any]]]) -> dict[str, Any] | None:
    """Return one level; None where nobody can say where its tiles lie.

    ``parts`` is there where a tile's frame does not follow from its place alone.
    """
    found.sort(key=lambda one: (one[1].part or 0, one[0].id))
    if any(facts.sparse and facts.places is None for _, facts, _ in found):
        return None
    images = [image for *_, image in found]
    level = dict(images[0])
    if len(found) == 1 and not found[0][1].sparse and not found[0][1].first_frame:
        return level
    level["frames"] = sum(image["frames"] or 0 for image in images)
    level["arrived"] = sum(image["arrived"] for image in images)
    level["parts"] = [
        {
            "sop_uid": row.sop_uid,
            "frames": row.frames or 0,
            "first": facts.first_frame or 0,
            "places": facts.places,
        }
        for row, facts, _ in found
    ]
    return level
