"""What can show a name is said before it is sent, and maker's tags go into no header."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sender.checking import Checked, check
from sender.cli import app
from sender.slides import open_slide
from sender.stills import looks_like_photograph
from tests.sender.slides.conftest import stored
from tests.sender.slides.vendor_files import CASE, Svs, tissue
from tests.sender.stills.photographs import NAME, jpeg, photograph
from tests.system.series import write_series

NAMING = {
    "User": "Suzuki Ichiro",
    "Title": "P26-777 YAMADA TARO",
    "Filename": "yamada_taro_P26-777",
    "Barcode": "1312345678-P26-777",
    "DSR ID": "pathology-pc-3",
    "ImageID": "1004486",
}
TELLING = Svs(width=300, height=260, factors=(1,), keys=NAMING)


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TELLING.write(tmp_path_factory.mktemp("telling") / "yamada_taro.svs")


def checked(*paths: Path, **options: Any) -> list[Checked]:
    return list(check(paths, options))


@pytest.mark.requirement("PRI-04")
def test_tags_of_the_maker_are_in_nothing_that_is_sent(telling: Path) -> None:
    with open_slide(telling, CASE) as slide:
        sent = [stored(one) for one in slide.instances]
    assert len(sent) == 4  # label and macro too
    raw = telling.read_bytes()
    for value in (*NAMING.values(), telling.stem):
        for coded in (value.encode(), value.encode("utf-16-le")):
            assert not any(coded in one for one in sent), value
        assert value.encode() in raw or value == telling.stem


@pytest.mark.requirement("PRI-04")
def test_a_slide_is_shown_with_what_goes_and_what_stays(telling: Path) -> None:
    (found,) = checked(telling)
    assert found.kind == "slide"
    parts = {part.what: part for part in found.parts}
    assert {what for what, part in parts.items() if part.goes} == {"THUMBNAIL", "VOLUME 0"}
    assert parts["LABEL"].why == parts["OVERVIEW"].why == "by setting"
    assert {what for what, part in parts.items() if part.may_name} == {"LABEL", "OVERVIEW"}
    tags = {tag.name.partition(".")[2]: tag for tag in found.tags}
    for name, value in NAMING.items():
        assert (tags[name].value, tags[name].goes) == (value, False)
    assert {n for n in NAMING if tags[n].may_name} >= {"User", "Title", "Filename", "Barcode"}
    assert tags["ScanScope ID"].into == "DeviceSerialNumber"


@pytest.mark.requirement("PRI-04")
def test_what_is_asked_for_is_shown_as_sent(telling: Path) -> None:
    (found,) = checked(telling, slide={"send_label": True, "send_macro": True})
    assert all(part.goes for part in found.parts)
    assert {p.what for p in found.parts if p.may_name} == {"LABEL", "OVERVIEW"}


@pytest.mark.requirement("PRI-04")
def test_a_thumbnail_that_shows_more_than_the_scan_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"

    class WithGlass(Svs):
        def _strips(self, tiff: Any, pixels: Any, second: str, kind: int) -> None:
            super()._strips(tiff, pixels if second else tissue(301, 120, 5), second, kind)

    WithGlass(**{f.name: getattr(TELLING, f.name) for f in dataclasses.fields(Svs)}).write(path)
    (found,) = checked(path, slide={"send_label": True, "send_macro": True})
    thumbnail = next(part for part in found.parts if part.what == "THUMBNAIL")
    assert (thumbnail.goes, thumbnail.may_name) == (False, True)
    with open_slide(path, CASE) as slide:
        assert "THUMBNAIL" not in {one.flavor for one in slide.instances}


@pytest.mark.requirement("PRI-04")
def test_a_slide_that_is_refused_still_shows_its_tags(tmp_path: Path) -> None:
    path = dataclasses.replace(TELLING, mpp="").write(tmp_path / "a.svs")
    (found,) = checked(path)
    assert found.kind == "refused"
    assert found.error is not None
    assert "Suzuki Ichiro" in {tag.value for tag in found.tags}


@pytest.mark.requirement("PRI-04")
def test_photographs_are_shown_with_what_they_tell(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    stills = {"micro": [str(tmp_path / "a.jpg")]}
    (kept,) = checked(stills=stills)
    tags = {tag.name: tag for tag in kept.tags}
    assert {"GPS", "Artist", "comment"} <= {name for name, tag in tags.items() if tag.goes}
    assert not tags["file name"].goes
    (bare,) = checked(stills=stills, still_metadata=False)
    assert not any(tag.goes for tag in bare.tags)
    (unnamed,) = checked(tmp_path / "a.jpg")
    assert unnamed.error is not None
    assert unnamed.error.number == "E-2050"
    assert looks_like_photograph(photograph("PNG")[:12])


def test_the_verb_speaks_both_languages_and_json(
    telling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_series(tmp_path / "ct", 1, slices=1, side=8)
    (tmp_path / "a.png").write_bytes(photograph("PNG"))
    words = ["check", str(telling), str(tmp_path / "ct"), "--gross", str(tmp_path / "a.png")]
    words += ["--data", str(tmp_path / "data")]
    said = CliRunner().invoke(app, [*words, "--json"])
    assert said.exit_code == 0, said.output
    files = json.loads(said.stdout)["files"]
    assert [one["kind"] for one in files] == ["slide", "dicom", "gross"]
    assert not (tmp_path / "data").exists()  # nothing is kept, nobody needs to be set up
    for language, goes, stays in (("ja", "送る", "送らない"), ("en", "sent", "kept")):
        monkeypatch.setenv("TODOKE_LANG", language)
        shown = CliRunner().invoke(app, words).stdout
        (label,) = (line for line in shown.splitlines() if "LABEL" in line)
        assert stays in label
        assert any(goes in line and "VOLUME 0" in line for line in shown.splitlines())
        assert any(stays in line and "Suzuki Ichiro" in line for line in shown.splitlines())
    said = CliRunner().invoke(app, ["check", str(tmp_path / "a.png"), *words[-2:]])
    assert said.exit_code == 22
    assert NAME not in said.output
