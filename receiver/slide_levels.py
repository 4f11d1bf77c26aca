"""What pages are told of a slide: its levels, the instances they lie in, and what was made here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, select

from common.errors import NotFound
from common.states import InstanceState
from receiver import index
from receiver.derived import Shape, Shelf
from receiver.facts import NOTHING, Facts
from receiver.index import Index
from receiver.stored import NOT_RECALLED

_studies, _instances = index.studies, index.instances


def slide(
    known: Iterable[tuple[Row[Any], Facts]],
    arrived: Callable[[Row[Any]], int],
    derived: Mapping[str, Sequence[Shape]],
) -> dict[str, Any]:
    """Return a slide as the web API has it: its levels, those made here among them.

    Parameters
    ----------
    known : iterable of (Row, Facts)
        Its instances.
    arrived : callable
        Gives the frames of an instance that are here.
    derived : mapping
        What was made here of an instance, by its SOP Instance UID.
    """
    whole, associated, unplaced = NOTHING, [], False
    parts: dict[tuple[Any, ...], list[tuple[Row[Any], Facts, dict[str, Any]]]] = {}
    for row, facts in known:
        image = _image(row, facts, arrived(row))
        if facts.flavor != "VOLUME":
            associated.append(image)
            continue
        whole = facts if whole is NOTHING else whole
        unplaced |= facts.sparse and facts.places is None
        parts.setdefault(_level(row, facts), []).append((row, facts, image))
    levels = [level for found in parts.values() if (level := _joined(found)) is not None]
    for level in list(levels):
        levels += [level | _derived(level, one) for one in derived.get(level["sop_uid"], ())]
    levels.sort(key=lambda level: int(level["columns"] or 0), reverse=True)
    return {
        "levels": levels,
        "associated": associated,
        "objective_power": whole.objective_power,
        "icc": whole.icc,
        "container": whole.container,
        "sparse": unplaced,
        "lossy": whole.lossy,
        "focus": whole.focus,
        "ratio": whole.ratio,
        "scanner": whole.scanner,
        "reencoded": whole.reencoded,
        "recoded": whole.recoded,
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
        "state": row.state,
        "transfer_syntax": row.transfer_syntax,
        "photometric": facts.photometric,
        "samples": facts.samples,
        "bits": facts.bits,
        "planar": facts.planar,
        "planes": facts.planes,
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


def derived_id(sop_uid: str, one: Shape) -> str:
    """Return what the pages know a level by that was made here: no UID, as it is no instance."""
    return f"{sop_uid}~{one.factor}"


def _derived(image: dict[str, Any], one: Shape) -> dict[str, Any]:
    spacing = image["spacing_um"]
    return {
        "sop_uid": derived_id(image["sop_uid"], one),
        "columns": one.columns,
        "rows": one.rows,
        "frames": one.frames,
        "arrived": one.frames,
        "spacing_um": None if spacing is None else spacing * one.factor,
        "transfer_syntax": "1.2.840.10008.1.2.4.50",
        "photometric": "YBR_FULL_422",
        "planes": 1,
        "derived": {"of": image["sop_uid"], "factor": one.factor},
    }


def derived_tile(
    database: Index, shelf: Shelf, key: str, sop_uid: str, factor: int, number: int
) -> bytes:
    """Return a tile (0-based) that was made here, as JPEG.

    Raises
    ------
    NotFound
        Also where the instance that it was made of is no longer sound.
    """
    query = select(_instances.c.key).join(
        _studies,
        (_studies.c.institution == _instances.c.institution)
        & (_studies.c.study_uid == _instances.c.study_uid),
    )
    same = (_studies.c.key == key) & (_instances.c.sop_uid == sop_uid)
    with database.read() as db:
        sound = _instances.c.state == InstanceState.VERIFIED
        found = db.execute(query.where(same & sound & NOT_RECALLED)).scalar()
    if found is None:
        raise NotFound(thing="derived")
    return shelf.tile(str(found), factor, number)
