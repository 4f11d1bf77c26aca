"""What every test may ask for."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadFileScheduling

# a machine that does much else is no fault of an example's
hypothesis.settings.register_profile("todoke", deadline=None)
hypothesis.settings.load_profile("todoke")

#: Folders whose tests share what is dear to set up: one worker has them all.
TOGETHER = ("tests/hostile/", "tests/system/tls/")
HEAVY = {"system", "hostile", "viewer"}  # folders whose tests start processes or a browser
REQUIREMENTS = Path(__file__).parent.parent / "conformance" / "requirements.toml"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real sample files, named by the environment and never kept in the repository."""
    named = os.environ.get("TODOKE_REAL_DATA")
    if not named:
        pytest.skip("TODOKE_REAL_DATA names no folder of real samples")
    folder = Path(named)
    assert folder.is_dir(), f"TODOKE_REAL_DATA={named} is no folder"
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what takes long first; refuse a requirement id that the table does not have.

    Files are given to the workers in this order, and one of minutes that comes last
    keeps the others waiting; an unknown id would count for nothing.
    """
    items.sort(key=lambda item: not HEAVY & set(item.path.parts))
    if not REQUIREMENTS.exists():
        return
    known = set(tomllib.loads(REQUIREMENTS.read_text("utf-8"))["requirement"])
    for item in items:
        for mark in item.iter_markers("requirement"):
            if unknown := set(mark.args) - known:
                raise pytest.UsageError(f"{item.nodeid}: no requirement {sorted(unknown)}")


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """Give each file to one worker, and all files of a folder that shares its set-up to one."""

    def _split_scope(self, nodeid: str) -> str:
        shared = [folder for folder in TOGETHER if nodeid.startswith(folder)]
        return shared[0] if shared else str(super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    """Distribute by files where that is asked for."""
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI no bad input is skipped: a case that was not tried is not shown."""
    report = yield
    if report.skipped and os.environ.get("CI") and item.get_closest_marker("badinput"):
        report.outcome = "failed"
    return report


@pytest.fixture(scope="session")
def without_posix_env() -> dict[str, str]:
    """Environment for a child Python that lacks what Windows lacks."""
    if sys.platform != "linux":
        pytest.skip("the harness looks at /proc/self/fd")
    folder = Path(__file__).parent / "without_posix"
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{path}" if path else str(folder)}
