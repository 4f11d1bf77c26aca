"""What every answer of the viewer's door carries: nothing kept anywhere, one strict policy."""

from __future__ import annotations

import pytest

from common.web.headers import CONTENT_SECURITY_POLICY
from receiver.web_app import viewer_app
from tests.receiver.conftest import ViewerServer
from tests.receiver.filled import client
from tests.receiver.test_sign_in import guarded_routes, in_address, with_a_derived_level

POLICY = {
    "default-src": "'none'",
    "script-src": "'self' 'wasm-unsafe-eval'",
    "worker-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "media-src": "'self'",
    "connect-src": "'self'",
    "font-src": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
}


def test_the_policy_is_this_and_no_wider() -> None:
    """What is added here is a decision: docs/decisions/0031."""
    parts = (part.strip().partition(" ") for part in CONTENT_SECURITY_POLICY.split(";"))
    assert {name: value for name, _, value in parts} == POLICY


@pytest.mark.requirement("PRI-07")
def test_nothing_of_a_patient_is_kept_by_a_browser_or_on_the_way(
    viewer_server: ViewerServer,
) -> None:
    filled = viewer_server.filled
    key, slide = filled.ct(), with_a_derived_level(filled)
    asked = 0
    routes = guarded_routes(viewer_app(filled.services()))
    with client(viewer_server.url) as page:
        for route in routes:
            if route.path == "/api/events" or "GET" not in (route.methods or ()):
                continue
            path = in_address(route.path, key, slide)
            answer = page.get(path)
            asked += answer.status_code == 200
            said = answer.headers
            assert said["cache-control"] == "private, no-store", path
            assert said["content-security-policy"] == CONTENT_SECURITY_POLICY, path
            assert said["x-content-type-options"] == "nosniff", path
            assert "access-control-allow-origin" not in said, path
            assert "etag" not in said, path
    assert asked >= 20
