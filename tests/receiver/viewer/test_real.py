"""Real files in the browser: the pixels of a scanner, not of our own samples."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Page

from samples import names
from tests.receiver.viewer.conftest import case_of
from tests.receiver.viewer.room import Instances, Room
from tests.receiver.viewer.screen import Screen
from tests.receiver.viewer.test_radiology import at_one_to_one, windowed
from tests.receiver.viewer.test_slide import shown_and_true

pytestmark = pytest.mark.browser


@contextmanager
def room_at(folder: Path) -> Iterator[Room]:
    """A reading room of one test."""
    room = Room(folder / "receiver")
    yield room
    room.close()


def largest_series(folder: Path) -> Instances:
    """Return the images of the series with the most of them, by Instance Number."""
    series: dict[str, list[tuple[int, Path]]] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or not pydicom.misc.is_dicom(path):
            continue
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        if "Rows" in ds:
            series.setdefault(ds.SeriesInstanceUID, []).append((int(ds.InstanceNumber), path))
    found = max(series.values(), key=len)
    return Instances([path for _, path in sorted(found)])


@pytest.mark.parametrize(
    ("name", "width", "center"),
    [("ct_philips_phantom", 350, 40), ("mr_siemens_t1_sag", None, None)],
)
def test_a_real_series(
    page: Page, real_data: Path, tmp_path: Path, name: str, width: int | None, center: int | None
) -> None:
    study = largest_series(real_data / "dicom" / name)
    with room_at(tmp_path) as room:
        key = room.open_study(study)
        room.bring(study.files)
        with room.serve() as address:
            screen = Screen(page, address)
            screen.sign_in()
            screen.open(key)
            if width is not None:
                screen.press("6")
            screen.press("ArrowDown")
            place = len(study.files) // 2 + 1
            screen.until(f"window.__todoke.view.place === {place}", "the next slice")
            screen.frames(3)
            view = screen.view()
            ds = pydicom.dcmread(study.files[place])
            assert view["sop"] == ds.SOPInstanceUID
            if width is not None:
                assert (view["width"], view["center"]) == (width, center)
            expected = windowed(ds, view["width"], view["center"])
            assert np.abs(at_one_to_one(screen, ds.Rows, ds.Columns) - expected).max() <= 1
            page.goto("about:blank")


def test_a_real_slide_is_decoded_as_openslide_decodes_it(
    page: Page, real_data: Path, tmp_path: Path
) -> None:
    svs = real_data / "wsi" / "aperio" / "cmu-1-small-region.svs"
    with room_at(tmp_path) as room:
        coming = room.open_slide(svs, case_of(names.YOSHIDA, pydicom.uid.generate_uid(prefix=None)))
        coming.lay_out()
        coming.bring_all()
        with room.serve() as address:
            screen = Screen(page, address)
            screen.sign_in()
            screen.open(coming.key)
            screen.press("j")
            screen.settled()
            screen.frames(3)
            shown, true = shown_and_true(screen, svs)
            assert true.std() > 10
            assert np.abs(shown - true).max() <= 1
            page.goto("about:blank")
