"""The invitation file: what it holds, and that nothing in it can change unseen."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvitationError
from common.proof.identity import Institution
from common.proof.invitation import Invitation, expired

NOW = datetime(2026, 4, 1, 9, tzinfo=UTC)


def make() -> Invitation:
    return Invitation.make(
        Institution("山﨑診療所", "0110000019"),
        Institution("髙橋病院", "1310000001"),
        addresses=("10.0.0.5", "pacs.example"),
        host="pacs.example",
        pairing_port=8444,
        ca_sha256="0" * 64,
        hours=72,
        now=NOW,
    )


def test_a_file_gives_back_what_was_made(tmp_path: Path) -> None:
    made = make()
    path = tmp_path / "invite.json"
    path.write_text(json.dumps(made.as_json(), ensure_ascii=False, indent=1), "utf-8")
    read = Invitation.read(path)
    assert read == made
    assert read.digest == made.digest
    assert made.secret not in repr(made)
    assert len({make().secret for _ in range(20)}) == 20
    assert len(made.secret) == 64


@pytest.mark.parametrize("name", [row.name for row in fields(Invitation)])
def test_a_change_of_any_field_changes_the_digest(name: str) -> None:
    made = make()
    old = getattr(made, name)
    new = {tuple: lambda: old[::-1], int: lambda: old + 1, str: lambda: old + "0"}[type(old)]()
    assert replace(made, **{name: new}).digest != made.digest


@pytest.mark.parametrize(
    "change",
    [{"version": 2}, {"kind": "other"}, {"extra": 1}, {"secret": None}, {"addresses": "a"},
     {"addresses": [1]}, {"pairing_port": "8444"}, {"pairing_port": True}, {"id": []}],
)  # fmt: skip
def test_words_of_another_form_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvitationError):
        Invitation.from_json(make().as_json() | change)


def test_a_missing_field_and_a_file_of_something_else_are_refused(tmp_path: Path) -> None:
    for name in make().as_json():
        words = make().as_json()
        del words[name]
        with pytest.raises(InvitationError):
            Invitation.from_json(words)
    with pytest.raises(InvitationError):
        Invitation.read(tmp_path / "none.json")
    for content in (b"", b"{", b"\xff\xfe", b"[" * 5000):
        (tmp_path / "x.json").write_bytes(content)
        with pytest.raises(InvitationError):
            Invitation.read(tmp_path / "x.json")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=9))
def test_any_json_is_refused(words: object) -> None:
    with pytest.raises(InvitationError):
        Invitation.from_json(words)


def test_it_is_good_until_its_moment() -> None:
    made = make()
    made.check_time(NOW + timedelta(hours=71, minutes=59))
    with pytest.raises(InvitationError, match="expired"):
        made.check_time(NOW + timedelta(hours=72))
    assert expired("never", NOW)
    assert expired("2027-01-01T00:00:00", NOW)  # without an offset it is no moment
