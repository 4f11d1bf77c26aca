"""The address that a receiver says its viewer has: what is said is what answers there."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.settings import Receiver
from receiver.viewer_names import by_https, viewer_address


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({}, "http://localhost:8080"),
        ({"BIND": "::1"}, "http://localhost:8080"),
        ({"BIND": "0.0.0.0"}, "https://reading.example.jp:8080"),
        ({"BIND": "127.0.0.1", "CERT": "site.crt"}, "https://reading.example.jp:8080"),
    ],
)
def test_address_has_the_scheme_that_is_served(
    tmp_path: Path, given: dict[str, str], address: str
) -> None:
    names = {"BIND": "TODOKE_RECEIVER_VIEWER_BIND", "CERT": "TODOKE_RECEIVER_WEB_CERT"}
    environ = {names[key]: value for key, value in given.items()}
    settings = Receiver.load(tmp_path, environ | {"TODOKE_RECEIVER_HOSTS": "reading.example.jp"})
    assert viewer_address(settings, 8080) == address
    assert by_https(settings) == address.startswith("https")
