"""What is done to an audit trail is found and called by its name (AUD-02, AUD-03, AUD-09)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from common.audit import checking, files, heads, retention
from common.audit.trail import Trail
from common.proof.identity import Institution, Node
from common.proof.role import Role

pytestmark = pytest.mark.audit
NOW = datetime(2026, 11, 27, tzinfo=UTC)
CLOCK = {"source": "none", "offset_ms": None}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    folder = tmp_path_factory.mktemp("node")
    return Node.create(folder, Institution("北見依頼病院", "0119876543"), Role.REQUESTER)


class Store:
    """A trail of three months, ten lines each, with a head after each month."""

    def __init__(self, folder: Path, node: Node) -> None:
        self.folder, self.node = folder, node
        moments: Iterator[int] = count()
        for month in (4, 5, 6):
            clock = lambda: datetime(2026, month, 1, tzinfo=UTC) + timedelta(seconds=next(moments))  # noqa: B023,E731
            trail = Trail(folder, "web", clock)
            for number in range(10):
                trail.note("study-opened", user="yamamoto", study=f"{month}{number}")
            trail.close()
            self.seal(datetime(2026, month, 2, tzinfo=UTC))

    def seal(self, now: datetime = NOW) -> list[str]:
        node = self.node
        return heads.seal(self.folder, node, node.signing_certificate, lambda: CLOCK, now)

    @property
    def paths(self) -> list[Path]:
        return [one.path for one in files.all_of(self.folder, "web")]

    @property
    def signed(self) -> Path:
        return self.folder / "heads" / "web.jws"

    def kinds(self, **how: Any) -> list[str]:
        certificate = self.node.signing_certificate
        how.setdefault("now", NOW)
        return [one.kind for one in checking.verify(self.folder, certificate, **how).findings]

    def lines(self, place: int, change: Callable[[list[bytes]], None]) -> None:
        path = self.paths[place]
        lines = path.read_bytes().splitlines(keepends=True)
        change(lines)
        path.write_bytes(b"".join(lines))


@pytest.fixture
def store(tmp_path: Path, node: Node) -> Store:
    return Store(tmp_path / "audit", node)


@pytest.mark.requirement("AUD-02")
def test_a_trail_of_several_files_is_sound_and_signed_to_its_end(store: Store) -> None:
    report = checking.verify(store.folder, store.node.signing_certificate, now=NOW)
    assert report.findings == []
    assert [path.name for path in store.paths] == [
        "web.000001.jsonl", "web.000002.jsonl", "web.jsonl",
    ]  # fmt: skip
    assert (report.lines, report.heads, report.unsigned) == (32, 3, 0)


def delete(lines: list[bytes]) -> None:
    del lines[4]


def edit(lines: list[bytes]) -> None:
    lines[4] = lines[4].replace(b"yamamoto", b"tanaka--")


def edit_and_rechain(lines: list[bytes]) -> None:
    """Change a line and every digest after it, as somebody does who knows the form."""
    edit(lines)
    for place in range(5, len(lines)):
        words = json.loads(lines[place])
        words["before"] = hashlib.sha256(lines[place - 1]).hexdigest()
        lines[place] = json.dumps(words, ensure_ascii=False).encode() + b"\n"


def copy(lines: list[bytes]) -> None:
    lines.insert(5, lines[4])


def forge(lines: list[bytes]) -> None:
    """Put in a line that follows the one before it rightly."""
    words = json.loads(lines[4]) | {
        "n": json.loads(lines[4])["n"] + 1,
        "before": hashlib.sha256(lines[4]).hexdigest(),
    }
    lines.insert(5, json.dumps(words).encode() + b"\n")


def cut(lines: list[bytes]) -> None:
    del lines[7:]


def edit_last(lines: list[bytes]) -> None:
    lines[-1] = lines[-1].replace(b"yamamoto", b"tanaka--")


def empty(lines: list[bytes]) -> None:
    lines.clear()


MUTANTS = [
    (0, delete, "deleted"),
    (1, delete, "deleted"),
    (2, delete, "deleted"),
    (0, edit, "edited"),
    (2, edit, "edited"),
    (2, edit_and_rechain, "edited"),
    (0, copy, "inserted"),
    (2, forge, "inserted"),
    (2, cut, "truncated"),
    (0, cut, "deleted"),  # lines of the next file say that some are missing before them
    (2, edit_last, "edited"),
    (2, empty, "file-deleted"),
]


@pytest.mark.requirement("AUD-02")
@pytest.mark.parametrize(("place", "change", "kind"), MUTANTS)
def test_what_was_done_is_called_by_its_name(
    store: Store, place: int, change: Callable[[list[bytes]], None], kind: str
) -> None:
    store.lines(place, change)
    assert store.kinds() == [kind]


@pytest.mark.requirement("AUD-02")
@pytest.mark.parametrize("change", [cut, edit_last, empty, copy, forge])
def test_nothing_is_signed_over_what_does_not_follow(
    store: Store, change: Callable[[list[bytes]], None]
) -> None:
    store.lines(2, change)
    assert store.seal() == ["web"]


@pytest.mark.requirement("AUD-02")
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_file_that_is_taken_away_is_missed(store: Store, place: int) -> None:
    store.paths[place].unlink()
    assert store.kinds() == ["file-deleted"]


@pytest.mark.requirement("AUD-02")
def test_a_whole_trail_that_is_taken_away_is_missed(store: Store) -> None:
    for path in store.paths:
        path.unlink()
    assert store.kinds() == ["file-deleted"] * 3


@pytest.mark.requirement("AUD-02")
def test_heads_are_missed_and_not_forged(store: Store, tmp_path: Path) -> None:
    first, second, third = heads.read(store.folder, "web")
    store.signed.write_text(f"{first}\n{third}\n")
    assert store.kinds() == ["head-deleted"]
    other = Node.create(tmp_path / "other", Institution("他院", "0119876550"), Role.REQUESTER)
    store.signed.unlink()
    heads.seal(store.folder, other, other.signing_certificate, lambda: CLOCK, NOW)
    assert store.kinds() == ["head-forged"]
    store.signed.write_text(f"{first}\n{second}\n{third}\n")
    assert store.kinds() == []


@pytest.mark.requirement("AUD-02")
def test_a_head_kept_elsewhere_shows_what_was_cut_off_together_with_its_head(store: Store) -> None:
    first, second, third = heads.read(store.folder, "web")
    store.paths[2].unlink()
    store.signed.write_text(f"{first}\n{second}\n")
    assert store.kinds() == []  # this is why heads are kept elsewhere too
    assert store.kinds(elsewhere=[third]) == ["head-deleted", "file-deleted"]


@pytest.mark.requirement("AUD-02")
def test_what_another_hand_appends_is_not_chained_over(store: Store) -> None:
    trail = Trail(store.folder, "web", lambda: datetime(2026, 6, 3, tzinfo=UTC))
    with trail.path.open("ab") as other:
        other.write(b'{"event":"study-opened","n":33,"before":"00"}\n')
    trail.note("stopped")
    trail.close()
    assert "inserted" in store.kinds()


@pytest.mark.requirement("AUD-03")
def test_a_head_says_when_and_by_which_clock(store: Store) -> None:
    from common.proof import jws

    said = jws.verify(heads.read(store.folder, "web")[-1], store.node.signing_certificate)
    assert said["clock"] == CLOCK
    assert said["at"].startswith("2026-06-02T")
    assert said["count"] == 32


@pytest.mark.requirement("AUD-09")
def test_years_count_from_the_end_of_the_fiscal_year() -> None:
    def until(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> date:
        return retention.kept_until(datetime(year, month, day, hour, minute, tzinfo=UTC), 5)

    assert until(2026, 3, 31, 14, 59) == date(2031, 3, 31)
    assert until(2026, 3, 31, 15, 0) == date(2032, 3, 31)  # 1 April in Japan
    assert until(2026, 12, 31) == date(2032, 3, 31)


@pytest.mark.requirement("AUD-09")
def test_a_file_may_be_taken_away_after_its_years_and_not_before(store: Store) -> None:
    store.paths[0].unlink()
    last_day = datetime(2032, 3, 31, tzinfo=UTC)
    assert store.kinds(now=last_day) == ["file-deleted"]
    assert store.kinds(now=last_day + timedelta(days=1)) == []
    assert store.kinds(now=last_day + timedelta(days=1), years=6) == ["file-deleted"]
