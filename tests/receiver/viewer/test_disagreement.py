"""All forms of the name with birth date and sex; what differs from the request; what is lossy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest
from playwright.sync_api import Page, expect
from pydicom import config

from receiver import attributes, differences
from samples import ct, names
from tests.receiver.viewer.room import Instances, Room
from tests.receiver.viewer.screen import Screen

pytestmark = [pytest.mark.browser, pytest.mark.readingroom, pytest.mark.timeout(120)]


@dataclass
class Asked:
    """A CT asked for with another birth date, sex and name, and a lossy one."""

    address: str
    keys: dict[str, str]


class Told(Instances):
    """Instances whose opening says what a request said."""

    @property
    def headers(self) -> list[pydicom.Dataset]:
        found = super().headers
        for ds in found:
            ds.PatientBirthDate, ds.PatientSex = "19580308", "M"
            ds.PatientName = "TAKAHASHI^HANAE=髙橋^花江=タカハシ^ハナエ"
        return found


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = Path(tmp_path_factory.mktemp("disagreement"))
    room = Room(folder / "receiver")
    first = ct.write_series(folder, names.TAKAHASHI, count=2)
    files = sorted((folder / first.folder).rglob("*.dcm"))
    keys = {"differs": room.open_study(Told(files))}
    room.bring(files)
    second = ct.write_series(folder, names.YAMADA, count=2)
    lossy = sorted((folder / second.folder).rglob("*.dcm"))
    for path in lossy:
        ds = pydicom.dcmread(path)
        ds.LossyImageCompression, ds.LossyImageCompressionRatio = "01", "12"
        ds.LossyImageCompressionMethod = "ISO_10918_1"
        ds.save_as(path)
    keys["lossy"] = room.open_study(Instances(lossy))
    room.bring(lossy)
    with room.serve() as address:
        yield Asked(address, keys)
    room.close()


@pytest.mark.requirement("CHR-06")
def test_all_forms_are_shown_and_what_the_request_said_otherwise(page: Page, asked: Asked) -> None:
    screen = Screen(page, asked.address)
    screen.sign_in()
    row = page.locator(f"tr[data-key='{asked.keys['differs']}']")
    born = names.TAKAHASHI.birth_date
    dashed = f"{born[:4]}-{born[4:6]}-{born[6:]}"
    whole = ("髙橋 花子", "タカハシ ハナコ", "TAKAHASHI HANAKO", dashed, "女 F")
    for words in whole:
        expect(row).to_contain_text(words)
    chip = row.locator("[data-role='mismatch']")
    expect(chip).to_have_text("⚠ 依頼と不一致")
    expect(page.locator("[data-role='mismatch']")).to_have_count(1)  # of the other, nothing
    screen.open(asked.keys["differs"])
    screen.frames(3)
    line = page.locator("[data-role='patient-line']")
    for words in whole:
        expect(line).to_contain_text(words)
        expect(page.locator("[data-role='who']")).to_contain_text(words)
    said = page.locator(".bars").get_by_role("alert").filter(has_text="⚠")
    for words in ("氏名 (依頼 髙橋 花江)", "生年月日 (依頼 1958-03-08)", "性別 (依頼 M)", "電話"):
        expect(said).to_contain_text(words)
    page.get_by_role("button", name="en", exact=True).click()
    expect(said).to_contain_text("birth date (request: 1958-03-08)")
    page.get_by_role("button", name="ja", exact=True).click()


@pytest.mark.requirement("RAD-03")
def test_lossy_ct_says_so_with_its_ratio(page: Page, asked: Asked) -> None:
    screen = Screen(page, asked.address)
    screen.sign_in()
    screen.open(asked.keys["lossy"])
    screen.frames(3)
    assert screen.text("quality") == "非可逆圧縮 12:1"
    assert "inverse" in str(page.locator("[data-role='quality']").get_attribute("class"))


def model(**changed: Any) -> dict[str, Any]:
    ds = pydicom.Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName, ds.PatientID = "TAKAHASHI^HANAKO=髙橋^花子", "0012"
    ds.PatientBirthDate, ds.PatientSex = "19580307", "F"
    with config.disable_value_validation():
        for keyword, value in changed.items():
            setattr(ds, keyword, value)
    return attributes.study_attributes(ds)


@pytest.mark.requirement("CHR-06")
@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({}, {}),
        ({"PatientName": "ＴＡＫＡＨＡＳＨＩ^Hanako=髙橋^花子=タカハシ^ハナコ"}, {}),
        ({"PatientName": "", "PatientBirthDate": "", "PatientSex": "", "PatientID": ""}, {}),
        ({"PatientName": "TAKAHASHI^HANAE"}, {"name": "TAKAHASHI HANAE"}),
        ({"PatientSex": "M", "PatientID": "12"}, {"id": "12", "sex": "M"}),
    ],
)
def test_what_is_a_difference(said: dict[str, str], found: dict[str, str]) -> None:
    assert differences.differing(model(**said), model()) == found
    assert ("differs" in differences.kept(model(**said), model())) is bool(found)
