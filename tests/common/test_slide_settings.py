"""Coding slides with loss: codec, quality and the person who decided, or nothing of it."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from common.errors import SettingsError
from common.settings import Sender

WHOLE: dict[str, Any] = {
    "reencode_codec": "jpeg",
    "reencode_quality": 85,
    "reencode_by": "鈴木 一郎",
}
NONE: dict[str, Any] = {"reencode_codec": "", "reencode_quality": 0, "reencode_by": ""}


@pytest.mark.parametrize("given", list(product([False, True], repeat=3)))
def test_all_three_or_none(given: tuple[bool, ...], tmp_path: Path) -> None:
    words: dict[str, Any] = {
        key: (WHOLE if there else NONE)[key] for key, there in zip(WHOLE, given, strict=True)
    }
    environ = {f"TODOKE_SENDER_{key.upper()}": str(value) for key, value in words.items()}
    if all(given) or not any(given):
        expected = {
            "lossy_codec": "jpeg", "lossy_quality": 85, "lossy_by": "鈴木 一郎",
        }  # fmt: skip
        settings = Sender.load(tmp_path, environ)
        assert settings.recoding() == (expected if all(given) else {})
        settings.save(tmp_path)
        assert Sender.load(tmp_path, {}) == settings
        return
    missing = [key for key, there in zip(WHOLE, given, strict=True) if not there]
    for refused in (lambda: Sender.load(tmp_path, environ), lambda: Sender(**words).save(tmp_path)):
        with pytest.raises(SettingsError) as failure:
            refused()
        assert ", ".join(missing) in failure.value.words("ja")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrong",
    [
        {"reencode_codec": "webp"},
        {"reencode_quality": 49},
        {"reencode_quality": 101},
        {"reencode_by": "A\\B"},
        {"reencode_by": " "},
        {"reencode_by": "名" * 65},
    ],
)
def test_values_out_of_their_limits(wrong: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        Sender(**(WHOLE | wrong)).check(tmp_path)
