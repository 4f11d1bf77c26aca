"""A client that others wrote reads what we serve (WSI-12)."""

from __future__ import annotations

import httpx
import pytest
from dicomweb_client.api import DICOMwebClient

from tests.receiver.conftest import ViewerServer
from tests.receiver.filled import NORTH, client, ct_image, uid


def _by(page: httpx.Client, url: str) -> DICOMwebClient:
    cookie = "; ".join(f"{name}={value}" for name, value in page.cookies.items())
    return DICOMwebClient(f"{url}/dicomweb/at/{NORTH[1]}", headers={"Cookie": cookie})


@pytest.mark.peer
@pytest.mark.requirement("WSI-12")
def test_dicomweb_client_reads_studies_objects_and_tiles(viewer_server: ViewerServer) -> None:
    filled = viewer_server.filled
    filled.ct("北見")
    slide = filled.slide()
    slide.lay_out(1)
    slide.send(1)
    study, series = uid("北見/study"), uid("北見/series")
    with client(viewer_server.url) as page:
        other = _by(page, viewer_server.url)
        assert len(other.search_for_studies(search_filters={"PatientID": "0012345"})) == 2
        assert len(other.search_for_series(study)) == 1
        assert len(other.search_for_instances(study)) == 5
        models = other.retrieve_series_metadata(study, series)
        assert [one["00200013"]["Value"] for one in models] == [[1], [2], [3], [4], [5]]
        read = other.retrieve_instance(study, series, uid("北見/image/2"))
        assert read.PatientName.ideographic == "髙橋^花子"
        assert read.PixelData == ct_image("北見", 2).PixelData
        assert len(other.retrieve_study(study)) == 5
        pixels = other.retrieve_instance_frames(
            study, series, uid("北見/image/3"), [1], media_types=("application/octet-stream",)
        )
        assert pixels == [ct_image("北見", 3).PixelData]
        tiles = other.retrieve_instance_frames(
            slide.study_uid,
            slide.series_uid,
            slide.sop_uid(1),
            [1, 3, 9],
            media_types=(("image/jpeg", "1.2.840.10008.1.2.4.50"),),
        )
        assert tiles == [slide.tiles[1][0], slide.tiles[1][2], slide.tiles[1][8]]
