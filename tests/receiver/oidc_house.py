"""A viewer's door whose people come through a provider of the tests, as fixtures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from common.web.accounts import Accounts
from common.web.peer import Listener
from receiver.web_app import viewer_app
from tests.receiver.filled import Filled
from tests.receiver.provider import Provider

FAILED = "/?sign-in=failed"


@dataclass
class House:
    """A viewer's door whose people may come through a service, and what its trail was told."""

    url: str
    filled: Filled
    provider: Provider
    told: list[dict[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def page(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"X-Todoke": "1"})

    def events(self, event: str, **facts: Any) -> list[dict[str, Any]]:
        return [one for one in self.told if one["event"] == event and facts.items() <= one.items()]

    def way(self, page: httpx.Client, path: str = "/api/sign-in/oidc") -> str:
        """Where the page is told to go."""
        answer = page.post(path)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["address"])

    def back(self, there: str) -> str:
        """Where the service sends the browser."""
        return httpx.get(there).headers["location"]

    def through(self, page: httpx.Client, path: str = "/api/sign-in/oidc") -> str:
        """Go there and come back; gives where the page ends up."""
        answer = page.get(self.back(self.way(page, path)))
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])


@pytest.fixture(scope="module")
def service() -> Iterator[Provider]:
    with Provider().serve() as made:
        yield made


@pytest.fixture
def provider(service: Provider) -> Provider:
    """The service, as good as new."""
    for name, value in vars(Provider()).items():
        setattr(service, name, value if name != "issuer" else service.issuer)
    return service


@pytest.fixture
def house(filled: Filled, provider: Provider) -> Iterator[House]:
    with housed(filled, provider) as made:
        yield made


@contextlib.contextmanager
def housed(filled: Filled, provider: Provider, **more: Any) -> Iterator[House]:
    made = House("", filled, provider)
    services = replace(
        filled.services(),
        second_factor=True,
        sign_in=provider.service(**more),
        sign_in_label="病院のアカウント",
        note=lambda event, **facts: made.told.append({"event": event, **facts}),
        refused=lambda _address, cause, _certificate: made.refused.append(cause),
    )
    with Listener(viewer_app(services), "127.0.0.1", 0, grace=1).in_thread() as (host, port):
        made.url = f"http://{host}:{port}"
        yield made


@pytest.fixture(scope="module")
def stranger(service: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house for everything that leads nowhere."""
    filled = Filled(tmp_path_factory.mktemp("stranger") / "receiver")
    with housed(filled, service) as made:
        yield made
    filled.close()


@pytest.fixture
def attacked(stranger: House, provider: Provider) -> Iterator[House]:
    """The same with nothing of before, which must be as it was after the test."""
    assert stranger.provider is provider
    stranger.told.clear()
    stranger.refused.clear()
    yield stranger
    assert not Accounts(stranger.filled.index).names()
    assert not stranger.events("account")
    assert not stranger.events("sign-in", outcome="ok")
