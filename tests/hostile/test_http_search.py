"""Hostile searches, and identifiers that belong to somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.hostile.sending import by_hand
from tests.hostile.standing import OTHER_CODE, SENDER_CODE, Standing, error_of

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
REFUSED = (400, "E-1001")
MOST = 1000  # answers of one search


@pytest.fixture
def page(standing: Standing) -> Iterator[httpx.Client]:
    with standing.page() as made:
        yield made


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("limit=-1", marks=pytest.mark.badinput(76, "limit=-1")),
        pytest.param("limit=1000000000", marks=pytest.mark.badinput(76, "limit=10^9")),
        pytest.param("limit=1e3", marks=pytest.mark.badinput(76, "limit=10^9")),
        pytest.param(
            f"offset={2**64}", marks=pytest.mark.badinput(76, "offset beyond SQL integers")
        ),
        pytest.param(
            "&".join(["00100020"] * 6_000), marks=pytest.mark.badinput(76, "10^4 parameters")
        ),
        pytest.param(f"PatientName={'*a' * 200}", marks=pytest.mark.badinput(76, "wildcard ReDoS")),
        pytest.param("' or 1=1--=x", marks=pytest.mark.badinput(76, "SQL quote")),
    ],
    ids=lambda query: query[:24],
)
def test_a_query_that_is_none(page: httpx.Client, query: str) -> None:
    for level in ("studies", "series", "instances"):
        answer = page.get(f"/dicomweb/{level}?{query}")
        assert (answer.status_code, error_of(answer)) == REFUSED


@pytest.mark.parametrize(
    ("query", "everything"),
    [
        pytest.param("limit=999999999", True, marks=pytest.mark.badinput(76, "limit=10^9")),
        pytest.param(
            "fuzzymatching=true&PatientName=TAKAHASH",
            False,
            marks=pytest.mark.badinput(76, "fuzzymatching"),
        ),
        pytest.param(
            f"PatientName={'*?' * 60}x", False, marks=pytest.mark.badinput(76, "wildcard ReDoS")
        ),
        pytest.param("includefield=all", True, marks=pytest.mark.badinput(76, "includefield=all")),
        pytest.param("PatientID=' or 1=1--", False, marks=pytest.mark.badinput(76, "SQL quote")),
        pytest.param(
            "StudyInstanceUID=1' or '1'='1", False, marks=pytest.mark.badinput(76, "SQL quote")
        ),
        pytest.param("PatientID=%25", False, marks=pytest.mark.badinput(76, "LIKE % and _")),
        pytest.param("PatientID=T9__", False, marks=pytest.mark.badinput(76, "LIKE % and _")),
        pytest.param(
            "offset=999999999", False, marks=pytest.mark.badinput(76, "offset beyond SQL integers")
        ),
    ],
)
def test_a_search_gives_what_matches_and_no_more(
    page: httpx.Client, query: str, everything: bool
) -> None:
    held = len(page.get("/dicomweb/studies").json())  # other tests of this process sent some too
    assert held >= 2
    answer = page.get(f"/dicomweb/studies?{query}")
    assert answer.status_code == 200
    assert len(answer.json()) == (held if everything else 0)
    if "fuzzy" in query:
        assert "fuzzymatching is not supported" in answer.headers["warning"]
    assert len(page.get(f"/dicomweb/instances?{query}").json()) <= MOST


# -- what belongs to another institution or another study -----------------------


@pytest.mark.requirement("AUT-02")
@pytest.mark.badinput(77, "transfer of another institution")
@pytest.mark.badinput(77, "frames into another institution's transfer")
@pytest.mark.badinput(77, "receipt of another institution")
def test_a_transfer_is_its_institutions_own(standing: Standing, tmp_path: Path) -> None:
    """Who asks with another certificate learns not even that the transfer exists."""
    with by_hand(standing, tmp_path) as hand:
        assert hand.open().status_code == 201
        hand.lay_out()
        with standing.other.client(standing.ends.ports["link"]) as stranger:
            for transfer in (hand.path, f"/transfers/{'0' * 32}"):
                answers = [
                    stranger.get(transfer),
                    stranger.get(f"{transfer}/missing"),
                    stranger.get(f"{transfer}/receipt"),
                    stranger.put(f"{transfer}/lengths/0", content=b"1234"),
                    stranger.post(f"{transfer}/frames", content=hand.frame(0, 0)),
                    stranger.post(f"{transfer}/complete", content=b"a.b.c"),
                ]
                for answer in answers:
                    assert (answer.status_code, error_of(answer)) == (404, "E-1005")
            assert hand.missing() == set(hand.places())
        hand.send_all(hand.places())
        hand.finish()


@pytest.mark.badinput(77, "transfer of another institution")
def test_an_opening_in_another_institutions_name_is_refused(
    standing: Standing, tmp_path: Path
) -> None:
    """Signed by A and sent by B; signed by B in A's name; A's transfer opened again by B."""
    with by_hand(standing, tmp_path) as hand:
        assert hand.open().status_code == 201
        with standing.other.client(standing.ends.ports["link"]) as stranger:
            hand.client, hand.side = stranger, standing.side
            assert hand.open().status_code in {400, 422}
            hand.side = standing.other
            answer = hand.open()
            assert (answer.status_code, error_of(answer)) == (400, "E-6010")


def address(standing: Standing, page: httpx.Client, code: str) -> tuple[str, str, str]:
    study = standing.studies[code]
    (first, *_) = page.get(f"/dicomweb/studies/{study}/instances").json()
    return study, first["0020000E"]["Value"][0], first["00080018"]["Value"][0]


@pytest.mark.requirement("DIR-06")
@pytest.mark.badinput(77, "instance under another study")
@pytest.mark.badinput(77, "series under another study")
def test_an_address_that_mixes_studies_names_nothing(
    standing: Standing, page: httpx.Client
) -> None:
    here = address(standing, page, SENDER_CODE)
    there = address(standing, page, OTHER_CODE)
    for root in ("/dicomweb", f"/dicomweb/at/{SENDER_CODE}"):
        for study, series, instance in (
            (here[0], here[1], there[2]),
            (here[0], there[1], there[2]),
            (there[0], here[1], here[2]),
        ):
            one = f"{root}/studies/{study}/series/{series}/instances/{instance}"
            for tail in ("", "/metadata", "/frames/1", "/rendered", "/thumbnail"):
                answer = page.get(one + tail)
                assert (answer.status_code, error_of(answer)) == (404, "E-1005"), one
        answer = page.get(f"{root}/studies/{here[0]}/series/{there[1]}/metadata")
        assert answer.status_code == 404
    elsewhere = page.get(f"/dicomweb/at/{OTHER_CODE}/studies/{here[0]}/metadata")
    assert (elsewhere.status_code, error_of(elsewhere)) == (404, "E-1005")


@pytest.mark.requirement("AUT-01")
@pytest.mark.badinput(77, "stored object without a session")
def test_nothing_stored_is_given_without_a_session(standing: Standing, page: httpx.Client) -> None:
    study, series, instance = address(standing, page, SENDER_CODE)
    with standing.page(signed_in=False) as stranger:
        for path in (
            f"/dicomweb/studies/{study}",
            f"/dicomweb/studies/{study}/series/{series}/instances/{instance}/frames/1",
            f"/dicomweb/studies/{study}/thumbnail",
            "/dicomweb/studies",
            "/api/worklist",
            "/api/events",
        ):
            answer = stranger.get(path)
            assert (answer.status_code, error_of(answer)) == (401, "E-5002")
            assert study not in answer.text
