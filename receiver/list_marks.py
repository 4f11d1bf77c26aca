"""What stands beside a study in the work list: what was taken back, questions, alarms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from receiver import escalation, forward_recalls, forwarding, queries, recalls

if TYPE_CHECKING:
    from receiver.worklist import Study


def leave_out_recalled(db: Connection, studies: Mapping[tuple[str, str], Study]) -> None:
    """Take what was taken back out of the counts."""
    for gone in db.execute(recalls.counted()):
        if (study := studies.get((gone.institution, gone.study_uid))) is not None:
            study.here, study.total = study.here - gone.here, study.total - gone.total
            study.tiles_here -= gone.tiles_here
            study.damaged, study.tiles = study.damaged - gone.damaged, study.tiles - gone.tiles


def say_what_waits(db: Connection, studies: Mapping[str, Study]) -> None:
    """Put open questions and alarms with their studies."""
    for key, number in queries.open_ones(db).items():
        if key in studies:
            studies[key].queries = number
    for key, forward in forwarding.of_list(db).items():
        if key in studies:
            studies[key].forward = forward
    of_study = {(study.row.institution, study.row.study_uid): study for study in studies.values()}
    for known, recalled in recalls.said(db).items():
        if known in of_study:
            of_study[known].recalled = recalled
    for key, handed in forward_recalls.open_ones(db).items():
        if key in studies:
            studies[key].handed = handed
    for key, alarm in escalation.raised(db).items():
        if key in studies and studies[key].row.reading is None:
            studies[key].alarm = alarm
