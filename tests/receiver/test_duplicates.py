"""The same instance again: one row, one file; anything else under its UID is kept aside (T8)."""

from __future__ import annotations

import queue
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import JPEGLSLossless
from sqlalchemy import select

from common import audit
from common.errors import SameUidOtherContent, TodokeError
from receiver import index
from receiver.arrival import Arrival
from receiver.arrivals import Arrivals
from tests.receiver.filled import NORTH, Filled, as_file, ct_image
from tests.system.synthetic import encoded

HERE = 132 + 12  # where the length of group 0002 ends


@dataclass
class Door:
    """What the DICOM door does with instances, without the network in front."""

    filled: Filled
    arrivals: Arrivals
    alarms: list[tuple[str, str]]
    answers: queue.SimpleQueue[TodokeError | None] = field(default_factory=queue.SimpleQueue)

    def store(self, image: Dataset | tuple[Dataset, bytes, str]) -> None:
        """Let one instance come; its answer goes into `answers`."""
        if isinstance(image, Dataset):
            whole = as_file(image)
            data = whole[HERE + int.from_bytes(whole[HERE - 4 : HERE], "little") :]
            syntax = str(image.file_meta.TransferSyntaxUID)
        else:
            image, data, syntax = image
        uids = str(image.SOPClassUID), str(image.SOPInstanceUID), syntax
        arrival = Arrival(self.filled.store, NORTH[1], *uids)
        arrival.begin()
        arrival.write(memoryview(data))
        self.arrivals.finish(arrival, self.answers.put)

    def all(self, images: Sequence[Any], threads: int = 10) -> Counter[str]:
        """Store them at the same time; return how often each answer was given."""
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(self.store, images))
        given = [self.answers.get(timeout=50) for _ in images]
        return Counter(type(one).__name__ for one in given)

    def rows(self) -> list[Any]:
        """Every instance of the index."""
        with self.filled.index.read() as db:
            return list(db.execute(select(index.instances)))

    def files(self) -> tuple[int, int]:
        """Files under a final name, and files that are kept aside."""
        names = list(self.filled.store.names())
        assert all(name.endswith(".dcm") for name in names), "nothing half is left"
        return len(names), len(list(self.filled.store.set_aside.iterdir()))


@pytest.fixture
def door(filled: Filled) -> Iterator[Door]:
    alarms: list[tuple[str, str]] = []
    arrivals = Arrivals(filled.index, filled.store, lambda *said: alarms.append(said))
    yield Door(filled, arrivals, alarms)
    arrivals.close()


def other(image: Dataset, **values: Any) -> Dataset:
    """Return the same instance with another content."""
    for keyword, value in values.items():
        setattr(image, keyword, value)
    return image


def coded(image: Dataset) -> tuple[Dataset, bytes, str]:
    """Return an image as it is compressed on the way: JPEG-LS, lossless."""
    import imagecodecs

    pixels = np.frombuffer(image.PixelData, "<u2").reshape(image.Rows, image.Columns)
    stream = imagecodecs.jpegls_encode(pixels)
    image.PixelData = _fragments(bytes(stream))
    image["PixelData"].VR = "OB"
    image.file_meta.TransferSyntaxUID = JPEGLSLossless
    image["PixelData"].is_undefined_length = True
    return image, encoded(image, JPEGLSLossless), str(JPEGLSLossless)


def _fragments(stream: bytes) -> bytes:
    from pydicom.encaps import encapsulate

    return encapsulate([stream], has_bot=True)


def image() -> Dataset:
    """Return the instance whose UID all others have; its samples fit into JPEG-LS."""
    made = ct_image("same", 1, PixelRepresentation=0)
    made.PixelRepresentation = 0
    made.PixelData = (np.arange(48 * 64, dtype="<u2") % 4000).tobytes()
    return made


@pytest.mark.requirement("DAT-05")
@pytest.mark.badinput(25, "same object x100")
def test_the_same_object_a_hundred_times_is_one_row_and_one_file(door: Door) -> None:
    assert door.all([image() for _ in range(100)]) == {"NoneType": 100}
    [row] = door.rows()
    assert door.files() == (1, 0)
    assert door.filled.store.path(row.path).exists()
    with door.filled.index.read() as db:
        assert db.execute(select(index.transfers.c.repeats)).scalar() == 99
    assert door.alarms == []


@pytest.mark.requirement("DAT-05")
@pytest.mark.badinput(26, "other pixels")
def test_of_two_contents_at_the_same_time_one_stays_and_every_other_is_kept(door: Door) -> None:
    two = [image(), other(image(), StudyDescription="other")]
    given = door.all([two[number % 2] for number in range(40)])
    assert given == {"NoneType": 20, "SameUidOtherContent": 20}
    assert len(door.rows()) == 1
    assert door.files() == (1, 20)
    assert set(door.alarms) == {(NORTH[1], "same UID, other content")}
    assert len(door.alarms) == 20


@pytest.mark.requirement("DAT-05", "DAT-01")
@pytest.mark.badinput(26, "other pixels")
@pytest.mark.parametrize("change", ["PatientName", "RescaleSlope", "PixelData"])
def test_what_came_first_stays_byte_by_byte(door: Door, change: str) -> None:
    first = image()
    values = {"PatientName": "SATO^JIRO", "RescaleSlope": 2, "PixelData": bytes(48 * 64 * 2)}
    assert door.all([first]) == {"NoneType": 1}
    kept = door.filled.store.path(door.rows()[0].path).read_bytes()
    assert door.all([other(image(), **{change: values[change]})]) == {"SameUidOtherContent": 1}
    [row] = door.rows()
    assert door.filled.store.path(row.path).read_bytes() == kept
    assert SameUidOtherContent.dimse_status == 0xA900
    assert door.all([image()]) == {"NoneType": 1}, "a retry after a lost answer"


@pytest.mark.requirement("DAT-05")
@pytest.mark.parametrize("order", ["native first", "coded first", "together"])
def test_another_lossless_coding_is_the_same_instance(door: Door, order: str) -> None:
    native, packed = image(), coded(image())
    given: Counter[str] = Counter()
    orders: dict[str, list[list[Any]]] = {
        "native first": [[native], [packed]],
        "coded first": [[packed], [native]],
        "together": [[native, packed]],
    }
    for some in orders[order]:
        given += door.all(some)
    assert given == {"NoneType": 2}
    [row] = door.rows()
    if order != "together":
        first = "1.2.840.10008.1.2.1" if order == "native first" else JPEGLSLossless
        assert row.transfer_syntax == first
    assert door.files() == (1, 0)


@pytest.mark.requirement("DAT-05", "DAT-01")
@pytest.mark.badinput(26, "another element")
def test_equal_samples_under_another_element_are_refused(door: Door) -> None:
    """D3 alone is no identity: the same picture of another patient has it too."""
    assert door.all([image()]) == {"NoneType": 1}
    for values in ({"SeriesDescription": "other"}, {"RescaleIntercept": -1024}):
        assert door.all([coded(other(image(), **values))]) == {"SameUidOtherContent": 1}
    assert door.files() == (1, 2)


def test_an_alarm_is_shown_by_the_status(filled: Filled, tmp_path: Any) -> None:
    trail = audit.Trail(filled.data / "audit", "dicom")
    for number in range(25):
        trail.note("alarm", institution=NORTH[1], cause=f"cause {number}")
    trail.note("security-alert", cause="another")
    trail.close()
    with (filled.data / "audit" / "dicom.jsonl").open("a") as file:
        file.write('{"event": "alarm", "at": "cut sh')
    shown = audit.last(filled.data / "audit", "alarm", 20)
    assert [one["cause"] for one in shown] == [f"cause {number}" for number in range(5, 25)]
