"""The outbox: all or nothing, states by the table, and still there after a restart."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from common.errors import DatabaseUnsafe, NotAnImage, NotFound, TodokeError, UsageError
from common.link import Digest
from common.states import TransferState
from sender.acknowledgements import TOGETHER, Acknowledgements
from sender.outbox import Instance, Outbox

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def instance(number: int, **values: Any) -> Instance:
    given = {"d1": f"{number:064x}", "length": 1000, **values}
    place = (f"1.2.{number}", CT, EXPLICIT, "1.2.99", number, f"/x/{number}.dcm", 300)
    return Instance(*place, size=1300, mtime_ns=5, inode=number, **given)


def values(**changes: Any) -> dict[str, Any]:
    given = {"partner": "asahikawa", "kind": "dicom", "state": TransferState.QUEUED}
    words = {"priority": "routine", "purpose": "diagnosis", "study": "1.2.9"}
    return {**given, **words, "attributes": "{}", "request": "{}", "test": False, **changes}


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox(tmp_path)) as opened:
        yield opened


def fill(box: Outbox, *transfers: tuple[dict[str, Any], list[Instance]]) -> list[str]:
    number = box.submit("asahikawa", [Path("/x")], {"priority": "routine"})
    return box.scanned(box.job(number), list(transfers), [], len(transfers))


@pytest.mark.requirement("UX-06", "DAT-08")
def test_what_is_owed_is_still_there_after_a_restart(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path)) as box:
        job = box.submit("asahikawa", [Path("/x"), Path("/画像")], {"slide": {"sex": "F"}})
        (name,) = fill(box, (values(), [instance(1), instance(2)]))
        box.acknowledged(name, ["1.2.1"])
        before = box.transfer(name), box.instances(name)
    with closing(Outbox(tmp_path)) as box:
        assert [j.id for j in box.jobs(unscanned=True)] == [job]
        assert box.job(job).paths == ["/x", "/画像"]
        assert box.job(job).options == {"slide": {"sex": "F"}}
        assert (box.transfer(name), box.instances(name)) == before
        assert [i.acked for i in box.instances(name)] == [1, 0]
        assert box.progress() == {name: (1, 2, 1000, 2000)}


def test_a_job_is_kept_whole_or_not_at_all(box: Outbox) -> None:
    number = box.submit("asahikawa", [Path("/x")], {})
    found = [(values(), [instance(2)]), (values(), [instance(1), instance(1)])]
    refused: list[tuple[str, TodokeError]] = [("/x/a", NotAnImage(cause="a"))]
    job = box.job(number)
    with pytest.raises(sqlite3.IntegrityError):
        box.scanned(job, found, refused, 3)
    assert box.transfers() == []
    assert box.refused(number) == []
    assert not box.job(number).scanned


def test_the_refused_keep_their_words_in_both_languages(box: Outbox) -> None:
    number = box.submit("asahikawa", [Path("/x")], {})
    error = NotAnImage(cause="DICOMDIR")
    box.scanned(box.job(number), [], [("/x/DICOMDIR", error)], 1)
    assert box.refused(number) == [{"path": "/x/DICOMDIR", **error.as_json()}]
    assert box.job(number).found == 1


@pytest.mark.requirement("UX-01")
def test_states_move_as_the_table_allows(box: Outbox) -> None:
    (name,) = fill(box, (values(), [instance(1)]))
    with pytest.raises(UsageError):
        box.set_state(name, TransferState.RECEIPTED, digests_equal=1)
    assert box.transfer(name).state is TransferState.QUEUED
    assert box.transfer(name).digests_equal is None
    steps = (TransferState.SENDING, TransferState.DELIVERED, TransferState.RECEIPTED)
    for state in steps:
        box.set_state(name, state)
    assert box.transfer(name).state is TransferState.RECEIPTED


@pytest.mark.requirement("UX-04")
def test_what_is_owed_comes_most_urgent_first(box: Outbox) -> None:
    order = ("routine", "soon", "urgent", "soon")
    names = fill(box, *[(values(priority=p), [instance(1)]) for p in order])
    box.set_state(names[3], TransferState.HELD)
    assert [t.id for t in box.owed()] == [names[2], names[1], names[0]]


def test_a_transfer_is_named_by_the_beginning_of_its_id(box: Outbox) -> None:
    names = fill(box, (values(), [instance(1)]), (values(), [instance(1)]))
    assert box.transfer(names[0][:12]).id == names[0]
    with pytest.raises(NotFound):
        box.transfer("")


def test_a_wildcard_names_no_transfer(box: Outbox) -> None:
    fill(box, (values(), [instance(1)]))
    for wrong in ("%", "_" * 32, "f" * 33, "' OR 1=1 --"):
        with pytest.raises(NotFound):
            box.transfer(wrong)


def test_a_level_counts_its_frames(box: Outbox) -> None:
    level = instance(1, frames=4, d1=None, length=4000)
    (name,) = fill(box, (values(kind="slide"), [level]))
    box.acknowledged(name, ["1.2.1"], held=3)
    assert box.progress() == {name: (3, 4, 3000, 4000)}
    box.digested(name, [Digest("1.2.1", 4000, "a" * 64, root="b" * 64)])
    (kept,) = box.instances(name)
    assert (kept.d1, kept.root) == ("a" * 64, "b" * 64)


def test_watched_files_are_known_with_their_job_or_not_at_all(box: Outbox) -> None:
    number = box.submit_watched({Path("/w/1"): (10, 5)}, {"source": "folder:w"})
    assert box.watched() == {"/w/1": (10, 5)}
    assert number is not None
    assert box.job(number).partner == ""
    again = box.submit_watched({Path("/w/1"): (10, 5)}, {"source": "folder:w"})
    assert again is None, "another process has taken it"
    box.submit_watched({Path("/w/1"): (12, 6)}, {"source": "folder:w"})
    assert box.watched() == {"/w/1": (12, 6)}


def test_another_process_is_noticed(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path)) as one, closing(Outbox(tmp_path)) as other:
        before = one.changes()
        other.submit("asahikawa", [Path("/x")], {})
        assert one.changes() != before


def test_threads_and_processes_share_it(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path)) as one, closing(Outbox(tmp_path)) as other:
        (name,) = fill(one, (values(), [instance(n) for n in range(40)]))
        threads = [
            threading.Thread(
                target=lambda box=box, at=at: [
                    box.acknowledged(name, [f"1.2.{n}"]) for n in range(at, 40, 4)
                ]
            )
            for at, box in enumerate((one, other, one, other))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert one.progress()[name][:2] == (40, 40)


def test_an_outbox_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path)) as box:
        path = box.path
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(DatabaseUnsafe):
        Outbox(tmp_path)


#: Tables that an outbox of the first version has none of.
_NEWER = (
    "cases", "heard", "heard_until", "records", "anchors", "recorded_since",
    "readers", "letters", "calls", "unopened", "ears", "key_images",
)  # fmt: skip


def test_outbox_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path)) as box:
        (name,) = fill(box, (values(), [instance(1)]))
    with closing(sqlite3.connect(tmp_path / "outbox.sqlite")) as db:
        db.execute("ALTER TABLE transfers DROP COLUMN delivered")
        db.execute("ALTER TABLE instances DROP COLUMN sent_as")
        db.execute("ALTER TABLE transfers DROP COLUMN source_sha256")
        db.execute("ALTER TABLE transfers DROP COLUMN judgement")
        db.execute("ALTER TABLE instances DROP COLUMN role")
        db.execute("DROP TABLE statements")
        for table in _NEWER:
            db.execute(f"DROP TABLE {table}")
        for kind in ("opening", "closing", "receipt"):
            db.execute(f"ALTER TABLE transfers ADD COLUMN {kind} TEXT")
        db.execute("UPDATE transfers SET opening='signed'")
        db.execute("PRAGMA user_version=1")
        db.commit()
    with closing(Outbox(tmp_path)) as box:
        assert not box.unrecorded("p")
        assert not box.records()
        assert box.transfer(name).delivered is None
        assert box.transfer(name).judgement == {}
        assert box.instances(name)[0].role == ""
        assert box.statement(name, "opening") == "signed"
        assert box.statement(name, "closing") is None
        box.set_state(name, TransferState.SENDING)
        box.set_state(name, TransferState.DELIVERED)
        assert box.transfer(name).delivered is not None
        box.send_as(name, {"1.2.1": "1.2.840.10008.1.2.4.80"})
        assert box.instances(name)[0].sent_as == "1.2.840.10008.1.2.4.80"


def test_a_long_statement_is_kept_whole_and_goes_with_the_next(box: Outbox) -> None:
    (name,) = fill(box, (values(), [instance(1)]))
    for text in ("".join(map(str, range(150_000))), "c"):
        box.keep(name, opening=text, closing=None)
        assert box.statement(name, "opening") == text
    box.set_state(name, TransferState.SENDING, opening=None, receipt="r")
    assert [box.statement(name, kind) for kind in ("opening", "receipt")] == [None, "r"]


def test_acknowledgements_are_kept_together_and_none_is_forgotten(box: Outbox) -> None:
    count = TOGETHER + 2
    (name,) = fill(box, (values(), [instance(n) for n in range(count)]))
    kept = Acknowledgements(box, name)
    for number in range(count):
        kept.add(f"1.2.{number}", f"{number:064x}")
    kept.flush()
    assert [i.d1 for i in box.instances(name)] == [f"{n:064x}" for n in range(count)]
    assert all(i.acked for i in box.instances(name))


def test_what_a_write_failed_with_is_told(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path)) as box:
        (name,) = fill(box, (values(), [instance(1)]))
    kept = Acknowledgements(box, name)
    kept.add("1.2.1", "0" * 64)
    with pytest.raises(sqlite3.ProgrammingError):
        kept.flush()


def test_an_acknowledgement_is_kept_though_no_other_follows(box: Outbox) -> None:
    (name,) = fill(box, (values(), [instance(1)]))
    kept = Acknowledgements(box, name)
    kept.add("1.2.1", "0" * 64)
    end = time.monotonic() + 20
    while not box.instances(name)[0].acked:
        assert time.monotonic() < end, "kept within its patience"
    kept.flush()
