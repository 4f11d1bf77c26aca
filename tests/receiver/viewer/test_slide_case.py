"""A case of several slides in the browser: each is chosen from the tray, and seen."""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path

import numpy as np
import pydicom
import pytest
from playwright.sync_api import Browser, expect
from pydicom.uid import UID, VLPhotographicImageStorage

from samples import ct, names
from tests.receiver.filled import uid
from tests.receiver.viewer.conftest import case_of
from tests.receiver.viewer.room import CLINIC, Instances, Room
from tests.receiver.viewer.screen import PICTURE, SLIDE, Screen
from tests.sender.slides.vendor_files import Svs

pytestmark = pytest.mark.browser


@pytest.mark.requirement("WSI-08")
def test_the_slides_of_a_case_are_chosen_from_the_tray(browser: Browser, tmp_path: Path) -> None:
    with closing(Room(tmp_path / "receiver")) as room:
        case = case_of(names.YOSHIDA, "2.25.4711")
        for number, stain in enumerate(("HE", "PAS"), 1):
            svs = Svs(width=100 + 600 * number, height=600, macro=False, label=False)
            one = dataclasses.replace(
                case, series_uid=f"2.25.4711.{number}", uid_seed=stain,
                series_number=number, series_description=stain,
            )  # fmt: skip
            slide = room.open_slide(svs.write(tmp_path / f"{stain}.svs"), one)
            slide.lay_out()
            slide.bring_all()
        with room.serve() as address:
            page = browser.new_page(viewport={"width": 1100, "height": 700}, locale="ja-JP")
            failures: list[str] = []
            page.on("pageerror", lambda error: failures.append(str(error)))
            screen = Screen(page, address)
            screen.sign_in()
            screen.open(slide.key)
            thumbs = page.locator(".tray .thumb")
            assert thumbs.all_inner_texts() == ["1 HE", "2 PAS"]
            scales: dict[int, float] = {}
            for chosen, key in ((0, ","), (1, "."), (0, ","), (1, "")):
                screen.press(key) if key else thumbs.nth(chosen).click()
                screen.until(
                    f"document.querySelectorAll('.tray .thumb')[{chosen}].ariaPressed === 'true'",
                    "the slide is chosen",
                )
                screen.press("0")
                screen.settled()
                screen.frames(3)
                assert screen.pixels(SLIDE)[..., :3].std() > 30, "there is a picture"
                assert page.locator(".overview canvas").count() >= 1
                scale = screen.view()["scale"]
                assert scales.setdefault(chosen, scale) == pytest.approx(scale)
            assert scales[0] != scales[1], "the whole of each is shown: they differ in width"
            assert failures == []
            page.close()


@pytest.mark.slow
@pytest.mark.requirement("WSI-08")
def test_gross_photographs_stand_in_the_tray_of_their_case(
    browser: Browser, tmp_path: Path
) -> None:
    """A photograph of the specimen is a place of the tray, opened by one click, and left again."""
    with closing(Room(tmp_path / "receiver")) as room:
        case = case_of(names.YAMAZAKI, "2.25.4712")
        slide = room.open_slide(
            Svs(width=700, height=600, macro=False, label=False).write(tmp_path / "HE.svs"), case
        )
        slide.lay_out()
        slide.bring_all()
        photograph = _photograph(tmp_path, case.study_uid)
        room.open_study(Instances([photograph]), CLINIC)
        room.bring([photograph], CLINIC)
        with room.serve() as address:
            page = browser.new_page(viewport={"width": 1920, "height": 1080}, locale="ja-JP")
            screen = Screen(page, address)
            screen.sign_in()
            screen.open(slide.key)
            screen.settled()
            gross = page.locator(".tray [data-role='gross']")
            expect(gross).to_have_text("肉眼 1枚")
            screen.until(
                "document.querySelector('.tray .gross img')?.naturalWidth > 0", "its thumbnail"
            )
            gross.click()
            screen.until("window.__todoke.view?.kind === 'radiology'", "the photograph")
            screen.until("window.__todoke.view?.ready === true", "the photograph")
            screen.frames(3)
            middle = screen.pixels(PICTURE)
            red = middle[middle.shape[0] // 2, middle.shape[1] // 2, :3].tolist()
            assert red == [200, 30, 40], "its colours as they are stored"
            expect(page.locator("[data-step='Enter']")).to_be_visible()
            page.get_by_role("button", name="スライド").click()
            screen.settled()
            expect(gross).to_be_visible()
            expect(page.locator(".slide-foot [data-step='Enter']")).to_be_visible()
            page.close()


def _photograph(folder: Path, study: str) -> Path:
    written = ct.write_series(folder, names.YAMAZAKI, seed=7, count=1)
    (template,) = (folder / written.folder).rglob("*.dcm")
    ds = pydicom.dcmread(template)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = VLPhotographicImageStorage
    ds.StudyInstanceUID = UID(study)
    ds.SeriesInstanceUID = UID(uid("gross"))
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(uid("gross/1"))
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "XC", 2, 1
    for name in ("PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"):
        delattr(ds, name)
    for name in ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept"):
        delattr(ds, name)
    ds.SamplesPerPixel, ds.PlanarConfiguration, ds.PhotometricInterpretation = 3, 0, "RGB"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    ds.Rows, ds.Columns = 240, 320
    ds.PixelData = np.full((240, 320, 3), (200, 30, 40), np.uint8).tobytes()
    path = folder / "gross.dcm"
    ds.save_as(path)
    return path
