"""The page of a record at the receiver: its patient is who the study's images name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from common.paper import record
from receiver import index
from receiver.index import Index


def save(known: Index, transfer: str, file: Mapping[str, Any], path: Path) -> None:
    """Write a record file's page; raises as :func:`common.paper.record.save`."""
    record.save(path, file, model(known, transfer))


def model(known: Index, transfer: str) -> dict[str, Any]:
    """Return patient and study level of a transfer's study; empty once it was purged."""
    studies, instances = index.studies, index.instances
    same = (studies.c.institution == instances.c.institution) & (
        studies.c.study_uid == instances.c.study_uid
    )
    mine = select(studies.c.attributes).join(instances, same)
    with known.read() as db:
        kept = db.execute(mine.where(instances.c.transfer == transfer).limit(1)).scalar()
    return dict(json.loads(kept)) if kept else {}
