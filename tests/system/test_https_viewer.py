"""The viewer's port once other machines may reach it: https from the receiver's own CA."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import httpx
import pytest

from tests.system.ends import Ends, must

pytestmark = pytest.mark.system
NAME, PASSWORD = "yamamoto", "Nagai-Hosomichi-7"


@pytest.fixture(scope="module")
def https(ends: Ends) -> str:
    """Address of the viewer of a receiver that runs with the viewer on every interface."""
    must(
        *("receiver", "user", "add", NAME, "--display", "山本医師", "--password-stdin"),
        *("--data", ends.receiver),
        stdin=f"{PASSWORD}\n",
    )
    ends.stop_receiver()
    ends.start_receiver({**os.environ, "TODOKE_RECEIVER_VIEWER_BIND": "0.0.0.0"})
    assert ends.viewer.startswith("https://localhost:")
    return ends.viewer


def _root(ends: Ends, folder: Path) -> ssl.SSLContext:
    written = must("receiver", "web-root", folder, "--data", ends.receiver)
    pem = next(str(path) for path in written["files"] if str(path).endswith(".pem"))
    return ssl.create_default_context(cafile=pem)


@pytest.mark.requirement("AUT-01")
def test_a_reader_with_the_root_signs_in(ends: Ends, https: str, tmp_path: Path) -> None:
    headers = {"X-Todoke": "1", "Origin": https}
    with httpx.Client(base_url=https, verify=_root(ends, tmp_path), headers=headers) as browser:
        assert browser.get("/api/worklist").status_code == 401
        answer = browser.post("/api/sign-in", json={"name": NAME, "password": PASSWORD})
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"]
        for flag in ("__Host-todoke_session=", "Secure", "HttpOnly", "SameSite=strict"):
            assert flag.lower() in cookie.lower()
        assert browser.get("/api/worklist").json()["rows"] == []


def test_a_machine_without_the_root_is_warned(https: str) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(https)
