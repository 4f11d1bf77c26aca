"""What of TLS itself is refused: versions, suites, compression, renegotiation (PS3.15 B.12).

The hellos are written by hand: our own library would not say such things.
"""

from __future__ import annotations

import subprocess
from dataclasses import replace

import pytest

from conformance import hello
from conformance.target import Target
from tests.system.peers import program
from tests.system.tls.site import LET_IN, Site, each_door

pytestmark = [pytest.mark.system, pytest.mark.tls, pytest.mark.timeout(240)]
SSL_3_0 = 0x0300
RC4 = {0x0005: "RC4-SHA", 0xC011: "ECDHE-RSA-RC4-SHA", 0xC007: "ECDHE-ECDSA-RC4-SHA"}
NULL = {0x003B: "NULL-SHA256", 0xC006: "ECDHE-ECDSA-NULL-SHA", 0xC010: "ECDHE-RSA-NULL-SHA"}
DES = {0x000A: "DES-CBC3-SHA", 0xC008: "ECDHE-ECDSA-DES-CBC3-SHA"}
OLD, NO_CIPHER = "TLS version too old", "no cipher in common"

#: Variant to the version and the suites that are offered, and what the trail says.
CASES: dict[str, tuple[int, dict[int, str], str]] = {
    "TLS 1.0": (hello.TLS_1_0, hello.CBC, OLD),
    "TLS 1.1": (hello.TLS_1_1, hello.CBC, OLD),
    "SSLv3": (SSL_3_0, hello.CBC, OLD),
    "CBC only": (hello.TLS_1_2, hello.CBC, NO_CIPHER),
    "RC4 only": (hello.TLS_1_2, RC4, NO_CIPHER),
    "NULL only": (hello.TLS_1_2, NULL, NO_CIPHER),
    "3DES only": (hello.TLS_1_2, DES, NO_CIPHER),
}


def target(site: Site, door: str) -> Target:
    """Address of a door."""
    return replace(site.target(), port=site.ends.ports[door])


@pytest.mark.requirement("NET-01", "NET-02", "NET-08")
@pytest.mark.parametrize(
    "variant", [pytest.param(v, marks=pytest.mark.badinput(89, v)) for v in CASES]
)
@each_door()
def test_what_is_too_old_or_too_weak_is_refused(door: str, variant: str, site: Site) -> None:
    """By the profile that takes more, and so by the other."""
    site.speak("dicom-b12")
    version, suites, cause = CASES[variant]
    answer = hello.offer(target(site, door), version, suites)
    assert not answer.chosen, answer.words
    site.audited(door, cause)
    assert site.good(door) == LET_IN


@pytest.mark.requirement("NET-04")
@each_door()
def test_the_same_hello_with_an_aead_suite_is_taken_up(door: str, site: Site) -> None:
    """Or the refusals above would show nothing."""
    site.speak("dicom-b12")
    assert hello.offer(target(site, door), hello.TLS_1_2, hello.ECDHE_AEAD).chosen


@pytest.mark.badinput(89, "compression")
@each_door()
def test_compression_is_never_agreed_on(door: str, site: Site) -> None:
    """A hello that offers nothing but DEFLATE (RFC 3749) gets no answer (CRIME)."""
    site.speak("dicom-b12")
    where = target(site, door)
    said = hello.client_hello(hello.TLS_1_2, hello.ECDHE_AEAD, "localhost")
    at = 5 + 4 + 2 + 32 + 1 + 2 + 2 * len(hello.ECDHE_AEAD)
    assert said[at : at + 2] == b"\x01\x00"  # one method: null
    answer = hello.answered(where, said[:at] + b"\x01\x01" + said[at + 2 :])
    assert not answer.chosen, answer.words
    site.audited(door, "NO_COMPRESSION_SPECIFIED", "INVALID_COMPRESSION")
    assert site.good(door) == LET_IN


@pytest.mark.badinput(89, "renegotiation")
@each_door()
def test_a_client_cannot_renegotiate(door: str, site: Site) -> None:
    """OpenSSL answers the wish with a warning and goes on as before; it tells nobody of it."""
    site.speak("dicom-b12")
    own = site.partner().credentials
    line = [
        *(program("openssl"), "s_client", "-connect", f"localhost:{site.ends.ports[door]}"),
        *("-tls1_2", "-cert", str(own.chain), "-key", str(own.key)),
    ]
    done = subprocess.run(
        line, input="R\n", capture_output=True, text=True, timeout=60, check=False
    )
    said = done.stdout + done.stderr
    assert "RENEGOTIATING" in said
    assert "no renegotiation" in said
    assert site.good(door) == LET_IN
