"""The records of real transfers, spoilt in every way: each is found by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.proof import record_file, verify
from common.proof.identity import Node
from common.proof.role import Role
from sender import record_sending
from tests.common.proof import handed, scan
from tests.common.proof.handed import ELSEWHERE, Case, Handed, anchor, hand_over, node
from tests.common.proof.mutants import MUTANTS
from tests.system.ends import Ends, must
from tests.system.series import write_series

# every day the same mutants are made of records that test_verify signs itself
pytestmark = [
    pytest.mark.system,
    pytest.mark.evidence,
    pytest.mark.slow,
    pytest.mark.timeout(150),
]


@dataclass
class Sent:
    """Three transfers, each with its record; and the views of the first."""

    case: Case
    outside: Path
    uid: str


@pytest.fixture(scope="module")
def sent(ends: Ends, tmp_path_factory: pytest.TempPathFactory) -> Sent:
    """Send three studies, and take their records; the outside view is written by the verb."""
    folder = Path(tmp_path_factory.mktemp("sent"))
    data = ("--data", ends.sender)
    written_by = {
        handed.image_digest(path).uid: path
        for seed in (70, 71, 72)
        for path in write_series(folder / "ct" / str(seed), seed, slices=3, side=16)
    }
    must("sender", "send", folder / "ct", *data)
    with ends.outbox() as box:
        rows = box.records()
        kept = [record_sending.kept(box, row) for row in rows]
    uids = [one["uid"] for one in kept[0].leaves or ()]
    uid = uids[1]
    files = [handed.written(record_file.build(one, "inside", uids[1:2] if one is kept[0] else []))
             for one in kept]  # fmt: skip
    images = [written_by[one] for one in uids]
    outside = folder / "outside.json"
    view = ("--record", outside, "--view", "outside", "--instance", uid)
    must("sender", "show", rows[0].transfer, *view, *data)
    ours, theirs = (
        Node.load(ends.sender, Role.REQUESTER), Node.load(ends.receiver, Role.SUPPORTER)
    )  # fmt: skip
    case = Case(folder, files, ours, theirs, node(folder / "x", "x", ELSEWHERE), images)
    anchor(case)
    return Sent(case, outside, uid)


def said(case: Case, given: Handed, folder: Path) -> tuple[int, list[str], list[str]]:
    """Verify in this process: exit code, what differs, what is open."""
    line = list(hand_over(case, given, folder))
    files = [Path(word) for word in line if Path(word).parent == folder and ".json" in word]
    answer = verify.verify(files, folder / "trust", given.images)
    every = [*answer["records"], *answer["series"]]
    differs, left = (
        [one["code"] for of in every for one in of[kind]] for kind in ("differs", "open")
    )
    return answer["exit"], differs, left


@pytest.mark.requirement("EVD-01", "EVD-02", "EVD-06")
def test_what_was_really_sent_is_as_it_was_signed(sent: Sent, tmp_path: Path) -> None:
    every = Handed(sent.case.files, [])
    assert said(sent.case, every, tmp_path / "all") == (0, [], [])
    images = Handed(sent.case.files[:1], sent.case.images)
    assert said(sent.case, images, tmp_path / "images") == (0, [], [])


@pytest.mark.requirement("EVD-02", "DIR-06")
@pytest.mark.parametrize("name", MUTANTS)
def test_what_was_spoilt_is_found_by_name(name: str, sent: Sent, tmp_path: Path) -> None:
    finds, make = MUTANTS[name]
    code, differs, _ = said(sent.case, make(sent.case), tmp_path / "a")
    assert finds in differs
    assert code == (2 if finds == "unreadable" else 1)


@pytest.mark.requirement("EVD-03", "PRI-05", "DAT-12")
def test_the_outside_view_proves_one_image_and_names_nobody(sent: Sent, tmp_path: Path) -> None:
    outside = json.loads(sent.outside.read_text("utf-8"))
    at = [one["uid"] for one in sent.case.files[0]["instances"]].index(sent.uid)
    images = {path: verify.digest_of(path)[0] for path in sent.case.images}
    (shown,) = [path for path, uid in images.items() if uid == sent.uid]
    assert said(sent.case, Handed([outside], [shown]), tmp_path / "a") == (0, [], [])
    assert at == 1
    hidden = [uid for uid in images.values() if uid != sent.uid]
    named = (*hidden, "T70", "T71", "T72", "髙橋", "タカハシ", "TAKAHASHI", "19580307")
    for _, text in scan.texts(sent.outside.read_bytes()):
        assert not [word for word in named if word in text]
