"""What one instance may not do: end the door, fill the memory, join another patient's study."""

from __future__ import annotations

import io
import queue
from collections.abc import Iterator

import pydicom
import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from sqlalchemy import func, select

from common.dicom import dataset
from common.errors import InputError, MixedPatients, TodokeError
from receiver import arrivals, index
from receiver.arrival import Arrival
from receiver.placing import Outcome
from tests.receiver.filled import EAST, NORTH, Filled, as_file, ct_image


def raw(ds: Dataset, tag: int, vr: str, value: bytes) -> Dataset:
    """Put an element into a data set as its bytes are to stand in the file."""
    ds._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
    return ds


def nested(depth: int) -> Dataset:
    """Return an image with sequences in sequences."""
    ds = ct_image("hostile", 9)
    inner = Dataset()
    for _ in range(depth):
        outer = Dataset()
        outer.ReferencedSeriesSequence = [inner]
        inner = outer
    ds.ReferencedSeriesSequence = [inner]
    return ds


def hostile() -> Iterator[tuple[str, Dataset]]:
    """Yield images that a parser takes and an index does not."""
    yield "frames beyond an index", raw(ct_image("bad", 1), 0x00280008, "IS", b"1" + b"0" * 401)
    empty = ct_image("bad", 2)
    empty.Rows = 0
    yield "2^31 frames of nothing", raw(empty, 0x00280008, "IS", b"2147483647 ")
    yield "number beyond an index", raw(ct_image("bad", 3), 0x00200013, "IS", b"9" * 400)
    yield "two Study UIDs", raw(ct_image("bad", 5), 0x0020000D, "UI", b"1.2\\3.4\0")
    yield "a Study UID that is none", raw(ct_image("bad", 6), 0x0020000D, "UI", b"../../x\0")
    yield "deep sequences", nested(150)


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of what the files hold
@pytest.mark.parametrize("ds", [ds for _, ds in hostile()], ids=[name for name, _ in hostile()])
def test_a_hostile_instance_is_alone_in_its_misfortune(filled: Filled, ds: Dataset) -> None:
    try:
        filled.arrive([ds])
    except InputError:
        with filled.index.read() as db:
            assert db.execute(select(func.count()).select_from(index.instances)).scalar() == 0
        assert not list(filled.store.incoming.iterdir())
    filled.arrive([ct_image("good", 1)])


@pytest.mark.requirement("DAT-04")
def test_no_image_joins_another_patients_study(filled: Filled) -> None:
    filled.arrive([ct_image("shared", 1)])
    for other in ({"PatientID": "777"}, {"PatientBirthDate": "19900101"}):
        with pytest.raises(MixedPatients):
            filled.arrive([ct_image("shared", 2, **other)])
    assert len(list(filled.store.set_aside.iterdir())) == 2
    filled.arrive([ct_image("shared", 3, PatientBirthDate="")])  # says less, contradicts nothing
    filled.arrive([ct_image("shared", 1, PatientID="777")], institution=EAST[1])
    with filled.index.read() as db:
        rows = db.execute(select(index.instances.c.institution)).scalars().all()
    assert sorted(rows).count(EAST[1]) == 1
    assert len(rows) == 3


def test_only_a_steady_stream_is_waited_for() -> None:
    rhythm = arrivals._Rhythm()
    assert rhythm.patience(100.0) == 0, "a lone image is answered at once"
    for number in range(1, 200):
        patience = rhythm.patience(100.0 + number * 0.001)
        assert 0 < patience <= arrivals.LINGER
    assert patience < 2 * arrivals.BEATS * 0.001, "a few usual gaps, not longer"
    assert rhythm.patience(100.0 + 10 * arrivals.LINGER + 0.2) == 0, "after a pause none"
    assert rhythm.patience(50.0) > 0, "writers may end in another order"


@pytest.mark.parametrize(("linked", "wanted"), [(True, 1), (False, 3)])
def test_a_peer_with_a_window_gets_one_transaction_for_several(
    filled: Filled, monkeypatch: pytest.MonkeyPatch, linked: bool, wanted: int
) -> None:
    """And one without is answered each time: it sends nothing before."""
    groups: list[int] = []
    commit = arrivals.Arrivals._commit_group

    def counted(self: arrivals.Arrivals, group: list[Arrival]) -> list[Outcome]:
        groups.append(len(group))
        return commit(self, group)

    monkeypatch.setattr(arrivals.Arrivals, "_commit_group", counted)
    monkeypatch.setattr(arrivals._Rhythm, "patience", lambda _self, _at: 5.0)
    monkeypatch.setattr(arrivals, "GROUP", 3)
    made = arrivals.Arrivals(filled.index, filled.store, alarm=lambda *_: None)
    answers: queue.SimpleQueue[TodokeError | None] = queue.SimpleQueue()
    for number in range(1, 4):
        whole = as_file(ct_image("together", number))
        meta = pydicom.dcmread(io.BytesIO(whole), stop_before_pixels=True).file_meta
        arrival = Arrival(
            filled.store, NORTH[1], str(meta.MediaStorageSOPClassUID),
            str(meta.MediaStorageSOPInstanceUID), str(meta.TransferSyntaxUID), linked,
        )  # fmt: skip
        arrival.begin()
        arrival.write(memoryview(whole)[dataset.part10_of(whole, len(whole)).offset :])
        made.finish(arrival, answers.put)
        if not linked:
            assert answers.get(timeout=20) is None
    if linked:
        assert [answers.get(timeout=20) for _ in range(3)] == 3 * [None]
    made.close()
    assert len(groups) == wanted
