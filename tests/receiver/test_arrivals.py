"""What one instance may not do: end the door, fill the memory, join another patient's study."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from sqlalchemy import func, select

from common.errors import InputError, MixedPatients
from receiver import index
from tests.receiver.filled import EAST, Filled, ct_image


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
