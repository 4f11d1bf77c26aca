"""Memory of the whole processes: many small instances, one of 4 GB; bounded, and flat.

What a process holds must not follow from what is sent: a study of 10,000 images
and an object of 4 GB go through a workstation that has other work to do.
"""

from __future__ import annotations

import contextlib
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from common.dicom import uids
from common.dicom.dataset import file_prefix
from tests.system import synthetic
from tests.system.ends import Ends
from tests.system.resident import Peaks

PATIENCE = 1500  # seconds; a busy machine hashes 4 GB four times
LIMIT = 120  # MB resident, of each process
SLOPE = 16  # MB that a process may hold more for the large case than for the small one
#: Processes that take a picture apart are bounded by a limit of their own.
APART = {"receiver.decoder"}
FRAME = 1024 * 1024 * 2  # bytes of a frame of the large object

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.timeout(2 * PATIENCE),
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    """Two ends on a disk with room, whose gigabytes do not stay."""
    pair = Ends(Path(tmp_path_factory.mktemp("roomy")))
    try:
        pair.pair()
        yield pair
    finally:
        pair.stop_receiver()
        shutil.rmtree(pair.folder)


# -- what is sent -----------------------------------------------------------


def write_many(folder: Path, count: int) -> None:
    """Write a study of small images that differ in UID and number alone."""
    folder.mkdir()
    study, series = uids.new_uid(), uids.new_uid()
    for number in range(1, count + 1):
        ds = _header(study, series, number, side=16)
        _write(folder / f"{number:05}.dcm", ds, 2 * 16 * 16)


def write_large(folder: Path, frames: int) -> None:
    """Write a native multi-frame object: a header, and a hole for its pixels."""
    folder.mkdir()
    ds = _header(uids.new_uid(), uids.new_uid(), 1, side=1024)
    ds.NumberOfFrames = frames
    _write(folder / "large.dcm", ds, frames * FRAME)


def _header(study: str, series: str, number: int, side: int) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = synthetic.XRAY_3D, uids.new_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
    ds.PatientName, ds.PatientID, ds.Modality = "TEST^MEMORY", "MEM", "XA"
    ds.InstanceNumber, ds.Rows, ds.Columns = number, side, side
    ds.SamplesPerPixel, ds.PixelRepresentation = 1, 0
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    return ds


def _write(path: Path, ds: Dataset, length: int) -> None:
    head = file_prefix(ds.SOPClassUID, ds.SOPInstanceUID, synthetic.EXPLICIT)
    head += synthetic.encoded(ds, synthetic.EXPLICIT)
    head += struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, length)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + length)


# -- what is measured -------------------------------------------------------


def send(ends: Ends, folder: Path, *daemons: int) -> dict[str, float]:
    """Send a folder until it is receipted; give the peak of each process."""
    assert ends.running is not None
    daemons += (ends.running.pid,)
    peaks, sender = Peaks(), ends.send(folder)
    while sender.poll() is None:
        peaks.look([sender.pid, *daemons])
        with contextlib.suppress(subprocess.TimeoutExpired):
            sender.communicate(timeout=0.05)
    assert sender.returncode == 0, (ends.folder / "sender.log").read_text()[-2000:]
    peaks.look([*daemons])
    with ends.outbox() as box:
        assert {str(one.state) for one in box.transfers()} == {"receipted"}
    return peaks.found


def judge(what: str, small: dict[str, float], large: dict[str, float]) -> None:
    """Say what each process held, and refuse what is not bounded and flat."""
    rows = [f"{name}: {small.get(name, 0):.0f} MB, then {large[name]:.0f} MB" for name in large]
    report = f"{what}: " + "; ".join(rows)
    print(report)
    held = {name: peak for name, peak in large.items() if name not in APART}
    assert {"sender send", "receiver.dicom_process", "receiver.web_process"} <= held.keys(), report
    over = [name for name, peak in held.items() if peak >= LIMIT]
    assert not over, f"not under {LIMIT} MB: {over}; {report}"
    growing = [name for name, peak in held.items() if peak - small.get(name, peak) >= SLOPE]
    assert not growing, f"not flat: {growing}; {report}"


@pytest.mark.parametrize("by", ["sender send", "sender run"])
def test_ten_thousand_instances(roomy: Ends, tmp_path: Path, by: str) -> None:
    found = []
    with contextlib.ExitStack() as held:
        pids = [held.enter_context(roomy.daemon())["pid"]] if by == "sender run" else []
        for count in (2_500, 10_000):
            write_many(tmp_path / str(count), count)
            found.append(send(roomy, tmp_path / str(count), *pids))
    assert by in found[-1]
    judge(f"2,500 and 10,000 instances by {by}", *found)


def test_one_instance_of_four_gigabytes(roomy: Ends, tmp_path: Path) -> None:
    frames = (1 << 32) // FRAME - 1  # a native value is under 4 GiB
    free = shutil.disk_usage(roomy.folder).free
    if free < 3 * frames * FRAME:
        pytest.skip(f"needs {3 * frames * FRAME >> 30} GiB of disk, there are {free >> 30}")
    found = []
    for count in (128, frames):
        write_large(tmp_path / str(count), count)
        found.append(send(roomy, tmp_path / str(count)))
    judge("256 MB and 4 GB", *found)
