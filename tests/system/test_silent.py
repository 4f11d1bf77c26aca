"""A thousand clients that say nothing, on every port: a good one is served at once all the same."""

from __future__ import annotations

import json
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from common import tls
from common.dicom import uids
from common.dicom.association import Context, Requestor
from sender.partners import Partner, load_partners
from tests.system.ends import Ends, must

pytestmark = [pytest.mark.system, pytest.mark.silent, pytest.mark.timeout(300)]

#: Seconds that a good client may take.  On a free machine it is well under 1 s, which is
#: what is promised; the doors let go of who says nothing after 5 s, so a client that has
#: to wait for that does not pass here however busy the machine is.
BOUND = 4.5
SAME, OTHER = "127.0.0.1", "127.0.0.2"
ECHO = Context(uids.VERIFICATION, uids.IMPLICIT_VR_LITTLE_ENDIAN)
LAN = "127.0.0.1"


@pytest.fixture(scope="module", autouse=True)
def many_files() -> Iterator[None]:
    """As many open files as the test holds; where the system gives no more, it says so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 5000:
        pytest.skip(f"the system allows {hard} open files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def silent(port: int, count: int, source: str) -> Iterator[None]:
    """Hold connections open that say nothing."""
    with ExitStack() as held:
        for _ in range(count):
            held.enter_context(
                socket.create_connection((LAN, port), 30, source_address=(source, 0))
            )
        yield


@pytest.fixture(scope="module")
def partner(ends: Ends) -> Partner:
    """The receiver, as the sender knows it."""
    (one,) = load_partners(ends.sender)
    return one


def ask(ends: Ends, partner: Partner, door: str) -> None:
    """Make one good request at a door of the receiver."""
    port = ends.ports[door]
    own = tls.client_context(partner.credentials, [partner.ca])
    if door == "dicom":
        echo(LAN, port, partner.calling_aet, partner.aet, own)
    elif door == "viewer":
        assert httpx.get(f"http://{LAN}:{port}/", timeout=30).status_code == 200
    else:
        path = "/link/v1/hello" if door == "link" else "/pairing/v1/ca"
        answer = httpx.get(f"https://localhost:{port}{path}", verify=own, timeout=30)
        assert answer.status_code == 200


def echo(host: str, port: int, calling: str, called: str, context: ssl.SSLContext | None) -> None:
    """Make one C-ECHO."""
    with Requestor.open(
        (host, port), tls=context, server_hostname="localhost" if context else None,
        calling_aet=calling, called_aet=called, contexts=(ECHO,), timeout=30,
    ) as peer:  # fmt: skip
        assert peer.echo() == 0


def refusals(trail: Path) -> int:
    """Count the lines of a trail that tell of refusals."""
    rows = [json.loads(line) for line in trail.read_bytes().splitlines()]
    return sum(row["event"] == "security-alert" for row in rows)


NAMES = {"dicom": "DICOM", "link": "link", "viewer": "viewer"}  # of the catalogue
DOORS = [
    pytest.param(
        door,
        SAME,
        1000,
        marks=[pytest.mark.badinput(22, f"1000 connections to the {NAMES[door]} port")]
        if door in NAMES
        else [],
    )
    for door in ("dicom", "link", "pairing", "viewer")
]
DOORS += [pytest.param(door, OTHER, 300) for door in ("dicom", "link", "pairing", "viewer")]
DOORS += [
    pytest.param(door, OTHER, 1000, marks=pytest.mark.slow)
    for door in ("dicom", "link", "pairing", "viewer")
]


@pytest.mark.requirement("NET-07")
@pytest.mark.parametrize(("door", "source", "count"), DOORS)
def test_silent_clients_delay_nobody(
    ends: Ends, partner: Partner, door: str, source: str, count: int
) -> None:
    ask(ends, partner, door)  # what a first request loads is no matter here
    with silent(ends.ports[door], count, source):
        began = time.monotonic()
        ask(ends, partner, door)
        seconds = time.monotonic() - began
    print(f"{door} behind {count} silent clients of {source}: {seconds:.3f} s")
    assert seconds < BOUND
    trail = ends.receiver / "audit" / ("dicom.jsonl" if door == "dicom" else "web.jsonl")
    assert refusals(trail) < 100, "a crowd is a few lines"


@pytest.mark.requirement("NET-07")
@pytest.mark.parametrize("count", [300, pytest.param(1000, marks=pytest.mark.slow)])
def test_silent_clients_at_the_modality_door(ends: Ends, count: int) -> None:
    settings = ends.sender / "sender.toml"
    text = settings.read_text("utf-8")
    for key, value in (("modality_bind", LAN), ("modality_port", 0)):
        (line,) = (one for one in text.splitlines() if one.startswith(f"{key} ="))
        text = text.replace(line, f"{key} = {json.dumps(value)}")
    settings.write_text(text, "utf-8")
    must("sender", "modality", "add", f"CT{count}", "--address", LAN, "--data", ends.sender)
    with ends.daemon() as words:
        port = int(words["modality"]["port"])
        with silent(port, count, SAME), silent(port, count, OTHER):
            began = time.monotonic()
            echo(LAN, port, f"CT{count}", "ANY-SCP", None)
            assert time.monotonic() - began < BOUND
