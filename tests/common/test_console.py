"""common/console.py: words on stderr, JSON on stdout, the exit code from the error tree."""

from __future__ import annotations

import json
import locale
from collections.abc import Iterator

import pytest

from common import console
from common.errors import DiskFull


@pytest.fixture(autouse=True)
def unchosen(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("TODOKE_LANG", "LC_ALL", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(locale, "getlocale", lambda: (None, None))
    console.choose_language(None)
    yield
    console.choose_language(None)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "ja"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "TODOKE_LANG": "ja"}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "en_GB.UTF-8"}, "en"),
    ],
)
def test_language_follows_the_environment(
    environment: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert console.language() == language


def test_the_line_decides_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TODOKE_LANG", "ja")
    console.choose_language("en")
    assert console.language() == "en"


def test_words_and_json_never_share_a_stream(capsys: pytest.CaptureFixture[str]) -> None:
    console.choose_language("ja")
    console.say("届きました", "It arrived")
    console.emit({"name": "髙橋"})
    out, err = capsys.readouterr()
    assert err == "届きました\n"
    assert json.loads(out) == {"name": "髙橋"}


@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_becomes_its_words_and_its_exit_code(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    console.choose_language("en")
    with pytest.raises(SystemExit) as left, console.verb(as_json=as_json):
        raise DiskFull(path="store")
    out, err = capsys.readouterr()
    assert left.value.code == DiskFull.exit_code == 41
    assert "The disk is full (store)" in err
    assert err.endswith("E-4005\n")
    if as_json:
        assert json.loads(out)["error"]["number"] == "E-4005"
    else:
        assert out == ""


def test_what_is_not_of_the_tree_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), console.verb():
        _ = 1 / 0
