"""A slide of 100,000 x 80,000 pixels, 6 GiB and more in its file, in and out in little memory.

What a process holds may follow from the number of tiles a little (where they lie, which
are here, their digests), and never from their bytes.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
import tifffile
from pydicom import dcmread
from sqlalchemy import select

from common.states import InstanceState
from receiver import index
from tests.sender.slides.vendor_files import abbreviated
from tests.system.ends import Ends
from tests.system.resident import Peaks

PATIENCE = 3600  # seconds; 6 GiB are read, sent, written and read back on a busy machine
LIMIT = 300  # MB resident, of each process
WIDTH, HEIGHT, TILE = 100_000, 80_000, 256
FACTORS = (1, 4, 16, 64)
LEAST = 6 << 30  # bytes of the file
KINDS = 32  # tiles of different content; each place of the file holds its own bytes all the same

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.timeout(2 * PATIENCE),
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
]


def write_slide(path: Path) -> None:
    """Write a BigTIFF as Aperio's scanners do, of tiles that JPEG can hardly shorten."""
    draw = np.random.default_rng(3)
    noise = draw.normal(200, 34, (KINDS, TILE, TILE, 3))
    made = [
        abbreviated(np.clip(one, 0, 255).astype(np.uint8), rgb=False, chroma="444") for one in noise
    ]
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for factor in FACTORS:
            width, height = WIDTH // factor, HEIGHT // factor
            count = -(-width // TILE) * -(-height // TILE)
            tiff.write(
                (made[number % KINDS][1] for number in range(count)),
                shape=(height, width, 3),
                dtype=np.uint8,
                tile=(TILE, TILE),
                jpegtables=made[0][0],
                photometric="ycbcr",
                subsampling=(1, 1),
                compression="jpeg",
                metadata=None,
                software=False,
                description=(
                    f"Aperio Image Library v12.0.15\r\n{WIDTH}x{HEIGHT} [0,0 {width}x{height}]"
                    f" ({TILE}x{TILE}) JPEG/YCC Q=80|AppMag = 40|MPP = 0.2500"
                ),
            )


@pytest.fixture
def roomy(tmp_path: Path) -> Iterator[Ends]:
    """Two ends on a disk with room, whose gigabytes do not stay."""
    if shutil.disk_usage(tmp_path).free < 3 * LEAST:
        pytest.skip(f"needs {3 * LEAST >> 30} GiB of disk")
    pair = Ends(tmp_path / "ends")
    pair.folder.mkdir()
    try:
        pair.pair()
        yield pair
    finally:
        pair.stop_receiver()
        shutil.rmtree(tmp_path)


def _send(ends: Ends, source: Path) -> tuple[dict[str, float], dict[str, float], Any]:
    """Send a slide until it is receipted; give the peaks of both sides and what was said."""
    assert ends.running is not None
    ours, theirs = Peaks(), Peaks()
    sender = ends.send(source, "--patient-id", "BIG", "--patient-name", "TEST^BIG")
    said = ""
    while sender.poll() is None:
        ours.look([sender.pid])
        theirs.look([ends.running.pid])
        with contextlib.suppress(subprocess.TimeoutExpired):
            said, _ = sender.communicate(timeout=0.2)
    assert sender.returncode == 0, (ends.folder / "sender.log").read_text()[-2000:]
    theirs.look([ends.running.pid])
    return ours.found, theirs.found, json.loads(said)


@pytest.mark.requirement("WSI-14")
def test_a_slide_of_six_gigabytes_in_little_memory(roomy: Ends, tmp_path: Path) -> None:
    source = tmp_path / "big.svs"
    begun = time.monotonic()
    write_slide(source)
    made = time.monotonic()
    assert source.stat().st_size >= LEAST
    ours, theirs, said = _send(roomy, source)
    (transfer,) = said["transfers"]
    assert (transfer["state"], transfer["digests_equal"]) == ("receipted", True)
    told = {k: transfer[k] for k in ("created", "started", "delivered", "finished", "bytes")}
    print(f"written in {made - begun:.0f} s, sent in {time.monotonic() - made:.0f} s; {told}")
    for side, held in (("sender", ours), ("receiver", theirs)):
        each = "; ".join(f"{name}: {peak:.0f}" for name, peak in sorted(held.items()))
        print(f"{side}, MB resident at most: {each}")
    _same_pixels(roomy, source)
    assert max(ours.values()) < LIMIT, ours
    assert max(theirs.values()) < LIMIT, theirs


def _same_pixels(ends: Ends, source: Path) -> None:
    """Compare the stored series with the source, at its corners, far beyond 4 GiB too."""
    with ends.index() as known, known.read() as db:
        rows = list(db.execute(select(index.instances)))
    assert {row.state for row in rows} == {InstanceState.VERIFIED}
    files = [ends.receiver / "store" / row.path for row in rows]
    largest = max(files, key=lambda file: file.stat().st_size)
    header = dcmread(largest, stop_before_pixels=True)
    assert (header.TotalPixelMatrixColumns, header.TotalPixelMatrixRows) == (WIDTH, HEIGHT)
    with openslide.OpenSlide(largest) as held, openslide.OpenSlide(source) as was:
        assert held.level_dimensions == was.level_dimensions
        for level in range(was.level_count):
            for at in ((0, 0), (WIDTH - 4096, 0), (WIDTH // 2, HEIGHT - 4096)):
                one, other = (s.read_region(at, level, (64, 64)) for s in (held, was))
                assert one.tobytes() == other.tobytes(), (level, at)
