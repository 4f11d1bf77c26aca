"""The table of every format holds: counted anew from the files, and by readers not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from sender.slides import registry, rendition
from tests.sender.slides import formats
from tests.sender.slides.measured import measure


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return formats.synthetic(Path(tmp_path_factory.mktemp("formats")))


def source_of(name: str, made: dict[str, Path], request: pytest.FixtureRequest) -> Path:
    if name in made:
        return made[name]
    folder: Path = request.getfixturevalue("real_data")
    return folder / "wsi" / name.removeprefix("real/")


@pytest.mark.requirement("WSI-03")
@pytest.mark.parametrize("name", formats.tried())
def test_the_table_is_true(
    tmp_path: Path, made: dict[str, Path], name: str, request: pytest.FixtureRequest
) -> None:
    written = formats.known()[name]
    # 20 regions in all here, 200 on every level in the long run
    few = -(-20 // written.levels)
    found = measure(source_of(name, made, request), tmp_path, few, seed=20)
    assert (found.pieces, found.same, found.blanks) == (
        written.pieces, written.same, written.blanks,
    )  # fmt: skip
    assert (found.vendor, found.levels, found.encodings) == (
        written.vendor, written.levels, written.encodings,
    )  # fmt: skip
    assert found.equal == found.regions
    assert bool(found.regions) == bool(written.regions)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.requirement("WSI-03")
@pytest.mark.parametrize("name", formats.tried())
def test_the_table_is_true_at_200_regions_on_every_level(
    tmp_path: Path, made: dict[str, Path], name: str, request: pytest.FixtureRequest
) -> None:
    written = formats.known()[name]
    found = measure(source_of(name, made, request), tmp_path, formats.REGIONS)
    assert found == written
    assert found.equal == found.regions


def test_the_page_is_the_table() -> None:
    assert formats.PAGE.read_text("utf-8") == formats.page()


def test_every_reader_has_a_row() -> None:
    rooms = {one["room"] for one in formats.formats()}
    assert {kind.__name__.rpartition(".")[2] for kind in registry.FORMATS} <= rooms  # type: ignore[attr-defined]
    words = " ".join(one["name"] for one in formats.formats() if one["room"] == "rendition")
    assert all(vendor.maker in words for vendor in rendition.VENDORS.values())


def test_what_was_never_tried_is_not_shown_as_tried() -> None:
    tried = {one["name"]: bool(one["tried"]) for one in formats.formats()}
    for vendor in rendition.VENDORS.values():
        names = [name for name in tried if vendor.maker in name and "NDPI" not in name]
        assert any(tried[name] for name in names) == vendor.shown
