"""What the sender keeps of who listens in a reading room, and says of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from common import console
from common.tidings import Answer
from sender import sending_verbs
from sender.outbox import Outbox

TELEPHONE = "0166-00-0000"
WORDS = {
    (False, False): ("だれも聞いていません", "nobody is listening"),
    (True, False): ("警報音が出ません", "their alarm is blocked"),
    (True, True): ("応答あり", "they listen"),
    (True, None): ("応答あり", "they listen"),  # an older receiver, of which it is not known
}


@pytest.fixture(params=["ja", "en"])
def lang(request: pytest.FixtureRequest) -> Iterator[str]:
    console.choose_language(request.param)
    yield str(request.param)
    console.choose_language(None)


@pytest.mark.requirement("UX-04")
@pytest.mark.parametrize(("listening", "audible"), WORDS)
def test_status_says_that_pages_are_open_and_blocked(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    lang: str,
    listening: bool,
    audible: bool | None,
) -> None:
    with closing(Outbox(tmp_path)) as box:
        assert box.heard_to("north") == (0, None, None)
        box.take("north", Answer((), 7, listening, TELEPHONE, audible))
        assert box.heard_to("north") == (7, listening, audible)
        (ears,) = box.ears()
    assert (ears["listening"], ears["audible"]) == (listening, audible)
    sending_verbs._tell_ears([ears])
    said = capsys.readouterr().err
    for words in WORDS.values():
        word = words[0 if lang == "ja" else 1]
        assert (word in said) == (word in WORDS[listening, audible]), said
    assert (TELEPHONE in said) == (not (listening and audible is not False))


def test_an_outbox_of_before_knows_nothing_of_the_sound(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path)) as box:
        box.take("north", Answer((), 7, True, TELEPHONE, False))
    with closing(sqlite3.connect(tmp_path / "outbox.sqlite")) as db:
        db.execute("ALTER TABLE ears DROP COLUMN audible")
        db.execute("PRAGMA user_version=10")
        db.commit()
    with closing(Outbox(tmp_path)) as box:
        assert box.heard_to("north") == (7, True, None)
        box.take("north", Answer((), 8, True, TELEPHONE, True))
        assert box.heard_to("north") == (8, True, True)
