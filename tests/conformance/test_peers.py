"""The kit on open receivers: what they fail is known, and is exactly this.

The table of ``docs/testing-a-receiver.md`` says the same.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.case import Verdict
from tests.conformance.rig import (
    Pki,
    but,
    failed,
    having,
    orthanc,
    run,
    storescp,
    target,
    tls_options,
)

pytestmark = [pytest.mark.peer, pytest.mark.requirement("TST-01", "TST-04", "DCM-11")]

SILENT = "TLS-008"  # waited out by a receiver that it holds up, so with little patience
# takes other content under a known UID; answers A900H to a data set that is not
# what the command says, and keeps the file all the same
KEEPS_ANYTHING = {"STO-008", "STO-009", "STO-010"}
COMPRESSED = {"STO-005", "STO-006", "IDN-004"}


def test_plain_storescp(store: Path) -> None:
    with storescp(store, "--fork") as port:
        report = run(target(port), store, settle=0.3)
    assert failed(report) == KEEPS_ANYTHING
    without_tls = {f"TLS-{n:03d}" for n in range(1, 7)} | {f"CRT-{n:03d}" for n in range(1, 8)}
    assert having(report, Verdict.SKIP) == COMPRESSED | without_tls


def test_storescp_over_tls(pki: Pki, store: Path) -> None:
    """One certificate for every AE title: NET-06 is nothing that storescp knows."""
    with storescp(store, *tls_options(pki, "--fork", "+B", "+xa")) as port:
        report = run(target(port, pki), store, settle=0.3)
    assert failed(report) == KEEPS_ANYTHING | {"CRT-007"}
    assert having(report, Verdict.SKIP) == set()
    assert report.facts["tls_version"] == "TLSv1.3"
    assert report.facts["implementation"].startswith("OFFIS_DCMTK")


def test_storescp_in_one_process_is_held_up_by_the_silent(store: Path) -> None:
    with storescp(store) as port:
        report = run(target(port), store, *but(SILENT), settle=0.3)
        held_up = run(target(port, patience=2.0), store, SILENT, settle=0.3)
    assert failed(report) == KEEPS_ANYTHING
    assert failed(held_up) == {SILENT}


def test_orthanc(store: Path) -> None:
    """It says 0000H to other content under a known UID; silent clients use up its threads."""
    with orthanc(store) as port:
        report = run(target(port, aet="ORTHANC"), store, *but(SILENT))
        held_up = run(target(port, aet="ORTHANC", patience=2.0), store, SILENT)
    assert failed(report) == {"STO-008"}
    assert failed(held_up) == {SILENT}
    assert {case[:3] for case in having(report, Verdict.SKIP)} == {"TLS", "CRT"}
