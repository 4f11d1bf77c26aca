"""What DICOMweb says of a study that was recalled, and of a name that was guessed."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select, update

from common.states import TransferState
from receiver import index
from tests.receiver.conftest import ViewerServer
from tests.receiver.filled import Filled, uid
from tests.receiver.test_dicomweb import ROOT, one_ct, place

pytestmark = pytest.mark.evidence


@pytest.mark.requirement("EVD-01")
def test_what_was_recalled_is_reached_at_no_address(viewer_server: ViewerServer) -> None:
    """Its rows, files and records stay; what is beside it and what comes again is read."""
    filled = viewer_server.filled
    with one_ct(viewer_server) as page:
        filled.ct("美幌")
        (key,) = [
            row["key"]
            for row in page.get("/api/worklist").json()["rows"]
            if row["study_uid"] == uid("北見/study")
        ]
        study = f"/studies/{uid('北見/study')}"
        image = place("北見", 1)
        reached = [
            f"{root}{path}"
            for root in (ROOT, "/dicomweb")
            for path in (
                *(study, f"{study}/metadata", f"{study}/rendered", f"{study}/thumbnail"),
                *(image, f"{image}/metadata", f"{image}/frames/1", f"{image}/thumbnail"),
            )
        ] + [f"/api/studies/{key}", f"/api/studies/{key}/coverage"]

        def answers() -> set[int]:
            return {page.get(path, headers={"Accept": "*/*"}).status_code for path in reached}

        assert answers() == {200}
        (transfer,) = _states(filled, uid("北見/study"), TransferState.RECALLED)
        assert answers() == {404}
        for level in ("/studies", "/series", "/instances", f"{study}/series"):
            told = page.get(f"{ROOT}{level}").text
            assert uid("北見/study") not in told, level
            assert level.startswith(study) or uid("美幌/study") in told
        with filled.index.read() as db:
            table = index.instances
            kept = db.execute(select(table.c.path).where(table.c.transfer == transfer)).scalars()
            assert all((filled.store.root / path).exists() for path in kept)
        _states(filled, uid("北見/study"), TransferState.RECEIPTED)
        assert answers() == {200}


def _states(filled: Filled, study: str, state: TransferState) -> list[str]:
    """Put the transfers of a study into a state; return their ids."""
    table, mine = index.transfers, index.instances
    with filled.index.write() as db:
        of = select(mine.c.transfer).where(mine.c.study_uid == study).distinct()
        found = list(db.execute(of).scalars())
        db.execute(update(table).where(table.c.id.in_(found)).values(state=state))
    return [str(one) for one in found]


@pytest.mark.requirement("CHR-05")
def test_a_guessed_name_is_marked_in_every_model(viewer_server: ViewerServer) -> None:
    filled = viewer_server.filled
    with one_ct(viewer_server) as page:
        study = uid("北見/study")
        addresses = ("/studies", "/series", "/instances", f"{place('北見', 1)}/metadata")
        assert all("00091001" not in page.get(f"{ROOT}{one}").json()[0] for one in addresses)
        table = index.studies
        with filled.index.write() as db:
            mine = table.c.study_uid == study
            words = json.loads(db.execute(select(table.c.attributes).where(mine)).scalar_one())
            marked = json.dumps(words | {"guessed": ["00100010"]})
            db.execute(update(table).where(mine).values(attributes=marked))
        for one in addresses:
            model = page.get(f"{ROOT}{one}").json()[0]
            assert model["00090010"] == {"vr": "LO", "Value": ["TODOKE"]}, one
            assert model["00091001"] == {"vr": "AT", "Value": ["00100010"]}, one
            assert "guessed" not in model
