"""Slides of several kinds through real processes: coded again, JPEG 2000, focal planes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from pydicom import dcmread
from pydicom.encaps import generate_frames
from sqlalchemy import select

from receiver import facts, index
from samples.formats import FORMS, PLANES, write_formats
from tests.system.ends import Ends, must

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
SENT = ("tiff-deflate", "svs-j2k-ycbcr", "ome-z")
WHO = ("--patient-id", "0012345", "--patient-name", "TAKAHASHI^HANAKO=髙橋^花子")


@pytest.fixture(scope="module")
def stored(ends: Ends, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """Source and largest stored level of each slide, sent at once."""
    folder = Path(tmp_path_factory.mktemp("formats"))
    made = [path for path, _ in write_formats(folder, 5)]
    sources = {form.name: path for form, path in zip(FORMS, made, strict=True)}
    said = must("sender", "send", *(sources[n] for n in SENT), *WHO, "--data", ends.sender)
    assert len(said["transfers"]) == len(SENT)
    for transfer in said["transfers"]:
        assert (transfer["state"], transfer["digests_equal"]) == ("receipted", True)
    with ends.index() as known, known.read() as db:
        rows = list(db.execute(select(index.instances)))
    levels = [dcmread(ends.receiver / "store" / row.path) for row in rows]
    assert len(levels) == 3 + 3 + 2
    largest = {
        "tiff-deflate": ("1.2.840.10008.1.2.4.90", 20),
        "svs-j2k-ycbcr": ("1.2.840.10008.1.2.4.91", 20),
        "ome-z": ("1.2.840.10008.1.2.4.50", 6 * PLANES),
    }
    found = {}
    for name, (syntax, frames) in largest.items():
        (found[name],) = (
            level
            for level in levels
            if (level.file_meta.TransferSyntaxUID, level.NumberOfFrames) == (syntax, frames)
        )
    return {name: (sources[name], found[name]) for name in SENT}


@pytest.mark.requirement("WSI-08")
def test_a_slide_coded_again_arrives_with_equal_pixels(
    stored: dict[str, tuple[Path, Any]],
) -> None:
    source, level = stored["tiff-deflate"]
    expected = tifffile.imread(source, key=0)
    across = -(-level.TotalPixelMatrixColumns // level.Columns)
    for i, tile in enumerate(level.pixel_array):
        y, x = i // across * level.Rows, i % across * level.Columns
        part = expected[y : y + level.Rows, x : x + level.Columns]
        assert (tile[: part.shape[0], : part.shape[1]] == part).all()


@pytest.mark.requirement("WSI-08")
@pytest.mark.parametrize("name", SENT)
def test_the_receiver_knows_what_was_coded_again(
    stored: dict[str, tuple[Path, Any]], name: str
) -> None:
    _, level = stored[name]
    model = level.to_json_dict(bulk_data_threshold=0, bulk_data_element_handler=lambda _: "")
    assert facts.read(model).reencoded == (name == "tiff-deflate")


@pytest.mark.requirement("WSI-03", "WSI-15")
@pytest.mark.parametrize("name", SENT[1:])
def test_tiles_arrive_as_they_lie_in_the_file(
    stored: dict[str, tuple[Path, Any]], name: str
) -> None:
    source, level = stored[name]
    size = (level.TotalPixelMatrixColumns, level.TotalPixelMatrixRows)
    hashes = []
    with tifffile.TiffFile(source) as tiff:
        pages: list[Any] = [page.aspage() for page in tiff.pages]
        for page in pages:
            if (page.imagewidth, page.imagelength) != size:
                continue
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
                tiff.filehandle.seek(offset)
                hashes.append((hashlib.sha256(tiff.filehandle.read(count)).digest(), count))
    frames = list(generate_frames(level.PixelData, number_of_frames=level.NumberOfFrames))
    assert len(frames) == len(hashes)
    for frame, (digest, count) in zip(frames, hashes, strict=True):
        assert hashlib.sha256(frame[:count]).digest() == digest
        assert frame[count:] in (b"", b"\0")
    assert np.ptp(level.pixel_array[0]) > 0
