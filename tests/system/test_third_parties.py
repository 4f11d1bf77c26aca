"""A DICOMweb client that others wrote, against a receiver that runs (WSI-12).

What was tried with other readers, and what came of it: docs/reference/other-viewers.md.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import generate_frames

from tests.sender.slides.vendor_files import Svs
from tests.system.ends import Ends, must
from tests.system.series import write_series

pytestmark = [
    pytest.mark.system, pytest.mark.peer, pytest.mark.slow, pytest.mark.timeout(240),
]  # fmt: skip

WHO = ("--patient-id", "0012345", "--patient-name", "TAKAHASHI^HANAKO=髙橋^花子")
READER, PASSWORD = "dairy", "kenbikyou-77-Shiken"
SLICES = 12
JPEG = "1.2.840.10008.1.2.4.50"


@dataclass(frozen=True)
class Sent:
    """What lies in the receiver, and the client that asks for it."""

    client: DICOMwebClient
    files: list[Path]
    slide: str
    kept: list[Path]

    @property
    def ct(self) -> tuple[str, str]:
        """Study and series of the CT."""
        first = dcmread(self.files[0], stop_before_pixels=True)
        return str(first.StudyInstanceUID), str(first.SeriesInstanceUID)


@pytest.fixture(scope="module")
def sent(ends: Ends, tmp_path_factory: pytest.TempPathFactory) -> Sent:
    """A CT series and a slide, sent by our sender, and a session of a reader."""
    folder = Path(tmp_path_factory.mktemp("third"))
    files = write_series(folder / "ct", 3, SLICES, 64)
    source = Svs(width=1500, height=1100).write(folder / "three-levels.svs")
    must("sender", "send", folder / "ct", "--data", ends.sender)
    (slide,) = must("sender", "send", source, *WHO, "--data", ends.sender)["transfers"]
    must(
        *("receiver", "user", "add", READER, "--display", "試験", "--password-stdin"),
        *("--data", ends.receiver),
        stdin=f"{PASSWORD}\n",
    )
    store = ends.receiver / "store"
    kept = [path for path in store.rglob("*.dcm") if slide["study_uid"] in _study(path)]
    headers = {"X-Todoke": "1", "Origin": ends.viewer}
    with httpx.Client(base_url=ends.viewer, headers=headers, trust_env=False) as page:
        signed = {"name": READER, "password": PASSWORD}
        page.post("/api/sign-in", json=signed).raise_for_status()
        cookie = "; ".join(f"{name}={value}" for name, value in page.cookies.items())
    address = f"{ends.viewer.rstrip('/')}/dicomweb"
    return Sent(
        DICOMwebClient(address, headers={"Cookie": cookie}), files, slide["study_uid"], kept
    )


def _study(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID"])
               .get("StudyInstanceUID", ""))  # fmt: skip


@pytest.mark.requirement("WSI-12")
def test_search(sent: Sent) -> None:
    study, series = sent.ct
    client = sent.client
    every = client.search_for_studies()
    assert {one["0020000D"]["Value"][0] for one in every} == {study, sent.slide}
    by_name = client.search_for_studies(search_filters={"PatientName": "TAKAHASHI*"})
    assert len(by_name) == 2
    (by_kind,) = client.search_for_studies(search_filters={"ModalitiesInStudy": "CT"})
    (first,) = client.search_for_studies(limit=1)
    (second,) = client.search_for_studies(limit=1, offset=1)
    assert {study, sent.slide} == {one["0020000D"]["Value"][0] for one in (first, second)}
    assert by_kind["00100010"]["Value"][0]["Ideographic"] == "髙橋^花子"
    (one,) = client.search_for_series(study, search_filters={"Modality": "CT"})
    assert (one["0020000E"]["Value"], one["00201209"]["Value"]) == ([series], [SLICES])
    fields = client.search_for_instances(study, series, fields=["PixelSpacing", "BitsStored"])
    assert [one["00200013"]["Value"][0] for one in fields] == list(range(1, SLICES + 1))
    assert {one["00280101"]["Value"][0] for one in fields} == {12}


@pytest.mark.requirement("WSI-12")
def test_metadata_and_bulk(sent: Sent) -> None:
    study, series = sent.ct
    models = sent.client.retrieve_series_metadata(study, series)
    assert sent.client.retrieve_study_metadata(study) == models
    for model, path in zip(models, sent.files, strict=True):
        read, own = Dataset.from_json(model, lambda *_: b""), dcmread(path)
        assert read.SOPInstanceUID == own.SOPInstanceUID
        assert read.PatientName == own.PatientName
        (pixels,) = sent.client.retrieve_bulkdata(_with_port(model, sent.client.base_url))
        assert pixels == own.PixelData


def _with_port(model: dict[str, Any], base: str) -> str:
    """Return where pixels lie: this client names no port in Host, so the answer has none either."""
    path = urlsplit(model["7FE00010"]["BulkDataURI"]).path
    return urlsplit(base)._replace(path=path).geturl()


@pytest.mark.requirement("WSI-12")
def test_objects_whole_and_one_by_one(sent: Sent) -> None:
    study, series = sent.ct
    own = {path.SOPInstanceUID: path for path in map(dcmread, sent.files)}
    for found in (
        sent.client.retrieve_study(study),
        list(sent.client.iter_series(study, series)),
        [sent.client.retrieve_instance(study, series, uid) for uid in own],
    ):
        assert {one.SOPInstanceUID for one in found} == set(own)
        assert all(one.PixelData == own[one.SOPInstanceUID].PixelData for one in found)
        assert all(one == own[one.SOPInstanceUID] for one in found)


@pytest.mark.requirement("WSI-12")
def test_frames_and_pictures(sent: Sent) -> None:
    study, series = sent.ct
    own = dcmread(sent.files[4])
    octets = ("application/octet-stream",)
    (frame,) = sent.client.retrieve_instance_frames(
        study, series, own.SOPInstanceUID, [1], media_types=octets
    )
    assert frame == own.PixelData
    said = sent.client.retrieve_instance_rendered(
        study, series, own.SOPInstanceUID, media_types=("image/jpeg",)
    )
    assert Image.open(io.BytesIO(said)).size == (64, 64)
    for path in sent.kept:
        level = dcmread(path)
        count = int(level.NumberOfFrames)
        wanted = sorted({1, count // 2 + 1, count})
        tiles = sent.client.retrieve_instance_frames(
            sent.slide, level.SeriesInstanceUID, level.SOPInstanceUID, wanted,
            media_types=(("image/jpeg", JPEG),),
        )  # fmt: skip
        stored = list(generate_frames(level.PixelData, number_of_frames=count))
        assert [one.rstrip(b"\0") for one in tiles] == [
            stored[number - 1].rstrip(b"\0") for number in wanted
        ]
        shown = np.asarray(Image.open(io.BytesIO(tiles[0])))
        assert shown.shape[:2] == (level.Rows, level.Columns)
    assert len(sent.kept) >= 3
