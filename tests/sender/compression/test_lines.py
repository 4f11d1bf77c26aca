"""What a line takes is known after a restart, and a broken note is as good as none."""

from __future__ import annotations

from pathlib import Path

import pytest

from sender.compression import lines


def test_rates_are_kept_by_partner_and_written_when_they_are_news(tmp_path: Path) -> None:
    lines.keep(tmp_path, "a", {"line": 12e6, "": 11e6})
    lines.keep(tmp_path, "b", {"line": 1e6})
    lines.keep(tmp_path, "a", {"line": 12.5e6})  # no news
    lines.keep(tmp_path, "b", {})
    assert lines.known(tmp_path) == {"a": {"line": 12e6, "": 11e6}, "b": {"line": 1e6}}
    lines.keep(tmp_path, "a", {"line": 3e6, "x": 5e6})
    assert lines.known(tmp_path)["a"] == {"line": 3e6, "": 11e6, "x": 5e6}


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"a": "x"}', '{"a": -1}', '{"a": {"line": null}}', '{"a": 5}', "髙"]
)
def test_a_note_that_is_none_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "lines.json").write_text(text, "utf-8")
    assert lines.known(tmp_path) == {}
    lines.keep(tmp_path, "a", {"line": 5e6})
    assert lines.known(tmp_path) == {"a": {"line": 5e6}}
