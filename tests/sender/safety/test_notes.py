"""What goes and is said all the same: burned-in text, guessed names, the legal basis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from common.dicom import burned_in
from common.errors import UsageError
from common.setting_checks import LEGAL_BASES
from common.settings import Sender
from samples.forged import CASES
from samples.names import TAKAHASHI
from samples.study import Study
from sender import ingest
from sender.checking import check
from sender.safety import basis, notes, reading
from sender.safety.checks import Checks
from tests.sender.test_ingest import change, job, scan
from tests.system.series import write_series

pytestmark = pytest.mark.evidence
SC = "1.2.840.10008.5.1.4.1.1.7"


def write(folder: Path, name: str) -> Path:
    """Write a case of the forged samples."""
    (case,) = (one for one in CASES if one.name == name)
    for file, content in case.files(Study(f"forged-{name}", TAKAHASHI, 1, 3)):
        folder.mkdir(exist_ok=True)
        (folder / file).write_bytes(content)
    return folder


def noted(values: dict[str, Any]) -> dict[str, int]:
    return {note["id"]: note["count"] for note in notes.of(json.loads(values["request"]))}


@pytest.mark.requirement("PRI-04")
@pytest.mark.parametrize(
    ("sop_class", "said", "found"),
    [
        (SC, None, burned_in.UNKNOWN),
        (f"{SC}.4", "", burned_in.UNKNOWN),
        (SC, "NO", None),
        (SC, "YES", burned_in.DECLARED),
        (f"{SC}7", None, None),
        ("1.2.840.10008.5.1.4.1.1.2", None, None),
        ("1.2.840.10008.5.1.4.1.1.2", "yes ", burned_in.DECLARED),
    ],
)
def test_which_images_may_name_a_patient(
    sop_class: str, said: str | None, found: str | None
) -> None:
    assert burned_in.finding(sop_class, said) == found


@pytest.mark.requirement("PRI-04")
def test_burned_in_text_is_said_before_sending(tmp_path: Path) -> None:
    files = write_series(tmp_path / "a", 1, slices=3, side=8)
    change(files[0], BurnedInAnnotation="YES")
    change(files[1], BurnedInAnnotation="NO")
    ((values, _),) = scan(tmp_path / "a").transfers
    assert noted(values) == {burned_in.DECLARED: 1}
    looked = list(check([tmp_path / "a"], {"slide": {}, "stills": {}}))
    assert [one.parts[0].may_name for one in looked] == [True, False, False]
    assert [bool(one.notes) for one in looked] == [True, False, False]


@pytest.mark.requirement("CHR-05")
@pytest.mark.parametrize("name", ["charset-none", "charset-sjis", "charset-kana"])
def test_a_name_declared_wrongly_is_told_as_a_guess(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / "a", name)
    ((values, _),) = scan(folder).transfers
    assert noted(values)[notes.NAME_GUESSED] == 1
    words = reading.of(json.loads(values["attributes"]))
    assert words["ideographic"] == "山田 太郎"
    assert words["name"].endswith("(推定)")
    assert "山田" not in values["request"]
    (looked,) = check([folder], {"slide": {}, "stills": {}})
    assert [tag.value for tag in looked.tags] == [words["name"]]


@pytest.mark.requirement("CHR-05")
def test_a_torn_name_refuses_no_study(tmp_path: Path) -> None:
    """府 is 49H 5CH in JIS: undeclared, 5CH looks like a delimiter, and pydicom raises."""
    (path,) = write_series(tmp_path / "a", 1, slices=1, side=8)
    raw = "=府中^花子".encode("iso2022_jp")
    change(path, PatientName="@" * len(raw), SpecificCharacterSet="ISO_IR 6")
    path.write_bytes(path.read_bytes().replace(b"@" * len(raw), raw))
    found = scan(tmp_path / "a")
    assert found.refused == []
    ((values, _),) = found.transfers
    assert reading.of(json.loads(values["attributes"]))["ideographic"] == "府中 花子"


@pytest.mark.requirement("PRI-01")
def test_every_transmission_has_its_legal_basis(tmp_path: Path) -> None:
    site = Sender()
    assert basis.basis(site, {})["ja"] == "院内掲示による黙示の同意"
    assert basis.basis(site, {"basis": None})["by"] == "site"
    assert basis.basis(site, {"basis": "explicit"}) == {
        "code": "explicit", "by": "job",
        "ja": "本人の明示の同意", "en": "the patient's explicit consent",
    }  # fmt: skip
    assert basis.basis(site.changed(legal_basis="law"), {})["code"] == "law"
    assert set(basis.BASES) == set(LEGAL_BASES)
    with pytest.raises(UsageError):
        basis.basis(site, {"basis": "none"})
    write_series(tmp_path / "a", 1, slices=1, side=8)

    said = basis.basis(site, {})
    ((values, _),) = ingest.scan(job(tmp_path / "a"), checks=Checks(basis=said)).transfers
    assert json.loads(values["request"])["basis"] == said
