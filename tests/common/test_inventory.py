"""The inventory names every part that is installed, and judges none of them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from common import components_page, inventory, inventory_verb
from tests.common.test_words import CLAIMS

pytestmark = pytest.mark.evidence
ROOT = Path(__file__).parents[2]
ROOMS = ("common", "sender", "receiver", "conformance", "samples")
SKIPPED = {"node_modules", "__pycache__", "viewer", "fonts"}


def files() -> list[str]:
    """Return what goes into the wheel."""
    return [
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and not SKIPPED & set(path.relative_to(ROOT).parts)
    ]


@pytest.mark.requirement("SUB-08", "SUB-11")
def test_every_file_that_is_installed_is_of_a_part_and_every_part_has_some() -> None:
    here = files()
    assert len(here) > 300
    assert inventory.unlisted(here) == []
    found = [inventory.part_of(path) for path in here]
    assert inventory.unlisted(["elsewhere/x.py"]) == ["elsewhere/x.py"]
    idle = {part.name for part in inventory.parts()} - {part.name for part in found if part}
    assert not idle


@pytest.mark.requirement("SUB-08", "SUB-11", "OPS-05")
def test_every_library_is_listed_and_none_that_is_not_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {re.split("[<>=;]", one)[0].strip().lower() for one in project["dependencies"]}
    assert {one.name for one in inventory.libraries()} == needed


@pytest.mark.requirement("SUB-08")
def test_what_is_not_needed_is_told_apart_and_knows_its_side() -> None:
    parts = [*inventory.parts(), *inventory.libraries()]
    for part in parts:
        assert set(part.serves) <= set(inventory.SERVES), part.name
        assert part.side in inventory.SIDES, part.name
        assert (part.side == "none") == (part.serves == ("test",)), part.name
        assert all(re.fullmatch(r"Q([1-9]|1[0-3])", number) for number in part.qa), part.name
    idle = {part.name for part in parts if inventory.necessity(part, 1) == "no"}
    assert {name.split(" / ")[1] for name in idle} == {
        "conformance kit", "samples and acceptance",
    }  # fmt: skip


@pytest.mark.requirement("EVD-08", "OPS-05")
def test_the_verb_lists_versions_and_gives_no_verdict() -> None:
    runner = CliRunner()
    said = runner.invoke(inventory_verb.app, ["--json"])
    assert said.exit_code == 0
    found = json.loads(said.stdout)
    assert all(one["installed"] for one in found["libraries"] if one["name"] != "uvloop")
    plain = runner.invoke(inventory_verb.app, []).stdout
    assert "pydicom" in plain
    for text in (said.stdout, plain, components_page.page()):
        assert not CLAIMS.search(text)


def test_the_page_is_that_of_the_table() -> None:
    assert (ROOT / components_page.PAGE).read_text("utf-8") == components_page.page()
