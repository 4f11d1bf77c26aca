"""A scanner's folder by a clock of the test's own: slides whole, once, and of whom they are."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from common.errors import SourceChanged, SourceGone, UsageError
from common.settings import Sender
from common.states import TransferState
from sender import completing, ingest, sending, slide_request
from sender.doors.folder import FolderDoor
from sender.doors.scanner import PATIENCE
from sender.doors.way import Way
from sender.outbox import Outbox, Transfer, fault, now
from tests.sender.slides.vendor_files import Svs

SETTLE = 10.0
HEAD = "ファイル名,患者ID,患者名,受付番号,染色,緊急度\n"


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Three small slides that differ."""
    folder = Path(tmp_path_factory.mktemp("slides"))
    made = []
    for number in range(3):
        svs = Svs(width=260 + 20 * number, height=200, tile=128, factors=(1, 2), macro=False)
        made.append(svs.write(folder / f"{number}.svs").read_bytes())
    nameless = Svs(width=260, height=220, tile=128, factors=(1,), label=False, macro=False, mpp="")
    made.append(nameless.write(folder / "nameless.svs").read_bytes())
    return made


class Scanner:
    """A folder, its door, and what the engine would make of the jobs."""

    def __init__(self, folder: Path, outbox: Outbox, **way: Any) -> None:
        self.folder = folder
        self.outbox = outbox
        self.now = 100.0
        self.way = way
        folder.mkdir(exist_ok=True)
        self.restart()

    def restart(self) -> None:
        """Begin anew, as after a restart of the daemon."""
        options = {"partner": "asahikawa", "priority": "routine", "settle": SETTLE, **self.way}
        ways = [Way(self.folder, **options)]
        self.door = FolderDoor(self.outbox, Sender(), clock=lambda: self.now, ways=ways)

    def put(self, name: str, data: bytes | str, encoding: str = "utf-8") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode(encoding))
        return path

    def look(self, later: float = 0.0) -> list[int]:
        self.now += later
        jobs = self.door.look()
        for job in self.outbox.jobs(unscanned=True):
            found = ingest.scan(job, sent=self.outbox.sent_already)
            self.outbox.scanned(job, found.transfers, found.refused, found.files)
        return jobs

    def settled(self) -> list[Transfer]:
        """Look until everything that lies still has been taken; return all transfers."""
        for later in (0.0, SETTLE, 0.0, SETTLE):
            self.look(later)
        return self.outbox.transfers()

    def refused(self) -> list[tuple[str, str]]:
        return [
            (Path(row["path"]).name, row["number"])
            for job in self.outbox.jobs()
            for row in self.outbox.refused(job.id)
        ]


@pytest.fixture
def scanner(tmp_path: Path) -> Iterator[Scanner]:
    with closing(Outbox(tmp_path / "data")) as outbox:
        yield Scanner(tmp_path / "scans", outbox)


def number(transfer: Transfer) -> str | None:
    return transfer.error["number"] if transfer.error else None


def patient(transfer: Transfer) -> str:
    return str(transfer.attributes["00100020"].get("Value", [""])[0])


# -- whole and still ------------------------------------------------------------


def test_a_slide_that_is_written_slowly_is_taken_once_it_is_whole(
    scanner: Scanner, slides: list[bytes]
) -> None:
    whole = slides[0]
    scanner.put("r.csv", f"{HEAD}a.svs,1,,,,\n")
    for share in (0.1, 0.4, 0.9):
        path = scanner.put("a.svs", whole[: int(len(whole) * share)])
        scanner.look()
        assert scanner.look(SETTLE - 1) == []
        assert scanner.door.waiting[path] == "growing"
    # a pause that is longer than the time set: it lies still, and is not whole
    for _ in range(5):
        assert scanner.look(SETTLE) == []
        assert scanner.door.waiting[path] == "unreadable"
    scanner.put("a.svs", whole)
    assert scanner.look() == []
    assert scanner.look(SETTLE) != []
    (transfer,) = scanner.outbox.transfers()
    assert (transfer.state, patient(transfer)) == (TransferState.QUEUED, "1")


def test_the_directory_of_a_tiff_may_come_last(scanner: Scanner, slides: list[bytes]) -> None:
    """All its length is there, the offset of the first directory not yet."""
    whole = slides[0]
    scanner.put("r.csv", f"{HEAD}a.svs,1,,,,\n")
    scanner.put("a.svs", whole[:4] + bytes(4) + whole[8:])
    assert scanner.settled() == []
    scanner.put("a.svs", whole)
    assert len(scanner.settled()) == 1


def test_a_file_that_says_other_than_its_listing_still_grows(
    scanner: Scanner, slides: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network share gives a listing that is a minute old; the open file is believed."""
    path = scanner.put("a.svs", slides[0])
    listed, real = path.stat(), Path.stat
    with path.open("ab") as file:
        file.write(b"more")
    monkeypatch.setattr(
        Path, "stat", lambda self, **kw: listed if self == path else real(self, **kw)
    )
    assert scanner.settled() == []
    assert scanner.door.waiting[path] == "growing"
    monkeypatch.undo()
    assert len(scanner.settled()) == 1


def test_a_name_that_is_not_final_is_left_alone(scanner: Scanner, slides: list[bytes]) -> None:
    scanner.put("r.csv", f"{HEAD}a.svs,1,,,,\n")
    part = scanner.put("a.svs.part", slides[0])
    scanner.put("b.svs.tmp", slides[0])
    assert scanner.settled() == []
    part.rename(scanner.folder / "a.svs")
    (transfer,) = scanner.settled()
    assert scanner.outbox.instances(transfer.id)[0].path.endswith("a.svs")
    assert scanner.refused() == []


@pytest.mark.badinput(99, "slide cut short")
def test_what_never_becomes_a_slide_is_refused_in_words(
    scanner: Scanner, slides: list[bytes]
) -> None:
    scanner.put("a.svs", slides[0][:5000])
    assert scanner.settled() == []
    assert scanner.refused() == []
    scanner.look(PATIENCE)
    scanner.look(SETTLE)
    assert scanner.refused() == [("a.svs", "E-2003")]
    scanner.look(10 * PATIENCE)
    assert len(scanner.refused()) == 1, "it is told once"


def test_a_folder_format_is_one_slide_and_waits_for_all_its_files(scanner: Scanner) -> None:
    """No reader opens it here; what is asked is when, and as how many, it is taken."""
    index = scanner.put("m.mrxs", b"II*\0")
    for name in ("Slidedat.ini", "Data0000.dat", "Data0001.dat"):
        scanner.put(f"m/{name}", b"x" * 100)
    scanner.look()
    scanner.look(SETTLE - 1)
    scanner.put("m/Data0002.dat", b"x")
    scanner.look()
    scanner.look(SETTLE - 1)
    assert scanner.door.waiting == {index: "growing"}
    scanner.look(1)
    assert scanner.door.waiting == {index: "unreadable"}
    scanner.look(PATIENCE)
    scanner.look(SETTLE)
    (job,) = scanner.outbox.jobs()
    assert job.paths == [str(index)]
    assert len(scanner.refused()) == 1
    assert len(scanner.outbox.watched()) == 5


# -- once -----------------------------------------------------------------------


def test_a_slide_is_sent_once_over_restarts_copies_and_two_doors(
    scanner: Scanner, slides: list[bytes]
) -> None:
    scanner.put("r.csv", f"{HEAD}*.svs,0,,,,\na.svs,1,,,,\ncopy.svs,1,,,,\n")
    first = scanner.put("a.svs", slides[0])
    second = FolderDoor(scanner.outbox, Sender(), ways=[Way(scanner.folder, settle=1e-9)])
    assert len(scanner.settled()) == 1
    second.look()
    assert second.look() == [], "another door on the same folder"
    scanner.restart()
    assert len(scanner.settled()) == 1
    shutil.copy(first, scanner.folder / "copy.svs")
    assert len(scanner.settled()) == 1
    assert scanner.refused() == [("copy.svs", "E-2109")]
    os.utime(first, ns=(1, 1))  # touched, and the same
    assert len(scanner.settled()) == 1


def test_what_is_urgent_is_not_digested_before(scanner: Scanner, slides: list[bytes]) -> None:
    scanner.put("r.csv", f"{HEAD}a.svs,1,,,,術中迅速\nb.svs,2,,,,\n", "cp932")
    scanner.put("a.svs", slides[0])
    scanner.put("b.svs", slides[1])
    urgent, routine = scanner.settled()
    assert (urgent.priority, urgent.source_sha256) == ("urgent", None)
    assert routine.priority == "routine"
    assert routine.source_sha256
    assert len(routine.source_sha256) == 64


# -- cases ----------------------------------------------------------------------


def studies(scanner: Scanner) -> list[str]:
    return [transfer.study for transfer in scanner.settled()]


@pytest.mark.parametrize(
    ("case_from", "names", "accessions"),
    [
        ("sidecar", ("a.svs", "b.svs", "c.svs"), ("P26-1", "P26-1", "P26-2")),
        ("folder", ("k1/a.svs", "k1/b.svs", "k2/c.svs"), ("", "", "")),
        (r"name:^(P\d+-\d+)", ("P26-1-A.svs", "P26-1-B.svs", "P26-2-A.svs"), ("", "", "")),
    ],
)
def test_slides_of_one_case_are_one_study(
    scanner: Scanner,
    slides: list[bytes],
    case_from: str,
    names: tuple[str, ...],
    accessions: tuple[str, ...],
) -> None:
    scanner.way["case_from"] = case_from
    scanner.restart()
    lines = [
        f"{Path(name).name},{1 if i < 2 else 2},,{accession},{'HE' if i else 'PAS'},"
        for i, (name, accession) in enumerate(zip(names, accessions, strict=True))
    ]
    scanner.put("r.csv", HEAD + "\n".join(lines))
    for name, data in zip(names[:2], slides, strict=False):
        scanner.put(name, data)
    one, two = studies(scanner)
    assert one == two
    scanner.restart()
    scanner.put(names[2], slides[2])
    assert studies(scanner)[:2] == [one, one]
    assert studies(scanner)[2] != one
    cases = [json.loads(transfer.slide or "") for transfer in scanner.outbox.transfers()]
    assert len({case["series_uid"] for case in cases}) == 3
    assert [case["series_number"] for case in cases] == [1, 2, 1]
    assert [case["series_description"] for case in cases] == ["PAS", "HE", "HE"]
    assert cases[0]["study_date"] == cases[1]["study_date"]
    assert cases[0]["study_time"] == cases[1]["study_time"]


def test_two_patients_in_one_case_are_held(scanner: Scanner, slides: list[bytes]) -> None:
    scanner.way["case_from"] = "folder"
    scanner.restart()
    scanner.put("r.csv", f"{HEAD}a.svs,1,,,,\nb.svs,2,,,,\n")
    scanner.put("k/a.svs", slides[0])
    scanner.put("k/b.svs", slides[1])
    one, two = scanner.settled()
    assert one.state is TransferState.QUEUED
    assert (two.state, number(two)) == (TransferState.HELD, "E-2104")
    assert one.study != two.study


# -- of whom --------------------------------------------------------------------


@pytest.mark.requirement("UX-02")
def test_a_slide_without_a_patient_is_held_until_its_request_comes(
    scanner: Scanner, slides: list[bytes]
) -> None:
    scanner.put("a.svs", slides[0])
    scanner.put("b.svs", slides[1])
    held = scanner.settled()
    assert [number(one) for one in held] == ["E-2106", "E-2106"]
    assert "sender request" in (held[0].error or {})["ja"]
    for verb in (sending.retry, sending.release):
        given = {} if verb is sending.retry else {"by": "技師", "reason": "急ぐ"}
        with pytest.raises(UsageError, match="sender request"):
            verb(scanner.outbox.path.parent, held[0].id, **given)
    scanner.restart()
    scanner.put("r.csv", f"{HEAD}a.svs,0012345,髙橋 花子,P26-1,HE,至急\nb.svs,,,P26-1,,\n", "cp932")
    one, two = sorted(scanner.settled(), key=lambda t: t.id != held[0].id)
    assert (one.id, one.state, one.error) == (held[0].id, TransferState.QUEUED, None)
    assert (patient(one), one.priority) == ("0012345", "soon")
    assert one.request["stain"] == "HE"
    assert scanner.outbox.instances(one.id)
    assert number(two) == "E-2106"


def test_a_person_completes_a_slide_by_hand(scanner: Scanner, slides: list[bytes]) -> None:
    scanner.put("r.csv", f"{HEAD}a.svs,,,P26-1,HE,\n")
    scanner.put("a.svs", slides[0])
    (held,) = scanner.settled()
    words = slide_request.typed({"patient_id": "77", "name": "山﨑 一郎", "birth_date": "S25.4.1"})
    completing.complete(scanner.outbox, held.id, words)
    (done,) = scanner.outbox.transfers()
    assert (done.state, patient(done)) == (TransferState.QUEUED, "77")
    assert done.request["stain"] == "HE", "what the file said stays"
    assert json.loads(done.slide or "")["patient_name"] == "=山﨑^一郎"
    scanner.outbox.set_state(done.id, TransferState.SENDING, opening="signed")
    scanner.outbox.set_state(done.id, TransferState.HELD)
    with pytest.raises(UsageError):
        completing.complete(scanner.outbox, done.id, words)
    assert [one.id for one in scanner.settled()] == [done.id]


def test_a_bad_row_holds_its_slide_and_is_told_by_its_line(
    scanner: Scanner, slides: list[bytes]
) -> None:
    text = "ファイル名,患者ID,生年月日\na.svs,1,1950-13-01\nb.svs,2,1950-12-01\n"
    scanner.put("r.csv", text)
    scanner.put("a.svs", slides[0])
    scanner.put("b.svs", slides[1])
    one, two = sorted(scanner.settled(), key=lambda t: scanner.outbox.instances(t.id)[0].path)
    assert number(one) == "E-2107"
    assert "r.csv:2" in (one.error or {})["ja"]
    assert two.state is TransferState.QUEUED
    assert scanner.refused() == [("r.csv", "E-2107")]
    scanner.put("r.csv", text.replace("-13-", "-11-"))
    assert {t.state for t in scanner.settled()} == {TransferState.QUEUED}
    assert len(scanner.refused()) == 1


def test_a_slide_waits_for_a_request_that_is_being_written(
    scanner: Scanner, slides: list[bytes]
) -> None:
    """Half a request may hold half a patient ID."""
    path = scanner.put("a.svs", slides[0])
    scanner.look()
    request = scanner.put("r.csv", f"{HEAD}a.svs,00")
    scanner.look(SETTLE)
    assert scanner.door.waiting == {request: "request", path: "request"}
    scanner.put("r.csv", f"{HEAD}a.svs,0012345,,,,\n")
    (transfer,) = scanner.settled()
    assert patient(transfer) == "0012345"


def test_a_csv_of_something_else_goes_the_usual_way(scanner: Scanner) -> None:
    scanner.put("temperature.csv", "time,degrees\n10:00,23\n")
    scanner.settled()
    assert scanner.refused() == [("temperature.csv", "E-2002")]


# -- pixel size -----------------------------------------------------------------


@pytest.mark.parametrize("by", ["option", "file"])
def test_a_pixel_size_that_the_file_lacks_is_a_persons_and_said_so(
    scanner: Scanner, slides: list[bytes], by: str
) -> None:
    if by == "option":
        scanner.way["spacing"] = (0.25, "検査技師")
        scanner.restart()
    column = ",画素間隔\n" if by == "file" else ",備考\n"
    cell = ",0.25\n" if by == "file" else ",\n"
    scanner.put("r.csv", HEAD.replace("\n", column) + f"n.svs,1,,,,{cell}a.svs,2,,,,{cell}")
    scanner.put("n.svs", slides[3])
    scanner.put("a.svs", slides[0])
    told = {patient(t): t.request.get("spacing") for t in scanner.settled()}
    whom = "検査技師" if by == "option" else "request file"
    assert told == {"1": {"um": 0.25, "by": whom}, "2": None}, "its own goes before"


def test_a_slide_without_a_pixel_size_is_refused_and_never_given_one(
    scanner: Scanner, slides: list[bytes]
) -> None:
    scanner.put("r.csv", f"{HEAD}n.svs,1,,,,\n")
    scanner.put("n.svs", slides[3])
    assert scanner.settled() == []
    assert scanner.refused() == [("n.svs", "E-2004")]
    assert scanner.outbox.refused_slides() == [str(scanner.folder / "n.svs")]


# -- changed or gone while it was sent ------------------------------------------


def hold(scanner: Scanner, error: SourceChanged) -> Transfer:
    (transfer,) = scanner.outbox.transfers()
    scanner.outbox.set_state(transfer.id, TransferState.SENDING, opening="signed")
    scanner.outbox.set_state(transfer.id, TransferState.HELD, error=fault(error), finished=now())
    return transfer


def test_a_slide_that_changed_is_taken_again_as_another_transfer(
    scanner: Scanner, slides: list[bytes]
) -> None:
    scanner.put("r.csv", f"{HEAD}a.svs,1,,P26-1,,\n")
    path = scanner.put("a.svs", slides[0])
    scanner.settled()
    first = hold(scanner, SourceChanged(path=path))
    scanner.put("a.svs", slides[1])
    one, two = scanner.settled()
    assert one.id == first.id
    assert (one.state, number(one)) == (TransferState.FAILED, "E-2108")
    assert two.id[:8] in (one.error or {})["ja"]
    assert two.state is TransferState.QUEUED
    assert two.study == first.study
    assert len(scanner.settled()) == 2


def test_a_slide_that_changed_and_has_its_old_date_is_read_anew(
    scanner: Scanner, slides: list[bytes]
) -> None:
    scanner.put("r.csv", f"{HEAD}a.svs,1,,P26-1,,\n")
    path = scanner.put("a.svs", slides[0])
    scanner.settled()
    hold(scanner, SourceChanged(path=path))
    one, two = scanner.settled()
    assert number(one) == "E-2108"
    assert two.state is TransferState.QUEUED


def test_a_slide_that_comes_back_as_it_was_goes_on(scanner: Scanner, slides: list[bytes]) -> None:
    scanner.put("r.csv", f"{HEAD}a.svs,1,,,,\n")
    path = scanner.put("a.svs", slides[0])
    scanner.settled()
    transfer = hold(scanner, SourceGone(path=path))
    away = path.rename(scanner.folder.parent / "away.svs")
    scanner.settled()
    assert scanner.outbox.transfer(transfer.id).state is TransferState.HELD
    away.rename(path)
    (again,) = scanner.settled()
    assert (again.id, again.state, again.error) == (transfer.id, TransferState.QUEUED, None)
    assert scanner.outbox.statement(again.id, "opening") == "signed"
