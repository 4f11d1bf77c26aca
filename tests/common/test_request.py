"""Request information: one form for both ends, and for whoever writes another."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from common import request

PAGES = Path(__file__).parents[2] / "docs" / "reference"
pytestmark = pytest.mark.evidence


def vector(kind: str) -> dict[str, Any]:
    """What a statement of the link's vectors carries."""
    known = json.loads((PAGES / "link-vectors" / "statements.json").read_text("utf-8"))
    known = known["statements"] if isinstance(known, dict) else known
    (jws,) = [one["jws"] for one in known if (one["kind"], one["name"]) == (kind, "right")]
    middle = jws.split(".")[1]
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return said


@pytest.mark.requirement("UX-02")
def test_the_digest_is_that_of_the_vectors_which_import_nothing_of_ours() -> None:
    asked = vector("opening")
    request.check(asked["request"])
    said = asked["priority"], asked["purpose"], asked["request"]
    assert request.agrees(vector("receipt")["facts"], *said)
    assert not request.agrees({"request": "0" * 64}, *said)


@pytest.mark.requirement("RAD-01", "WSI-09")
def test_page_and_schema_name_every_item_with_its_length() -> None:
    page = (PAGES / "request.md").read_text("utf-8")
    schema = (PAGES / "link.openapi.yaml").read_text("utf-8")
    for item in request.ITEMS:
        assert f"| `{item.key}` | {item.ja} | {item.en} | {item.most} |" in page
        assert f"{item.key}: {{type: string, minLength: 1, maxLength: {item.most}}}" in schema


@pytest.mark.requirement("RAD-01")
@pytest.mark.parametrize("sought", ["ｽｸﾘｰﾆﾝｸﾞ", "すくりーにんぐ", "スクリーニング", "ｃｔ", "CT"])
def test_texts_are_found_whatever_their_width_and_kana(sought: str) -> None:
    assert request.fold(sought) in request.search_text({"reason": "スクリーニング ＣＴ"})


@pytest.mark.parametrize("sought", ["高橋医師", "髙橋医師", "高崎"])
def test_a_name_is_found_however_its_kanji_are_written(sought: str) -> None:
    said = {"physician": "髙橋医師", "reason": "髙﨑市より"}
    assert request.fold(sought) in request.fold("\n".join(said.values()))
