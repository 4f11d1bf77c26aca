"""Revocation lists as they are made, read and aged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from common import durable
from common.errors import CertificateRevoked, RevocationListUnusable
from common.proof import certificates, renewal, revocation
from common.proof.certificates import Authority
from common.proof.revocation import Age, make_list, read_list
from common.tls import Credentials

pytestmark = pytest.mark.tls
NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("todoke CA 支援病院", now=NOW - DAY)


def written(folder: Path, text: str) -> Path:
    path = folder / "list.crl"
    path.write_text(text, "ascii")
    return path


def test_a_listed_certificate_is_refused_and_another_is_not(
    tmp_path: Path, authority: Authority
) -> None:
    good, bad = (authority.issue(certificates.new_key().public_key(), "x") for _ in range(2))
    made = make_list(authority, {bad.serial_number: NOW - DAY}, number=7, now=NOW)
    found = read_list(written(tmp_path, made), authority.pem)
    assert found.number == 7
    found.check(good, NOW)
    with pytest.raises(CertificateRevoked, match="2026-03-31"):
        found.check(bad, NOW)


def test_a_list_ages_by_the_clock_it_is_given(tmp_path: Path, authority: Authority) -> None:
    leaf = authority.issue(certificates.new_key().public_key(), "x")
    found = read_list(written(tmp_path, make_list(authority, {}, now=NOW, days=8)), authority.pem)
    ages = {days: found.age(NOW + days * DAY) for days in (-1, 0, 3, 5, 8)}
    assert ages == {-1: Age.FUTURE, 0: Age.FRESH, 3: Age.FRESH, 5: Age.HALF, 8: Age.STALE}
    found.check(leaf, NOW + 5 * DAY)
    for days in (-1, 8):
        with pytest.raises(RevocationListUnusable):
            found.check(leaf, NOW + days * DAY)


@pytest.mark.parametrize("what", ["missing", "empty", "no list", "another CA", "altered"])
def test_what_is_no_list_of_this_ca_is_refused(
    what: str, tmp_path: Path, authority: Authority
) -> None:
    other = Authority.create("todoke CA 支援病院")  # the same name does not help
    made = make_list(authority, {}, now=NOW)
    letters = made.splitlines()
    letters[-3] = letters[-3][::-1]
    text = {
        "empty": "",
        "no list": authority.pem,
        "another CA": make_list(other, {}, now=NOW),
        "altered": "\n".join(letters) + "\n",
    }
    path = tmp_path / "list.crl"
    if what != "missing":
        written(tmp_path, text[what])
    with pytest.raises(RevocationListUnusable):
        read_list(path, authority.pem)


def test_a_list_in_der_is_read_too(tmp_path: Path, authority: Authority) -> None:
    made = x509.load_pem_x509_crl(make_list(authority, {}, now=NOW).encode())
    (tmp_path / "list.crl").write_bytes(made.public_bytes(Encoding.DER))
    assert read_list(tmp_path / "list.crl", authority.pem).pem.startswith("-----BEGIN X509 CRL")


def pair(authority: Authority) -> tuple[bytes, str]:
    key = certificates.new_key()
    leaf = authority.issue(key.public_key(), "x", now=NOW)
    return certificates.key_to_pem(key), certificates.to_pem(leaf)


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_replacement_that_is_cut_short_leaves_a_pair_that_fits(
    cut: int, tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The power fails before the n-th name is made; afterwards key and certificate fit."""
    own = Credentials(tmp_path / "a.key", tmp_path / "a.crt")
    before, after = pair(authority), pair(authority)
    renewal.replace_pair(own, *before)
    assert (own.key.read_bytes(), own.chain.read_text()) == before
    publish, done = durable.publish, 0

    def fails(temporary: Path, final: Path) -> None:
        nonlocal done
        done += 1
        if done == cut:
            raise KeyboardInterrupt
        publish(temporary, final)

    monkeypatch.setattr(durable, "publish", fails)
    with pytest.raises(KeyboardInterrupt):
        renewal.replace_pair(own, *after)
    monkeypatch.undo()
    renewal.finish(own)
    assert (own.key.read_bytes(), own.chain.read_text()) == (before if cut < 3 else after)


def test_days_left_are_warned_of_at_60_30_and_7(authority: Authority) -> None:
    assert [renewal.warning(days) for days in (398, 60, 59, 30, 29, 7, 6, -1)] == [
        *(None, None, 60, 60, 30, 30, 7, 7)
    ]
    leaf = authority.issue(certificates.new_key().public_key(), "x", now=NOW)
    assert renewal.days_left(leaf, NOW) == certificates.LEAF_DAYS


def test_the_life_of_a_list_is_several_renewals() -> None:
    half = timedelta(days=revocation.LIST_DAYS) / 2
    assert half > 2 * revocation.RENEWED
