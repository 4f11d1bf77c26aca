"""What of an object is no frame: overlay bits by their address, a picture for many objects."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID

from tests.receiver.conftest import ViewerServer
from tests.receiver.filled import NORTH, client, ct_image, uid
from tests.receiver.test_dicomweb import OCTETS, parts_of, place

ROOT = f"/dicomweb/at/{NORTH[1]}"
BASIC_TEXT = UID("1.2.840.10008.5.1.4.1.1.88.11")
ROWS, COLUMNS = 300, 200  # 7500 bytes: more than the index keeps


def overlaid(name: str) -> pydicom.Dataset:
    """Return an image with a large overlay and a small one."""
    ds = ct_image(name, 1)
    chance = np.random.default_rng(1)
    for group, rows, columns in ((0x6000, ROWS, COLUMNS), (0x6002, 16, 16)):
        plane = chance.integers(0, 2, rows * columns, np.uint8)
        for offset, value in ((0x10, rows), (0x11, columns), (0x100, 1), (0x102, 0)):
            ds.add_new((group << 16) + offset, "US", value)
        ds.add_new((group << 16) + 0x50, "SS", [1, 1])
        ds.add_new((group << 16) + 0x3000, "OW", np.packbits(plane, bitorder="little").tobytes())
    return ds


@pytest.mark.requirement("RAD-02")
def test_a_large_overlay_has_an_address_and_a_small_one_its_bits(
    viewer_server: ViewerServer,
) -> None:
    ds = overlaid("覆い")
    viewer_server.filled.arrive([ds])
    with client(viewer_server.url) as page:
        (model,) = page.get(f"{ROOT}{place('覆い', 1)}/metadata").json()
        uri = model["60003000"]["BulkDataURI"]
        assert uri.endswith(f"{place('覆い', 1)}/bulkdata/60003000")
        assert "BulkDataURI" not in model["60023000"]
        assert model["60000010"]["Value"] == [ROWS]
        alone = page.get(uri, headers={"Accept": "application/octet-stream"})
        assert alone.content == ds[0x60003000].value
        [(kind, body)] = parts_of(page.get(uri, headers=OCTETS))
        assert (kind, body) == ("application/octet-stream", ds[0x60003000].value)
        read = pydicom.Dataset.from_json(model, bulk_data_uri_handler=lambda *_: alone.content)
        assert (read.overlay_array(0x6000) == ds.overlay_array(0x6000)).all()
        assert (read.overlay_array(0x6002) == ds.overlay_array(0x6002)).all()
        # nothing else of a file is reached by such an address
        for tag in ("7FE00010", "00100010", "60013000", "60000010", "6000"):
            assert page.get(f"{ROOT}{place('覆い', 1)}/bulkdata/{tag}").status_code == 404, tag
        assert page.get(f"{ROOT}{place('覆い', 1)}/bulkdata/60043000").status_code == 406
        jpeg = {"Accept": "image/jpeg"}
        assert page.get(uri, headers=jpeg).status_code == 406
    with client(viewer_server.url, signed_in=False) as stranger:
        assert stranger.get(uri).status_code == 401


def test_words_that_look_like_an_overlay_are_left_as_they_are(
    viewer_server: ViewerServer,
) -> None:
    ds = ct_image("言葉", 1, PatientComments='"60003000":{"vr":"OW"}')
    viewer_server.filled.arrive([ds])
    with client(viewer_server.url) as page:
        (model,) = page.get(f"{ROOT}{place('言葉', 1)}/metadata").json()
    assert model["00104000"]["Value"] == ['"60003000":{"vr":"OW"}']
    assert "60003000" not in model
    assert model["0020000D"]["Value"] == [uid("言葉/study")]


def test_the_picture_of_a_study_is_of_an_image_though_its_middle_is_a_report(
    viewer_server: ViewerServer,
) -> None:
    report = ct_image("混在", 2)
    for name in ("PixelData", "Rows", "Columns"):
        delattr(report, name)
    report.SeriesInstanceUID, report.SOPInstanceUID = uid("混在/0"), uid("混在/0/1")
    report.Modality, report.SOPClassUID = "SR", BASIC_TEXT
    report.file_meta.MediaStorageSOPClassUID = BASIC_TEXT
    report.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID
    images = [ct_image("混在", 1), ct_image("混在", 3)]
    for image in images:
        image.SeriesInstanceUID = uid("混在/0")  # the same series: it is its middle
    viewer_server.filled.arrive([report, *images])
    study = f"{ROOT}/studies/{uid('混在/study')}"
    jpeg = {"Accept": "image/jpeg"}
    with client(viewer_server.url) as page:
        for place_of in (study, f"{study}/series/{uid('混在/0')}"):
            answer = page.get(f"{place_of}/thumbnail", headers=jpeg)
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == "image/jpeg"
        own = f"{study}/series/{uid('混在/0')}/instances/{uid('混在/0/1')}"
        assert page.get(f"{own}/thumbnail", headers=jpeg).status_code == 406  # it has none
