"""The modality door and its disk: refused in time, and what it acknowledged is owed for sure."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from common import durable, space
from common.dicom import uids
from common.errors import DiskFull, StorageError
from common.settings import Sender
from common.space import MIB, Free
from sender.doors.modality import ModalityDoor
from sender.outbox import Outbox
from sender.partners import Modality, save_modality
from tests.system.crashes import AET, LAN, hand_over
from tests.system.ends import until
from tests.system.series import write_series


@pytest.fixture
def door(tmp_path: Path) -> Iterator[ModalityDoor]:
    """An open door, whose studies come to rest when a test says so."""
    data = tmp_path / "sender"
    save_modality(data, Modality(AET, LAN))
    settings = Sender(modality_bind=LAN, modality_port=0, settle_seconds=100)
    with contextlib.closing(Outbox(data)) as box, ModalityDoor(data, box, settings) as opened:
        write_series(tmp_path / "study", 1, 2, 16)
        yield opened


def _rest(door: ModalityDoor) -> None:
    moment = door.clock() + 1000
    door.clock = lambda: moment


def test_the_door_refuses_before_its_disk_is_full(
    door: ModalityDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as small:
        small.setattr(space, "free", lambda _folder: Free(255 * MIB, None))
        assert hand_over(door.address[1], tmp_path / "study") == {0xA700}
    assert hand_over(door.address[1], tmp_path / "study") == {0x0000}


def test_the_door_refuses_what_is_larger_than_the_setting_says(
    door: ModalityDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_series(tmp_path / "large", 2, 1, 512)  # half a megabyte
    monkeypatch.setattr(space, "GB", 4000)
    door.settings = replace(door.settings, max_instance_gb=1)
    assert hand_over(door.address[1], tmp_path / "large") == {0x0213}
    left = [path for path in door.spool.rglob("*") if path.is_file()]
    assert left == [], "nothing of it stays"
    assert hand_over(door.address[1], tmp_path / "study") == {0x0000}


@pytest.mark.evidence
@pytest.mark.requirement("DIR-01")
@pytest.mark.parametrize("archive", [False, True])
def test_how_images_came_in_is_kept_with_the_job(
    door: ModalityDoor, tmp_path: Path, archive: bool
) -> None:
    save_modality(door.data, Modality(AET, LAN, archive))
    assert hand_over(door.address[1], tmp_path / "study") == {0x0000}
    door._heard.clear()  # as after a restart: it is on the disk
    _rest(door)
    (job,) = door.take_settled()
    said = door.outbox.job(job).options["ingest"]
    assert (said["aet"], said["address"], said["archive"]) == (AET, LAN, archive)
    assert said["implementation_class_uid"] == uids.IMPLEMENTATION_CLASS_UID
    assert said["implementation_version"]
    assert said["taken_at"]


@pytest.mark.parametrize("failing", ["sync_folder", "rename", "submit"])
def test_a_study_that_could_not_be_taken_is_taken_the_next_time(
    door: ModalityDoor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    assert hand_over(door.address[1], tmp_path / "study") == {0x0000}

    def fails(*_: object, **_more: object) -> None:
        raise StorageError(cause="once") if failing == "rename" else DiskFull(path="once")

    with monkeypatch.context() as broken:
        broken.setattr(door.outbox if failing == "submit" else durable, failing, fails)
        _rest(door)
        with contextlib.suppress(StorageError):  # or the door's own thread met it
            door.take_settled()
        assert door.outbox.jobs() == []
    until(lambda: bool(door.outbox.jobs()), "it is owed after all")
    (job,) = door.outbox.jobs()
    assert len(list(Path(job.paths[0]).iterdir())) == 2
