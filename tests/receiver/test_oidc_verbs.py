"""The verbs of signing in through the hospital's own service: set, tried, linked, turned off."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from common import audit
from common.errors import NotFound, SettingsError, UsageError
from common.proof.identity import Institution
from common.settings import Receiver
from common.web.accounts import Accounts
from common.web.oidc import Somebody
from common.web.vouched import Vouched
from receiver import setup, sign_in_service
from receiver.index import Index
from receiver.oidc_verbs import app
from tests.receiver.oidc_house import provider, service
from tests.receiver.provider import CLIENT, SECRET, Provider

__all__ = ["provider", "service"]

pytestmark = [pytest.mark.slow, pytest.mark.requirement("AUT-02")]
PASSWORD = "Haru-no-Umi-2026"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A receiver that was set up, with the account of mori."""
    folder = tmp_path / "receiver"
    hospital = Institution("試験病院", "0110812345", "札幌市")
    setup.init(folder, hospital, Receiver(hosts=("localhost",)), operator="tester")
    with contextlib.closing(Index.at(folder)) as index:
        Accounts(index).add("mori", PASSWORD, role="reader")
    return folder


def ran(data: Path, *line: str, typed: str = "", code: int = 0) -> dict[str, Any]:
    """Run a verb; gives what it said, which with an error is the error."""
    done = CliRunner().invoke(app, [*line, "--data", str(data), "--json"], input=typed)
    assert done.exit_code == code, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def noted(data: Path, event: str) -> list[dict[str, Any]]:
    return [dict(one) for one in audit.last(data / "audit", event, 99)]


def agree(data: Path, provider: Provider, *more: str) -> dict[str, Any]:
    return ran(
        data, "set", "--issuer", provider.issuer, "--client-id", CLIENT, "--secret-stdin",
        "--reader", "todoke-reader", "--acr", "mfa", *more, typed=f"{SECRET}\n",
    )  # fmt: skip


def test_what_is_set_is_what_the_receiver_starts_with(data: Path, provider: Provider) -> None:
    shown = agree(data, provider, "--label", "病院のアカウント")
    assert (shown["issuer"], shown["secret"], shown["label"]) == (
        provider.issuer, True, "病院のアカウント",
    )  # fmt: skip
    assert SECRET not in json.dumps(shown)
    assert ran(data, "show") == shown
    secret = data / sign_in_service.SECRET
    assert secret.stat().st_mode & 0o077 == 0
    service = sign_in_service.of(Receiver.load(data, {}), data)
    assert service is not None
    assert (service.issuer, service.client_id, service.secret) == (
        provider.issuer, CLIENT, SECRET,
    )  # fmt: skip
    assert service.roles == {"todoke-reader": "reader"}
    # what is not named stays
    again = ran(data, "set", "--auditor", "todoke-audit")
    assert (again["readers"], again["auditors"]) == (["todoke-reader"], ["todoke-audit"])
    assert again["secret"] is True
    settings = noted(data, "setting")
    assert [(one["what"], one["value"]) for one in settings] == [("oidc", provider.issuer)] * 2
    assert SECRET not in json.dumps(settings)


def test_a_half_agreement_is_not_written(data: Path, provider: Provider) -> None:
    before = (data / "receiver.toml").read_bytes()
    issuer = ("set", "--issuer", provider.issuer)
    for line in (
        issuer,  # without our name there
        (*issuer, "--client-id", "a", "--ca", str(data / "nothing.pem")),
        (*issuer, "--client-id", "a", "--reader", "x", "--auditor", "x"),  # two roles
        ("set", "--issuer", "http://sso.hospital.example.jp", "--client-id", "a"),  # in the clear
    ):
        said = ran(data, *line, code=SettingsError.exit_code)
        assert said["error"]["number"] == SettingsError.number, line
    assert (data / "receiver.toml").read_bytes() == before
    assert not (data / sign_in_service.SECRET).exists()
    assert noted(data, "setting") == []


def test_the_service_is_asked_what_it_is(data: Path, provider: Provider) -> None:
    said = ran(data, "test", code=UsageError.exit_code)
    assert said["error"]["number"] == UsageError.number
    agree(data, provider)
    said = ran(data, "test")
    assert said == {
        "issuer": provider.issuer,
        "authorization_endpoint": f"{provider.issuer}/authorize",
        "keys": 1,
    }
    provider.down = True
    done = CliRunner().invoke(app, ["test", "--data", str(data), "--json"])
    assert done.exit_code != 0
    assert json.loads(done.stdout)["error"]["number"].startswith("E-")
    provider.down = False
    provider.metadata = {"issuer": "https://another.example.jp"}
    done = CliRunner().invoke(app, ["test", "--data", str(data), "--json"])
    assert done.exit_code != 0


def test_an_account_is_linked_to_one_person_and_loosed(data: Path, provider: Provider) -> None:
    said = ran(data, "link", "mori", "--subject", "u-1", code=UsageError.exit_code)
    assert said["error"]["number"] == UsageError.number  # there is no service yet
    assert ran(data, "links") == {"links": []}
    agree(data, provider)
    assert ran(data, "link", "mori", "--subject", "u-1") == {"name": "mori", "subject": "u-1"}
    with contextlib.closing(Index.at(data)) as index:
        accounts = Accounts(index)
        accounts.add("sato", PASSWORD, role="reader")
        vouched = Vouched(accounts)
        who = Somebody(provider.issuer, "u-1", "", "", None, strong=True)
        assert vouched.account(who) == "mori"
    (link,) = ran(data, "links")["links"]
    assert (link["user"], link["issuer"], link["subject"]) == ("mori", provider.issuer, "u-1")
    # one person is one account, and one account one person
    taken = ran(data, "link", "sato", "--subject", "u-1", code=UsageError.exit_code)
    assert taken["error"]["number"] == UsageError.number
    ran(data, "link", "nobody", "--subject", "u-2", code=NotFound.exit_code)
    ran(data, "link", "mori", "--subject", "", code=UsageError.exit_code)
    ran(data, "link", "mori", "--subject", "u-9")
    assert [one["subject"] for one in ran(data, "links")["links"]] == ["u-9"]
    assert ran(data, "unlink", "mori") == {"name": "mori", "links": 1}
    assert ran(data, "unlink", "mori") == {"name": "mori", "links": 0}
    assert ran(data, "links") == {"links": []}
    done = [(one["what"], one["of"], one.get("subject")) for one in noted(data, "account")]
    assert done == [
        ("linked", "mori", "u-1"), ("linked", "mori", "u-9"),
        ("unlinked", "mori", None), ("unlinked", "mori", None),
    ]  # fmt: skip


def test_linking_ends_what_is_open(data: Path, provider: Provider) -> None:
    agree(data, provider)
    with contextlib.closing(Index.at(data)) as index:
        door = Accounts(index)
        _, number = door.sign_in("mori", PASSWORD)
        assert door.sessions.standing(number)
        ran(data, "link", "mori", "--subject", "u-1")
        assert not door.sessions.of("mori")


def test_off_takes_the_way_and_the_secret(data: Path, provider: Provider) -> None:
    agree(data, provider)
    ran(data, "link", "mori", "--subject", "u-1")
    shown = ran(data, "off")
    assert (shown["issuer"], shown["secret"]) == ("", False)
    assert not (data / sign_in_service.SECRET).exists()
    assert sign_in_service.of(Receiver.load(data, {}), data) is None
    assert noted(data, "setting")[-1]["value"] == ""
    # who is whom is kept for the day it is turned on again
    assert [one["user"] for one in ran(data, "links")["links"]] == ["mori"]
