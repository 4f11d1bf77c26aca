"""Requests that lie about their length, bombs, multipart: refused, and nobody else notices.

RFC 9112 sections 5 to 7 say what a message is; a door that reads a bent one otherwise
than the proxy before it takes in requests that nobody sent (smuggling).
"""

from __future__ import annotations

import gzip
import re

import pytest

from tests.hostile.standing import SENDER_CODE, Standing, error_of, soon, status_of

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
BOTH = pytest.mark.parametrize("door", ["viewer", "link"])
WRITES = {"viewer": "/api/sign-in", "link": "/link/v1/transfers"}


def request(door: str, *headers: str, body: bytes = b"") -> bytes:
    """A POST as raw bytes; the headers are written as they are."""
    head = (f"POST {WRITES[door]} HTTP/1.1", "Host: localhost", "X-Todoke: 1", *headers)
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@BOTH
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        pytest.param(
            ("Content-Length: -1",),
            b"x",
            marks=pytest.mark.badinput(73, "negative Content-Length"),
        ),
        pytest.param(
            ("Content-Length: 2", "Content-Length: 40"),
            b"{}GET /api/worklist HTTP/1.1\r\n\r\n",
            marks=pytest.mark.badinput(73, "two Content-Length"),
        ),
        pytest.param(
            ("Content-Length: 6", "Transfer-Encoding: chunked"),
            b"0\r\n\r\nGET /api/worklist HTTP/1.1\r\nHost: a\r\n\r\n",
            marks=pytest.mark.badinput(73, "Content-Length with chunked"),
        ),
        pytest.param(
            ("Transfer-Encoding: chunked",),
            b"FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n",
            marks=pytest.mark.badinput(73, "chunk size FFFFFFFFFFFFFFFFH"),
        ),
        pytest.param(
            ("Content-Length : 2",),
            b"{}",
            marks=pytest.mark.badinput(73, "space before the colon"),
        ),
        pytest.param(
            ("Content-Length: 2\nX-Smuggled: 1",),
            b"{}",
            marks=pytest.mark.badinput(73, "bare LF in the head"),
        ),
    ],
)
def test_a_bent_message_is_refused_once(
    standing: Standing, door: str, headers: tuple[str, ...], body: bytes
) -> None:
    answer = standing.exchange(door, request(door, *headers, body=body))
    assert status_of(answer) == 400, answer[:200]
    assert len(re.findall(rb"HTTP/1\.1 \d", answer)) == 1, "one message, one answer"


@BOTH
@pytest.mark.badinput(73, "Content-Length 4 GB")
def test_a_body_of_4_gb_is_not_waited_for(standing: Standing, door: str) -> None:
    """Nothing is taken for what is only announced; what comes beyond the limit is not kept."""
    with standing.connection(door) as line:
        line.sendall(request(door, "Content-Length: 4294967296"))
        sent = 0
        piece = b"x" * (1 << 20)
        line.settimeout(20)
        try:
            while sent < 96 << 20:
                line.sendall(piece)
                sent += len(piece)
            answer = line.recv(1 << 16)
        except OSError:  # it is closed under our hands: just as well
            return
    assert status_of(answer) in {400, 413}, answer[:200]


@BOTH
@pytest.mark.badinput(73, "head of 1 MB")
def test_a_head_without_end_is_cut_off(standing: Standing, door: str) -> None:
    head = tuple(f"X-{number}: {'a' * 1000}" for number in range(20_000))
    answer = standing.exchange(door, request(door, *head, "Content-Length: 2", body=b"{}"))
    assert status_of(answer) in {0, 431}, answer[:200]  # 0: reset while we still wrote
    one = request(door, f"X-Long: {'a' * (1 << 20)}", "Content-Length: 2", body=b"{}")
    assert status_of(standing.exchange(door, one)) in {0, 431}
    soon(lambda: standing.logged("headers too long") >= 1, "the first of its kind is in the log")


@BOTH
@pytest.mark.badinput(74, "gzip body bomb")
def test_a_compressed_body_is_never_opened(standing: Standing, door: str) -> None:
    bomb = gzip.compress(bytes(64 << 20), 9)
    bomb = gzip.compress(bomb * 20)
    headers = ("Content-Encoding: gzip", f"Content-Length: {len(bomb)}")
    answer = standing.exchange(door, request(door, *headers, body=bomb))
    assert status_of(answer) in {400, 413, 415, 422}, answer[:200]


def parts(count: int, head: bytes = b"Content-Type: application/dicom") -> bytes:
    return (b"--b\r\n" + head + b"\r\n\r\nx\r\n") * count + b"--b--\r\n"


@BOTH
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param(
            "multipart/related",
            parts(1),
            marks=pytest.mark.badinput(75, "no boundary"),
        ),
        pytest.param(
            "multipart/form-data; boundary=b",
            parts(200_000, b"A: b"),
            marks=pytest.mark.badinput(75, "10^6 parts"),
        ),
        pytest.param(
            "multipart/related; boundary=b",
            parts(1, b"X: " + b"a" * (1 << 20)),
            marks=pytest.mark.badinput(75, "1 MB part header"),
        ),
    ],
)
def test_no_door_takes_a_multipart_body(
    standing: Standing, door: str, kind: str, body: bytes
) -> None:
    headers = (f"Content-Type: {kind}", f"Content-Length: {len(body)}")
    answer = standing.exchange(door, request(door, *headers, body=body))
    assert status_of(answer) in {400, 413, 422}, answer[:200]
    with standing.page() as page:
        answered = page.post("/dicomweb/studies", content=body[:1000])
        assert (answered.status_code, error_of(answered)) == (405, "E-1001")


@pytest.mark.badinput(75, "multipart to STOW-RS")
def test_nothing_is_stored_through_dicomweb(standing: Standing) -> None:
    """There is no STOW-RS (PS3.18 10.5): images come by C-STORE and by the link, with a record."""
    study = standing.studies[SENDER_CODE]
    kinds = (
        'multipart/related; type="application/dicom"; boundary=b',
        "multipart/related; type=application/dicom+json; boundary=b",
        "application/dicom",
    )
    with standing.page() as page, standing.page(signed_in=False) as stranger:
        before = len(page.get("/dicomweb/instances").json())
        for root in ("/dicomweb", f"/dicomweb/at/{SENDER_CODE}"):
            for path in (f"{root}/studies", f"{root}/studies/{study}"):
                for kind in kinds:
                    for body in (parts(1), parts(2000), b"--b\r\n", b""):
                        answer = page.post(path, content=body, headers={"Content-Type": kind})
                        assert (answer.status_code, error_of(answer)) == (405, "E-1001"), path
                assert stranger.post(path, content=parts(1)).status_code == 401
                assert page.put(path, content=parts(1)).status_code == 405
        assert len(page.get("/dicomweb/instances").json()) == before


@pytest.mark.badinput(75, "boundary inside data")
def test_a_boundary_never_meets_the_data(standing: Standing) -> None:
    """It is drawn for each answer, so no stored byte can be made to look like it."""
    study = standing.studies[SENDER_CODE]
    boundaries = set()
    with standing.page() as page:
        for _ in range(3):
            answer = page.get(f"/dicomweb/studies/{study}")
            assert answer.status_code == 200
            found = re.search(r"boundary=(\S+)", answer.headers["content-type"])
            assert found
            boundary = found[1].encode()
            boundaries.add(boundary)
            assert answer.content.count(b"--" + boundary) == 4, "three parts and the end"
            assert len(boundary) >= 24
    assert len(boundaries) == 3
