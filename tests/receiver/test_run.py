"""What a start must not do: sweep while an earlier process writes, or with another index."""

from __future__ import annotations

import threading

import pytest

from common import durable
from common.errors import DatabaseUnsafe, StorageError
from receiver.run import FILLER, PROCESSES, Supervisor, _Process
from receiver.store import LEFT_BEHIND
from tests.receiver.filled import Filled


@pytest.mark.requirement("DAT-08")
def test_an_index_that_was_lost_takes_no_image_with_it(filled: Filled) -> None:
    """Put back from an older backup, or made anew: what it does not know may be acknowledged."""
    folder = filled.store.series_folder("0110000026", "1.2.3")
    files = [folder / f"{number:032x}.dcm" for number in range(LEFT_BEHIND + 1)]
    for path in files:
        path.touch()
    with pytest.raises(DatabaseUnsafe):
        Supervisor(filled.data)._mend()
    assert all(path.exists() for path in files)
    files[0].unlink()  # as many as cuts may leave
    Supervisor(filled.data)._mend()
    assert not any(path.exists() for path in files)


@pytest.mark.parametrize("name", PROCESSES)
def test_nothing_is_swept_while_an_earlier_process_lives(filled: Filled, name: str) -> None:
    arriving = filled.store.incoming / "a.part"
    arriving.touch()
    mending = threading.Thread(target=Supervisor(filled.data)._mend)
    with durable.lock(filled.data / f"lock.{name}"):
        mending.start()
        mending.join(0.3)
        assert mending.is_alive()
        assert arriving.exists()
    mending.join(30)
    assert not arriving.exists()


def test_a_filler_that_cannot_live_leaves_the_doors_open(filled: Filled) -> None:
    """It is started again after a while; a door that cannot live ends the receiver."""
    started = {name: _Process(name, "receiver.no_such", filled.data) for name in ("dicom", FILLER)}
    with pytest.raises(StorageError):
        started["dicom"].start()
    with pytest.raises(StorageError):
        started["dicom"].again()
    filler = started[FILLER]
    filler.again()
    first = filler.running
    assert filler.ended() not in {None, 0}
    filler.again()
    assert filler.running is first, "not at once"
    filler.started -= 3600
    filler.again()
    assert filler.running is not first
    for process in started.values():
        process.stop()
