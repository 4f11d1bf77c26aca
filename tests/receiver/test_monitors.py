"""Checks of monitors: typed figures against the grades, what is due, and what has changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from common.errors import UsageError
from common.proof.identity import Institution, Node
from common.proof.role import Role
from receiver.cli import app as receiver
from receiver.index import Index
from receiver.monitors import GRADES, STEPS, Monitors, misses
from tests.receiver.filled import RECEIVER
from tests.receiver.test_standings import SATO, Trail

SCREEN = "1920x1080@1x24"
YES = dict.fromkeys(STEPS, True)
DAILY = {"serial": "EIZO-7", "screen": SCREEN, "answers": YES}
FIGURES = {"serial": "EIZO-7", "grade": "1B", "lmax": 180.0, "lmin": 0.6, "months": 6}


@pytest.fixture
def monitors(tmp_path: Path) -> Iterator[Monitors]:
    database = Index.at(tmp_path)
    yield Monitors(database, Trail().note, lambda: date(2026, 11, 30))
    database.close()


@pytest.mark.requirement("RAD-06")
@pytest.mark.parametrize(
    ("grade", "lmax", "lmin", "deviation", "missed"),
    [
        ("1A", 350, 1.4, 10, []),
        ("1A", 349, 1.4, 11, ["lmax", "ratio", "deviation"]),
        ("1B", 170, 0.68, 15, []),
        ("1B", 170, 0.69, None, ["ratio"]),
        ("2", 100, 1, 30, []),
        ("2", 99.9, 0.1, 30.1, ["lmax", "deviation"]),
    ],
)
def test_figures_against_the_grades(
    grade: str, lmax: float, lmin: float, deviation: float | None, missed: list[str]
) -> None:
    assert misses(grade, lmax, lmin, deviation) == missed
    assert set(GRADES) == {"1A", "1B", "2"}


@pytest.mark.requirement("RAD-05", "RAD-06")
def test_what_is_due_failed_or_changed_is_warned_of(monitors: Monitors) -> None:
    trail = Trail()
    monitors.note = trail.note
    assert monitors.standing("EIZO-7", SCREEN)["warnings"] == ["daily-due"], "never checked"
    assert monitors.keep(SATO, DAILY | FIGURES)["warnings"] == []
    assert monitors.standing("EIZO-7", "2560x1440@1x24")["warnings"] == ["changed"]
    assert monitors.standing("other", SCREEN)["warnings"] == ["daily-due"], "another monitor"
    monitors.today = lambda: date(2026, 12, 1)
    assert monitors.standing("EIZO-7", SCREEN)["warnings"] == ["daily-due"]
    monitors.keep(SATO, DAILY | {"answers": YES | {"lines": False}})
    assert monitors.standing("EIZO-7", SCREEN)["warnings"] == ["daily-failed"]
    monitors.today = lambda: date(2027, 5, 30)
    assert "constancy-due" in monitors.standing("EIZO-7", SCREEN)["warnings"]
    assert [(event, facts["what"]) for event, facts in trail.said] == [
        ("monitor-check", "daily"),
        ("monitor-check", "constancy"),
        ("monitor-check", "daily"),
    ]


def test_the_next_test_is_the_same_day_or_the_last_of_a_month(monitors: Monitors) -> None:
    monitors.today = lambda: date(2026, 8, 31)
    found = monitors.keep(SATO, FIGURES)
    assert found["constancy"]["due_on"] == "2027-02-28"
    assert found["constancy"]["misses"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"serial": " "},
        {"serial": "a\u202eb"},
        {"answers": {"lines": True}},
        {"answers": YES | {"lines": "yes"}},
        {"screen": "large"},
        {"grade": "3"},
        {"lmax": float("nan")},
        {"lmax": True},
        {"lmin": 0.0},
        {"lmin": 200},
        {"months": 13},
        {"months": True},
    ],
)
def test_what_is_no_check_is_refused(monitors: Monitors, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        monitors.keep(SATO, DAILY | FIGURES | wrong)
    assert monitors.every() == []


def test_the_verbs_record_and_list(tmp_path: Path) -> None:
    data = tmp_path / "data"
    Node.create(data, Institution(*RECEIVER, "北海道"), Role.SUPPORTER, hosts=["localhost"])
    more = ["--data", str(data), "--json"]
    figures = ["--grade", "1A", "--lmax", "180", "--lmin", "0.6", "--by", "abe"]
    done = CliRunner().invoke(receiver, ["monitor", "record", "EIZO-7", *figures, *more])
    assert json.loads(done.stdout)["warnings"] == ["daily-due", "constancy-failed"]
    listed = CliRunner().invoke(receiver, ["monitor", "list", *more])
    (one,) = json.loads(listed.stdout)["checks"]
    assert (one["misses"], one["display"]) == (["lmax"], "abe")
