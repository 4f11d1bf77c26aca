"""Slide frames sent wrongly over the link, and frames asked for wrongly (DIR-11, DAT-01)."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sender.links.frames import packed_lengths
from sender.links.leaves import digests
from tests.hostile.sending import ByHand, by_hand
from tests.hostile.standing import SENDER_CODE, Standing, error_of

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
LAST = -1


@pytest.fixture
def hand(standing: Standing, tmp_path: Path) -> Iterator[ByHand]:
    """A slide that is open at the receiver, its levels laid out, without any frame."""
    with by_hand(standing, tmp_path) as made:
        assert made.open().status_code == 201
        made.lay_out()
        yield made


@pytest.mark.requirement("DIR-11")
@pytest.mark.badinput(71, "out of order")
def test_frames_in_any_order_make_the_same_slide(hand: ByHand) -> None:
    places = list(hand.places())
    random.Random(71).shuffle(places)
    hand.send_all(places)
    hand.finish()


@pytest.mark.requirement("DIR-11")
@pytest.mark.badinput(71, "twice")
def test_frames_sent_twice_are_counted_and_not_written(hand: ByHand) -> None:
    hand.send_all(hand.places())
    again = hand.send(hand.frame(0, 0) + hand.frame(1, 0))
    assert again.json()["repeats"] == 2
    twice_in_one = hand.send(hand.frame(0, 0) * 2)
    assert (twice_in_one.status_code, error_of(twice_in_one)) == (400, "E-6010")
    hand.finish()


@pytest.mark.requirement("DIR-11")
@pytest.mark.parametrize(
    "gap",
    [
        pytest.param(3, marks=pytest.mark.badinput(71, "missing one")),
        pytest.param(LAST, marks=pytest.mark.badinput(71, "last one late")),
    ],
)
def test_a_closing_before_the_last_frame_is_refused_and_resumed(hand: ByHand, gap: int) -> None:
    places = list(hand.places())
    late = places.pop(gap)
    hand.send_all(places)
    early = hand.complete()
    assert early.status_code == 409
    assert early.json()["missing"] == [hand.slide.instances[late[0]].sop_instance_uid]
    assert hand.missing() == {late}
    hand.send_all([late])
    hand.finish()


def struck(data: bytes) -> bytes:
    return data[:-3] + bytes((data[-3] ^ 1,)) + data[-2:]


@pytest.mark.requirement("DIR-07", "DIR-11")
@pytest.mark.parametrize(
    ("bad", "status", "number"),
    [
        pytest.param(
            lambda hand: hand.frame(0, 0, sha=bytes(32)),
            422,
            "E-4100",
            marks=pytest.mark.badinput(71, "wrong digest"),
        ),
        pytest.param(
            lambda hand: hand.frame(0, 0, data=hand.slide.instances[0].read(0) + b"\0"),
            400,
            "E-6010",
            marks=pytest.mark.badinput(71, "wrong length"),
        ),
        pytest.param(
            lambda hand: hand.frame(0, hand.slide.instances[0].frames, data=b"x"),
            400,
            "E-6010",
            marks=pytest.mark.badinput(71, "frame index past the level"),
        ),
        pytest.param(
            lambda hand: hand.frame(0, 0)[:-1],
            400,
            "E-6010",
            marks=pytest.mark.badinput(71, "batch cut short"),
        ),
    ],
)
def test_a_bad_frame_changes_nothing_and_its_batch_neither(
    hand: ByHand, bad: Callable[[ByHand], bytes], status: int, number: str
) -> None:
    answer = hand.send(hand.frame(1, 0) + bad(hand))
    assert (answer.status_code, error_of(answer)) == (status, number)
    assert hand.missing() == set(hand.places()), "nothing of the batch is kept"
    assert hand.standing.told(number) == 1
    hand.send_all(hand.places())
    hand.finish()


@pytest.mark.requirement("DAT-01")
@pytest.mark.badinput(71, "other bytes for a held frame")
def test_a_held_frame_is_never_replaced(hand: ByHand) -> None:
    hand.send_all(hand.places())
    answer = hand.send(hand.frame(0, 0, data=struck(hand.slide.instances[0].read(0))))
    assert (answer.status_code, error_of(answer)) == (409, "E-2007")
    hand.finish()


@pytest.mark.requirement("DAT-01")
@pytest.mark.badinput(71, "after closing")
def test_after_the_closing_nothing_can_be_changed(hand: ByHand) -> None:
    hand.send_all(hand.places())
    hand.finish()
    late = hand.send(hand.frame(0, 0))
    assert (late.status_code, error_of(late)) == (400, "E-6010")
    other = hand.send(hand.frame(0, 0, data=struck(hand.slide.instances[0].read(0))))
    assert other.status_code == 400
    hand.standing.arriving = len(hand.slide.instances)
    assert hand.complete().status_code == 200, "the same closing again gives the receipt again"


@pytest.mark.requirement("DIR-11")
@pytest.mark.badinput(71, "two uploads of one slide")
def test_the_same_slide_opened_by_two_transfers_stays_one(hand: ByHand, tmp_path: Path) -> None:
    """Who opens second finds the slide held by the first, and cannot take it over."""
    opening = replace(hand.opening, transfer="f" * 32)
    hand.send_all([(0, 0)])
    second = replace(hand, opening=opening)
    assert second.open().status_code in {201, 409}
    answer = second.send(second.frame(0, 0, data=struck(hand.slide.instances[0].read(0))))
    assert answer.status_code in {400, 404, 409}, answer.text
    hand.send_all(set(hand.places()) - {(0, 0)})
    hand.finish()


@pytest.mark.requirement("DIR-07")
@pytest.mark.badinput(71, "manifest that lies on the count")
def test_a_closing_that_names_other_instances_is_refused(hand: ByHand) -> None:
    hand.send_all(hand.places())
    found = digests(hand.slide)
    stranger = replace(found[0], uid="2.25.1")
    for lie in (found[:-1], [*found, stranger], [stranger, *found[1:]]):
        answer = hand.complete(lie)
        assert (answer.status_code, error_of(answer)) == (400, "E-6010")
    wrong = hand.complete([replace(found[0], root="0" * 64), *found[1:]])
    assert wrong.status_code == 422
    assert wrong.json()["unequal"] == [found[0].uid]
    unannounced = hand.send(hand.frame(0, 0))
    assert (unannounced.status_code, error_of(unannounced)) == (400, "E-6010")
    hand.lay_out()
    hand.send_all(hand.places())
    hand.finish()


@pytest.mark.badinput(71, "lengths that sum past the level")
def test_frame_lengths_that_no_file_holds_are_refused(standing: Standing, tmp_path: Path) -> None:
    """Sixteen frames of 4 GB: said to be too much before a byte of disk is taken."""
    with by_hand(standing, tmp_path) as hand:
        assert hand.open().status_code == 201
        level = hand.slide.instances[-1]
        absurd = struct.pack("<I", 0xFFFFFFFE) * level.frames
        place = len(hand.slide.instances) - 1
        answer = hand.client.put(f"{hand.path}/lengths/{place}", content=absurd)
        assert (answer.status_code, error_of(answer)) == (413, "E-6100")
        for wrong in (packed_lengths(level)[:-4], packed_lengths(level) + bytes(4)):
            answer = hand.client.put(f"{hand.path}/lengths/{place}", content=wrong)
            assert (answer.status_code, error_of(answer)) == (400, "E-6010")


def frame_address(standing: Standing, frames: str) -> str:
    study = standing.studies[SENDER_CODE]
    with standing.page() as page:
        (first, *_) = page.get(f"/dicomweb/studies/{study}/instances").json()
    series, instance = first["0020000E"]["Value"][0], first["00080018"]["Value"][0]
    return f"/dicomweb/studies/{study}/series/{series}/instances/{instance}/frames/{frames}"


@pytest.mark.parametrize(
    ("frames", "statuses"),
    [
        pytest.param("-1", {400}, marks=pytest.mark.badinput(70, "negative")),
        pytest.param("0", {400}, marks=pytest.mark.badinput(70, "zero")),
        pytest.param("4294967297", {400}, marks=pytest.mark.badinput(70, "huge")),
        pytest.param("999999999", {404}, marks=pytest.mark.badinput(70, "huge")),
        pytest.param("1.5", {400}, marks=pytest.mark.badinput(70, "float")),
        pytest.param("+1", {400}, marks=pytest.mark.badinput(70, "leading +")),
        pytest.param("%2e%2e", {400, 404}, marks=pytest.mark.badinput(70, "%2e%2e")),
        pytest.param("%2e%2e%2f1", {400, 404}, marks=pytest.mark.badinput(70, "%2e%2e")),
        pytest.param("１", {400}, marks=pytest.mark.badinput(70, "full-width digits")),
        pytest.param(
            ",".join(["1"] * 10_000),
            {400},
            marks=pytest.mark.badinput(70, "10^5 frames in one list"),
        ),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_a_frame_number_that_is_none(standing: Standing, frames: str, statuses: set[int]) -> None:
    address = frame_address(standing, frames)
    with standing.page() as page:
        for tail in ("", "/rendered"):
            answer = page.get(address + tail)
            assert answer.status_code in statuses, answer.text
            assert error_of(answer) in {"E-1001", "E-1005"}
        assert page.get(frame_address(standing, "1")).status_code == 200
    for place in ("-1", "99", "1.5", "%2e%2e"):
        with standing.side.client(standing.ends.ports["link"]) as peer:
            answer = peer.put(f"/transfers/{'0' * 32}/lengths/{place}", content=b"")
            assert answer.status_code == 404


@pytest.mark.parametrize(
    "ranges",
    [
        pytest.param("bytes=0-", marks=pytest.mark.badinput(72, "bytes=0-")),
        pytest.param("bytes=-1", marks=pytest.mark.badinput(72, "bytes=-1")),
        pytest.param(
            "bytes=" + ",".join(f"{n}-{n}" for n in range(5_000)),
            marks=pytest.mark.badinput(72, "10^5 ranges"),
        ),
        pytest.param("bytes=0-9,5-20,0-9", marks=pytest.mark.badinput(72, "overlapping ranges")),
        pytest.param("bytes=20-10", marks=pytest.mark.badinput(72, "backward range")),
    ],
    ids=lambda value: value[:20],
)
def test_ranges_never_multiply_an_answer(standing: Standing, ranges: str) -> None:
    """Images come whole whatever range is asked for; pages at most once (RFC 9110 14.2)."""
    with standing.page() as page:
        address = frame_address(standing, "1")
        whole = page.get(address)
        asked = page.get(address, headers={"Range": ranges})
        assert (asked.status_code, len(asked.content)) == (200, len(whole.content))
        plain = page.get("/index.html")
        some = page.get("/index.html", headers={"Range": ranges})
        assert some.status_code in {200, 206, 400, 416}
        assert len(some.content) <= 2 * len(plain.content) + 1000
