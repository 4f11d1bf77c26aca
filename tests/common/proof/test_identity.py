"""Institutions, roles and the identity folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import (
    AlreadyInitialised,
    DatabaseUnsafe,
    EqualInstitution,
    InstitutionCodeError,
    NotInitialised,
    UsageError,
)
from common.proof import certificates
from common.proof.identity import (
    Institution,
    Node,
    check_institution_code,
    check_not_own,
    spoken,
)
from common.proof.role import Role

HERE = Institution("髙橋病院", "1310000001", "東京都")


@given(st.integers(1, 47), st.sampled_from("1346"), st.integers(0, 9_999_999))
def test_a_code_of_the_right_form_is_taken(prefecture: int, table: str, rest: int) -> None:
    code = f"{prefecture:02}{table}{rest:07}"
    assert check_institution_code(code) == code


@pytest.mark.parametrize(
    "code",
    ["", "131000000", "13100000012", "0010000001", "4810000001", "1320000001", "13100000 1",
     "\uff11310000001", "-310000001", "13100000a1", "1310000001\n"],
)  # fmt: skip
def test_a_code_of_another_form_is_refused_in_words(code: str) -> None:
    with pytest.raises(InstitutionCodeError) as refused:
        Institution("病院", code)
    assert refused.value.exit_code == 2
    assert refused.value.facts["cause"]


@pytest.mark.parametrize("name", ["", "  ", "病院\n", "a\x00b"])
def test_an_institution_has_a_printable_name(name: str) -> None:
    with pytest.raises(UsageError):
        Institution(name, "1310000001")


@pytest.mark.requirement("DIR-13")
def test_ones_own_code_is_no_partner() -> None:
    check_not_own("1310000001", "0110000019")
    with pytest.raises(EqualInstitution, match="1310000001"):
        check_not_own("1310000001", "1310000001")


@pytest.mark.requirement("SUB-01")
@pytest.mark.parametrize(
    ("role", "room", "ja"), [("requester", "sender", "依頼側"), ("supporter", "receiver", "支援側")]
)
def test_there_are_two_roles_and_each_end_plays_one(
    role: str, room: str, ja: str, tmp_path: Path
) -> None:
    assert len(Role) == 2
    node = Node.create(tmp_path, HERE, Role(role), hosts=["localhost"])
    loaded = Node.load(tmp_path)
    assert (loaded.role, loaded.role.room, loaded.role.ja) == (Role(role), room, ja)
    assert loaded.institution == HERE
    assert loaded.signing_fingerprint == node.signing_fingerprint
    other = Role.SUPPORTER if node.role is Role.REQUESTER else Role.REQUESTER
    with pytest.raises(NotInitialised, match=other.room):
        Node.load(tmp_path, other)


@pytest.mark.requirement("AUT-08")
@pytest.mark.skipif(os.name == "nt", reason="no modes")
def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    node = Node.create(tmp_path, HERE, Role.SUPPORTER, hosts=["localhost"])
    node.issue_own(["localhost", "pacs.example"])
    keys = sorted(path for path in tmp_path.rglob("*") if b"PRIVATE" in _bytes(path))
    assert [path.name for path in keys] == ["ca.key", "signing.key", "tls.key"]
    assert {oct(path.stat().st_mode & 0o777) for path in keys} == {"0o600"}
    assert "PRIVATE" not in repr(node)
    assert "key" not in repr(node.authority)


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    first = Node.create(tmp_path, HERE, Role.REQUESTER)
    with pytest.raises(AlreadyInitialised):
        Node.create(tmp_path, HERE, Role.REQUESTER)
    assert Node.load(tmp_path).signing_fingerprint == first.signing_fingerprint


def test_a_folder_without_identity_or_of_a_newer_todoke_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotInitialised):
        Node.load(tmp_path, Role.REQUESTER)
    Node.create(tmp_path, HERE, Role.REQUESTER)
    path = tmp_path / "identity" / "identity.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"version": 2}))
    with pytest.raises(DatabaseUnsafe):
        Node.load(tmp_path)


def test_a_half_made_identity_does_not_count(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--host"):
        Node.create(tmp_path, HERE, Role.SUPPORTER)
    assert (tmp_path / "identity" / "signing.key").exists()
    with pytest.raises(NotInitialised):
        Node.load(tmp_path)
    Node.create(tmp_path, HERE, Role.SUPPORTER, hosts=["localhost"])


def test_the_signing_certificate_is_self_issued_and_long_lived(tmp_path: Path) -> None:
    node = Node.create(tmp_path, HERE, Role.SUPPORTER, hosts=["localhost"])
    own = certificates.check_self_issued(node.signing_certificate)
    assert certificates.institution_of(own) == HERE.code
    assert (own.not_valid_after_utc - own.not_valid_before_utc).days >= 20 * 365
    tls_key = certificates.key_from_pem(node.credentials.key.read_bytes())
    keys = {key.private_numbers() for key in (node.signing_key, tls_key, node.authority.key)}
    assert len(keys) == 3


def test_a_fingerprint_is_read_aloud_in_fours() -> None:
    assert spoken("0a1b2c3d4e") == "0A1B 2C3D 4E"
