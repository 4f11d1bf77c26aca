"""The kit on our own receiver, as a hospital runs it: every case passes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from conformance.case import Verdict
from conformance.cases import CASES
from conformance.readback import DicomWeb, Folder
from conformance.target import Credentials, Target
from tests.conformance.rig import failed, having, run
from tests.system.ends import SENDER_CODE, Ends, must, verb

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    """A paired sender and a running receiver."""
    pair = Ends(Path(tmp_path_factory.mktemp("ends")))
    pair.pair()
    try:
        yield pair
    finally:
        pair.stop_receiver()


def partner(ends: Ends) -> tuple[Target, Path]:
    """The receiver as the sender knows it after pairing, and the sender's own certificate."""
    (path,) = (ends.sender / "partners").glob("*.json")
    words = json.loads(path.read_text("utf-8"))
    ca = ends.folder / "ca.pem"
    ca.write_text(words["ca"], "utf-8")
    credentials = Credentials(path.with_suffix(".crt"), path.with_suffix(".key"), ca)
    target = Target(
        "127.0.0.1",
        words["dicom_port"],
        words["aet"],
        words["calling_aet"],
        credentials,
        words["host"],
        profile="jp-high13",
        test_ca_key=ends.receiver / "identity" / "ca.key",
        test_ca=ca,
    )
    return target, path


@pytest.mark.requirement(
    "TST-01", "NET-01", "NET-02", "NET-06", "NET-07", "NET-15", "DAT-05", "CHR-02", "DCM-06"
)
def test_own_receiver_passes_every_case(ends: Ends) -> None:
    target, _ = partner(ends)
    store = ends.receiver / "store"
    report = run(target, Folder(store, store / "aside"), settle=5.0)
    assert failed(report) == set()
    assert having(report, Verdict.PASS) == {case.id for case in CASES}
    remarks = {result.case.id: result.observed.en for result in report.results if result.remark}
    assert remarks == {}
    assert report.exit_code == 0


def test_verb_against_own_receiver(ends: Ends, tmp_path: Path) -> None:
    """As a vendor types it."""
    target, path = partner(ends)
    store = ends.receiver / "store"
    said = verb(
        *("conformance", "receiver", "--address", f"localhost:{target.port}"),
        *("--aet", target.called_aet, "--calling-aet", target.calling_aet),
        *("--cert", path.with_suffix(".crt"), "--key", path.with_suffix(".key")),
        *("--ca", ends.folder / "ca.pem", "--read-back", store, "--aside", store / "aside"),
        *("--report", tmp_path, "--only", "VER,STO-001,STO-008,IDN-005"),
    )
    assert said.code == 0, said.errors
    assert {case["verdict"] for case in said.words["cases"]} == {"pass"}
    assert (tmp_path / "junit.xml").exists()


@pytest.mark.requirement("DCM-02", "CHR-02")
def test_own_receiver_gives_back_over_dicomweb_what_it_was_sent(ends: Ends) -> None:
    """Signed in as a reader; refused and damaged instances are not listed there."""
    password = "Long-enough-4-everybody"
    must(
        *("receiver", "user", "add", "reader", "--password-stdin", "--data", ends.receiver),
        stdin=password,
    )
    with httpx.Client(base_url=ends.viewer, trust_env=False) as browser:
        answer = browser.post(
            "/api/sign-in",
            json={"name": "reader", "password": password},
            headers={"X-Todoke": "1", "Origin": ends.viewer},
        )
        assert answer.status_code == 200, answer.text
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    target, _ = partner(ends)
    root = f"{ends.viewer}/dicomweb/at/{SENDER_CODE}"
    inside = DicomWeb(root, {"Cookie": cookie}, None, 10.0)
    names = ("STO-007", "STO-008", "STO-009", "STO-010", "STO-015", "STO-016", "IDN")
    report = run(target, inside, *names, settle=5.0)
    inside.close()
    assert failed(report) == set()
    assert having(report, Verdict.SKIP) == set()
    assert [result.case.id for result in report.results if result.remark] == []
