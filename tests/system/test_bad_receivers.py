"""Receivers that are bad on purpose: nothing they do is ever taken for a receipt."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from common.errors import IntegrityError
from common.states import TransferState
from tests.sender.slides.vendor_files import Svs
from tests.system.ends import Ends, Said, command, must, until, verb
from tests.system.series import write_series

pytestmark = [pytest.mark.system, pytest.mark.timeout(150)]
MUTANTS = Path(__file__).parent / "mutants"
FAULTS = {
    "flips-on-the-way-to-disk": "ct",
    "flips-before-hashing": "ct",
    "acknowledges-and-drops": "ct",
    "flips-a-tile": "slide",
    "replays-a-receipt": "ct",
    "countersigns-others": "ct",
}
#: A pass would find the receiver's own lie on its disk, and have the image sent again.
NO_SCRUB = os.environ | {"TODOKE_RECEIVER_SCRUB_MB_PER_SECOND": "0"}
MENDED = [name for name in FAULTS if name != "countersigns-others"]


def _sources(folder: Path) -> dict[str, Path]:
    sources = {}
    for seed, (name, kind) in enumerate(FAULTS.items()):
        if kind == "ct":
            write_series(folder / name, 100 + seed, slices=4, side=64)
            sources[name] = folder / name
        else:
            sources[name] = Svs(width=900, height=700, factors=(1, 2)).write(folder / f"{name}.svs")
    return sources


@dataclass
class Bad:
    """What `sender send` said of each fault."""

    ends: Ends
    sources: dict[str, Path]
    said: dict[str, Said]

    def transfer(self, name: str) -> Any:
        (one,) = self.said[name].words["transfers"]
        return one


@pytest.fixture(scope="module")
def bad(ends: Ends, tmp_path_factory: pytest.TempPathFactory) -> Bad:
    """Send something to one receiver with every fault in turn."""
    folder = Path(tmp_path_factory.mktemp("faults"))
    now, sources = folder / "now", _sources(folder)
    now.write_text("none", "utf-8")
    ends.stop_receiver()
    path = f"{MUTANTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    ends.start_receiver({**NO_SCRUB, "PYTHONPATH": path, "TODOKE_FAULT": str(now)})
    write_series(folder / "sound", 99, slices=2, side=32)
    must("sender", "send", folder / "sound", "--data", ends.sender)
    said = {}
    for name in FAULTS:
        now.write_text(name, "utf-8")
        said[name] = verb("sender", "send", sources[name], "--data", ends.sender)
    return Bad(ends, sources, said)


@pytest.mark.requirement("DIR-07")
@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_receiver_never_makes_it_received(bad: Bad, name: str) -> None:
    transfer = bad.transfer(name)
    assert transfer["digests_equal"] is False
    assert transfer["state"] == TransferState.HELD
    assert bad.said[name].code == IntegrityError.exit_code
    with bad.ends.outbox() as box:
        assert box.statement(transfer["id"], "receipt") is None


@pytest.mark.requirement("DCM-06")
@pytest.mark.parametrize("name", FAULTS)
def test_it_is_told_in_words_in_both_languages(bad: Bad, name: str) -> None:
    error = bad.transfer(name)["error"]
    assert error["number"] == IntegrityError.number
    assert error["ja"].startswith("照合が一致しません")
    assert error["en"].startswith("Digests differ (")
    assert error["ja"].endswith(IntegrityError.number)


@pytest.mark.parametrize(
    ("language", "words"), [("ja", "照合が一致しません"), ("en", "Digests differ")]
)
def test_a_person_reads_it_too(bad: Bad, language: str, words: str) -> None:
    name = bad.transfer("flips-a-tile")["id"]
    line = command("sender", "show", name, "--data", bad.ends.sender)
    told = subprocess.run(
        line,
        env={**os.environ, "TODOKE_LANG": language},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert words in told.stdout


@pytest.fixture(scope="module")
def mended(bad: Bad) -> Iterator[Bad]:
    """A sound receiver on the same data, and every held transfer tried again."""
    bad.ends.stop_receiver()
    bad.ends.start_receiver(NO_SCRUB)
    names = {bad.transfer(name)["id"] for name in FAULTS}
    for name in names:
        must("sender", "retry", name, "--data", bad.ends.sender)
    with bad.ends.daemon(), bad.ends.outbox() as box:
        until(
            lambda: all(t.finished for t in box.transfers() if t.id in names),
            "every transfer ends",
        )
        yield bad


@pytest.mark.requirement("UX-06", "DIR-07")
@pytest.mark.parametrize("name", MENDED)
def test_a_sound_receiver_and_a_retry_bring_it_to_its_receipt(mended: Bad, name: str) -> None:
    with mended.ends.outbox() as box:
        transfer = box.transfer(mended.transfer(name)["id"])
    assert transfer.state is TransferState.RECEIPTED, transfer.error
    assert transfer.digests_equal is True


def test_a_false_receipt_is_not_believed_later_either(mended: Bad) -> None:
    with mended.ends.outbox() as box:
        transfer = box.transfer(mended.transfer("countersigns-others")["id"])
    assert transfer.state is TransferState.HELD
    assert transfer.digests_equal is False
    said = must(
        "sender", "send", mended.sources["countersigns-others"], "--data", mended.ends.sender
    )
    assert [t["state"] for t in said["transfers"]] == ["receipted"]
