"""Explicit VR Big Endian: kept as it came, and never shown with its words the wrong way round."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest

from tests.receiver.conftest import ViewerServer
from tests.receiver.filled import NORTH, client

TWINS = [  # the same picture in both orders
    ("pydicom/test_files/MR_small.dcm", "pydicom/test_files/MR_small_bigendian.dcm"),
    (
        "pydicom/test_files/SC_rgb_small_odd.dcm",
        "pydicom/test_files/SC_rgb_small_odd_big_endian.dcm",
    ),
    ("pydicom-data/emri_small.dcm", "pydicom-data/emri_small_big_endian.dcm"),
]


@pytest.mark.requirement("DCM-04")
@pytest.mark.parametrize("twins", TWINS, ids=[Path(big).stem for _, big in TWINS])
def test_it_is_given_back_whole_and_rendered_and_no_frame_of_it(
    viewer_server: ViewerServer, real_data: Path, twins: tuple[str, str]
) -> None:
    little, big = (real_data / "dicom" / name for name in twins)
    pictures = []
    with client(viewer_server.url) as page:
        for path, institution in ((little, NORTH[1]), (big, "0110000034")):
            viewer_server.filled.arrive([path], institution)
            ds = pydicom.dcmread(path, stop_before_pixels=True)
            at = f"/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
            root = f"/dicomweb/at/{institution}{at}/instances/{ds.SOPInstanceUID}"
            pictures.append(page.get(f"{root}/rendered"))
            assert pictures[-1].status_code == 200
            whole = page.get(root, headers={"Accept": "application/dicom"}).content
            assert whole[-1000:] == path.read_bytes()[-1000:]
            frames = page.get(f"{root}/frames/1")
            assert frames.status_code == (200 if path is little else 406)
    assert pictures[0].content == pictures[1].content
