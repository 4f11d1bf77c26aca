"""What pages are told of a slide: its levels, what goes with them, and what was made here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, select

from common.errors import NotFound
from common.states import InstanceState
from receiver import index
from receiver.derived import Shape, Shelf
from receiver.facts import NOTHING
from receiver.index import Index

if TYPE_CHECKING:
    from receiver.worklist import Study

_studies, _instances = index.studies, index.instances


def slide(study: Study, rows: list[Row[Any]]) -> dict[str, Any]:
    """Return a slide as the web API has it: its levels, those made here among them."""
    levels: list[dict[str, Any]] = []
    associated: list[dict[str, Any]] = []
    known = [(row, study.facts[row.id]) for row in rows if study.facts[row.id].slide]
    for row, facts in known:
        image = {
            "sop_uid": row.sop_uid,
            "columns": facts.total_columns,
            "rows": facts.total_rows,
            "tile_columns": facts.columns,
            "tile_rows": facts.rows,
            "frames": row.frames,
            "spacing_um": facts.spacing_um,
            "flavor": facts.flavor,
            "arrived": study.arrived(row),
            "state": row.state,
            "transfer_syntax": row.transfer_syntax,
            "photometric": facts.photometric,
            "samples": facts.samples,
            "bits": facts.bits,
            "planar": facts.planar,
        }
        if facts.sparse:
            continue  # frames in no order that follows from their numbers (PS3.3 C.7.6.17.3)
        (levels if facts.flavor == "VOLUME" else associated).append(image)
        for one in study.derived.get(row.sop_uid, ()):
            levels.append(image | _derived(image, one))
    levels.sort(key=lambda level: int(level["columns"] or 0), reverse=True)
    whole = next((facts for _, facts in known if facts.flavor == "VOLUME"), NOTHING)
    return {
        "levels": levels,
        "associated": associated,
        "objective_power": whole.objective_power,
        "icc": whole.icc,
        "sparse": any(facts.sparse for _, facts in known),
        "lossy": whole.lossy,
        "focus": whole.focus,
        "ratio": whole.ratio,
        "scanner": whole.scanner,
    }


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
        found = db.execute(query.where(same & sound)).scalar()
    if found is None:
        raise NotFound(thing="derived")
    return shelf.tile(str(found), factor, number)
