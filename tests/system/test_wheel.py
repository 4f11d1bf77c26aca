"""What the wheel holds, and that nobody else owns the names of its rooms."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROOMS = {"common", "sender", "receiver", "conformance", "samples"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        env={**os.environ, "TODOKE_VIEWER": "later"},  # its build has a test of its own in CI
        check=True,
        capture_output=True,
        timeout=50,
    )
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_it_holds_the_five_rooms_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == ROOMS
    assert not [name for name in wheel.namelist() if name.startswith("receiver/viewer/")]


def test_every_file_of_the_rooms_is_in_it(wheel: zipfile.ZipFile) -> None:
    here = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if "node_modules" not in path.parts
    }
    assert here <= set(wheel.namelist())
    assert "conformance/requirements.toml" in wheel.namelist()


def test_each_room_has_its_verb(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    text = wheel.read(name).decode()
    for room in ROOMS - {"common"}:
        assert f"{room} = {room}.cli:app" in text


def test_nobody_else_owns_the_names_of_the_rooms() -> None:
    owners = {
        (file.parts[0], distribution.name)
        for distribution in distributions()
        for file in distribution.files or []
        if file.parts[0] in ROOMS and distribution.name != "todoke"
    }
    assert not owners
