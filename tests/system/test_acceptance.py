"""検収: a real sender, a real receiver, samples; and what it says when one of them is away."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pypdfium2
import pytest

from samples import acceptance
from samples.acceptance import POINTS, Run
from tests.common.test_words import CLAIMS
from tests.system.ends import Ends, must, verb

pytestmark = [pytest.mark.system, pytest.mark.evidence, pytest.mark.timeout(240)]
BUILT = {"software"}  # a copy that was not built knows no SBOM, and says so
SHORT = 6.0  # seconds


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    pair = Ends(Path(tmp_path_factory.mktemp("acceptance")))
    pair.pair()
    yield pair
    pair.stop_receiver()


def read(path: Path) -> str:
    return "".join(pypdfium2.PdfDocument(path)[0].get_textpage().get_text_range().split())


@pytest.mark.slow
@pytest.mark.requirement("SUB-07", "EVD-05", "EVD-09", "EVD-08")
def test_samples_go_from_a_real_sender_to_a_real_receiver(ends: Ends, tmp_path: Path) -> None:
    made = acceptance.run("髙橋 検収者", ends.sender, None)
    assert set(made.failed) <= BUILT
    words, page = acceptance.write(made, tmp_path)
    said = json.loads(words.read_text("utf-8"))
    assert said["test"] is True
    assert said["install"] == json.loads((ends.sender / "install.json").read_text("utf-8"))
    assert {one["kind"] for one in said["transfers"]} == {"dicom", "slide"}
    with ends.outbox() as box:  # what the record says is what the sender knows
        for one in said["transfers"]:
            kept = box.transfer(one["id"])
            assert (kept.state, kept.test, kept.digests_equal) == (one["state"], True, True)
    text = read(page)
    for part in ("検収記録", "試験", "髙橋検収者", hashlib.sha256(words.read_bytes()).hexdigest()):
        assert part in text
    assert len(pypdfium2.PdfDocument(page)) == 1
    assert not CLAIMS.search(text)
    month = said["at"][:7]
    for room, data in (("sender", ends.sender), ("receiver", ends.receiver)):
        report = must(room, "report", "--month", month, "--data", data)
        assert (report["empty"], report["test"]) == (True, len(said["transfers"])), room


@pytest.mark.slow  # every day the exit code of a run without an end shows the same way
@pytest.mark.requirement("SUB-07")
def test_it_says_what_failed(ends: Ends, tmp_path: Path) -> None:
    ends.stop_receiver()
    made = acceptance.run("検収者", ends.sender, None, SHORT)
    assert set(made.failed) - BUILT == {"sent", "dicom", "slide", "marked"}
    _, page = acceptance.write(made, tmp_path)
    assert f"確認できない項目:{'、'.join(POINTS[one][0] for one in made.failed)}" in read(page)


@pytest.mark.requirement("SUB-07")
def test_its_exit_code_is_that_of_a_failure(tmp_path: Path) -> None:
    said = verb(
        "selftest", "--acceptance", "--operator", "x", "--data", tmp_path, "--out", tmp_path
    )
    assert said.code == 1
    assert set(said.words["failed"]) >= set(POINTS) - BUILT - {"samples"}
    assert [Path(path).exists() for path in said.words["written"]] == [True, True]


def test_what_was_never_reached_did_not_hold() -> None:
    from datetime import UTC, datetime

    assert Run("x", datetime.now(UTC)).failed == list(POINTS)
