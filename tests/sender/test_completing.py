"""A slide that gets its request later is judged by the house as one that had it at once."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from common.states import TransferState
from sender import completing, slide_request
from sender.declaring import NOBODY, House
from sender.outbox import Outbox
from tests.sender.slides.vendor_files import Svs
from tests.sender.test_scanner import HEAD, Scanner

OURS = House(own="0119876543", code_of=lambda _partner: "0119876543")


@pytest.mark.evidence
@pytest.mark.requirement("DIR-01")
@pytest.mark.parametrize(
    ("house", "state"), [(NOBODY, TransferState.QUEUED), (OURS, TransferState.HELD)]
)
def test_a_slide_to_our_own_institution_is_held_when_it_is_completed_too(
    house: House, state: TransferState, tmp_path: Path
) -> None:
    with closing(Outbox(tmp_path / "data")) as outbox:
        scanner = Scanner(tmp_path / "scans", outbox)
        scanner.put("r.csv", f"{HEAD}a.svs,,,P26-1,HE,\n")
        Svs(width=300, height=260, factors=(1,)).write(tmp_path / "scans" / "a.svs")
        (held,) = scanner.settled()
        words = slide_request.typed({"patient_id": "77", "name": "山﨑 一郎"})
        completing.complete(outbox, held.id, words, (), house)
        (done,) = outbox.transfers()
        assert done.state is state
