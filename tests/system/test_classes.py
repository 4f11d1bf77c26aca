"""Every class and every coding from our sender to our receiver, private classes by setting."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from common.dicom import uids
from common.errors import NotDirect
from receiver import index
from tests.system import synthetic
from tests.system.ends import Ends, Said, command, start, verb
from tests.system.objects import Object

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

PRIVATE = ("1.2.392.200036.9116.7.8.1.1.1", "1.2.840.113619.4.30", "1.3.46.670589.5.0.1.1")
DOSE_REPORT = "1.2.840.10008.5.1.4.1.1.88.67"
NAMED = "1.2.392.200036., 1.2.840.113619.4.30"  # the third is not
NAMES = ("TODOKE_RECEIVER_OTHER_STORAGE_CLASSES", "TODOKE_SENDER_OTHER_STORAGE_CLASSES")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    """Two ends, of which each takes two makers' private classes."""
    pair = Ends(Path(tmp_path_factory.mktemp("both")))
    with pytest.MonkeyPatch.context() as environment:
        for name in NAMES:
            environment.setenv(name, NAMED)
        pair.pair()
        yield pair
        pair.stop_receiver()


def held(ends: Ends) -> dict[str, tuple[str, str, bytes]]:
    """State, transfer syntax and data set of what the receiver holds."""
    with ends.index() as known, known.read() as db:
        rows = [r for r in db.execute(select(index.instances)) if r.path is not None]
    return {
        row.sop_uid: (
            str(row.state),
            row.transfer_syntax,
            (ends.receiver / "store" / row.path).read_bytes()[row.prefix_length :],
        )
        for row in rows
    }


def send(ends: Ends, folder: Path, **without: str) -> Said:
    """Send a folder, with other settings of the sender where they are given."""
    env = os.environ | without
    return verb("sender", "send", folder, "--data", ends.sender, env=env)


@pytest.mark.requirement("DCM-02", "DCM-04", "RAD-11", "SUB-02", "SUB-03", "SUB-04", "SUB-05")
def test_all_that_a_hospital_images_is_receipted_as_it_was(both: Ends, tmp_path: Path) -> None:
    files = synthetic.write_syntaxes(tmp_path / "all" / "syntaxes", seed=1)
    files += synthetic.write_classes(tmp_path / "all" / "classes", 2, uids.STORAGE_CLASSES)
    files += synthetic.write_classes(tmp_path / "all" / "private", 3, PRIVATE[:2])
    sources = [one for path in files if (one := Object.read(path))]
    assert len(sources) == len(uids.TRANSFER_SYNTAXES) + len(uids.STORAGE_CLASSES) + 2
    assert DOSE_REPORT in {one.sop_class for one in sources}
    line = command("sender", "send", tmp_path / "all", "--data", both.sender)
    sending = start(line, both.folder / "sender.log")
    sending.communicate(timeout=180)
    assert sending.returncode in {0, NotDirect.exit_code}, (both.folder / "sender.log").read_text()
    both.let_go()  # what was captured or made, and not acquired, goes as reference
    wanted = {one.sop_uid: ("verified", one.syntax, one.data) for one in sources}
    assert held(both) == wanted


@pytest.mark.requirement("DCM-02")
def test_a_class_that_no_setting_names_is_refused_in_words(both: Ends, tmp_path: Path) -> None:
    synthetic.write_classes(tmp_path / "third", 4, PRIVATE[2:])
    said = send(both, tmp_path / "third")
    assert [row["number"] for row in said.words["refused"]] == ["E-2008"]
    assert "other_storage_classes" in said.words["refused"][0]["en"]


@pytest.mark.requirement("DCM-02", "DCM-06")
def test_a_class_that_only_the_sender_names_fails_and_says_so(both: Ends, tmp_path: Path) -> None:
    before = held(both)
    synthetic.write_classes(tmp_path / "third", 5, PRIVATE[2:])
    said = send(both, tmp_path / "third", **{NAMES[1]: PRIVATE[2]})
    assert said.code != 0
    both.let_go(frozenset({"receipted", "failed"}))
    with both.outbox() as box:
        transfer = box.transfers()[-1]
    assert str(transfer.state) == "failed"
    assert PRIVATE[2] in str(transfer.error)
    assert held(both) == before
