"""What this receiver took from third parties, transfer by transfer (AUD-08, Article 30)."""

from __future__ import annotations

import contextlib
import json
from datetime import tzinfo
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, func, select

from common import provision, request
from common.proof.identity import Node
from common.proof.role import Role
from common.provision import Provision, Records
from common.states import ABSENT, TransferState
from receiver import index, reporting
from receiver.index import Index

_instances, _studies = index.instances, index.studies


def records(data: Path, first: str = "", last: str = "", zone: tzinfo | None = None) -> Records:
    """Return the records of a span of days.

    The legal basis is kept where the images come from and does not travel: here it is not
    known, and so is not whether a record is owed.

    Parameters
    ----------
    first, last : str
        YYYY-MM-DD, by the clock of the place; empty for no bound.
    zone : tzinfo, optional
        By default that of this machine.

    Raises
    ------
    UsageError, NotInitialised
    """
    span = provision.days(first, last)
    node = Node.load(data, Role.SUPPORTER)
    query = select(index.transfers, index.partners.c.name.label("partner")).join(
        index.partners, index.partners.c.code == index.transfers.c.institution
    )
    with contextlib.closing(Index.at(data)) as known, known.read() as db:
        rows = list(db.execute(query))
        found = [_provision(db, node, row) for row in rows if not row.test]
    return provision.made(
        provision.RECEIVED, node.institution, span, found, len(rows) - len(found), zone
    )


def _provision(db: Connection, node: Node, row: Row[Any]) -> Provision:
    opening = reporting.opening(db, row)
    study = str(opening.get("study") or _study(db, row.id))
    attributes = opening.get("attributes") or _attributes(db, row.institution, study)
    return Provision(
        moment=row.receipted_at or row.closed_at or row.opened_at,
        third_party=(row.institution, row.partner),
        attributes=attributes,
        modality=reporting.modality(db, row, opening),
        images=_images(db, node, row),
        asked=request.told(json.loads(row.request)),
        purpose=row.purpose,
        state=TransferState(row.state),
        transfer=row.id,
        study=study,
        institution=provision.institution_of(attributes),
    )


def _study(db: Connection, transfer: str) -> str:
    """Return the study of a transfer whose opening is not here: of a plain peer."""
    of_images = select(_instances.c.study_uid).where(_instances.c.transfer == transfer).limit(1)
    return str(db.execute(of_images).scalar() or "")


def _attributes(db: Connection, institution: str, study: str) -> dict[str, Any]:
    """Return what is kept of the patient and the study."""
    mine = (_studies.c.institution == institution) & (_studies.c.study_uid == study)
    found = db.execute(select(_studies.c.attributes).where(mine)).scalar()
    return dict(json.loads(found)) if found else {}


def _images(db: Connection, node: Node, row: Row[Any]) -> int:
    """Count what came: by the receipt, which still says it after a purge, else by the index."""
    receipt = reporting.receipt(db, node, row)
    if receipt is not None:
        return len(receipt["instances"])
    mine = (_instances.c.transfer == row.id) & _instances.c.state.not_in(ABSENT)
    return int(db.execute(select(func.count()).select_from(_instances).where(mine)).scalar() or 0)
