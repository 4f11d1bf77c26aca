"""The syntax that delivers most, whatever line and encoders do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.dicom.samples import HTJ2K, JPEG_LS
from sender.compression.choice import (
    COUNT,
    GAIN,
    HOPE,
    PLAIN,
    USUAL,
    Choice,
    Delivered,
    Rate,
    best,
    delivered,
)

MEGABIT = 1e6 / 8
BOTH = frozenset({HTJ2K, JPEG_LS})
RATES = st.builds(Rate, st.floats(1e5, 1e10), st.floats(0.5, 50))


@pytest.mark.parametrize(
    ("line", "cores", "chosen"),
    [
        (100 * MEGABIT, 1, JPEG_LS),
        (1000 * MEGABIT, 1, HTJ2K),
        (1000 * MEGABIT, 2, HTJ2K),
        (40_000 * MEGABIT, 3, None),
        (100 * MEGABIT, 0, None),
    ],
)
def test_the_slower_the_line_the_smaller_the_code(
    line: float, cores: int, chosen: str | None
) -> None:
    assert best(USUAL, BOTH, line, cores) == chosen


def test_only_what_the_peer_accepted_is_chosen() -> None:
    assert best(USUAL, {HTJ2K}, 100 * MEGABIT, 1) == HTJ2K
    assert best(USUAL, set(), 100 * MEGABIT, 1) is None


@given(st.dictionaries(st.sampled_from(sorted(BOTH)), RATES), st.floats(1e4, 1e11),
       st.integers(0, 64))  # fmt: skip
def test_nothing_else_delivers_more(rates: dict[str, Rate], line: float, cores: int) -> None:
    chosen = best(rates, BOTH, line, cores)
    most = max((delivered(rate, line, cores) for rate in rates.values()), default=0)
    if chosen is None:
        assert most <= GAIN * line
    else:
        assert delivered(rates[chosen], line, cores) == most > GAIN * line


def test_while_the_line_is_unknown_the_fastest_coding_is_taken() -> None:
    choice = Choice()
    assert choice.syntax(BOTH, 1) == HTJ2K
    assert choice.syntax({JPEG_LS}, 1) == JPEG_LS
    assert choice.syntax(BOTH, 0) is None
    assert choice.syntax(set(), 1) is None


def test_images_that_do_not_shrink_are_soon_sent_as_they_are() -> None:
    choice = Choice(line=12.5e6)
    for _ in range(20):
        syntax = choice.syntax(BOTH, 2)
        if syntax is None:
            break
        choice.encoded(syntax, 1000, 0, 1e-5)
    assert choice.syntax(BOTH, 2) is None


def test_an_encoder_too_slow_for_the_line_gives_way() -> None:
    choice = Choice(line=12.5e6)
    assert choice.syntax(BOTH, 1) == JPEG_LS
    for _ in range(5):
        choice.encoded(JPEG_LS, 10_000_000, 2_000_000, 1.0)
    assert choice.syntax(BOTH, 1) == HTJ2K


def answers(choice: Delivered, way: str, rate: float, at: float) -> float:
    """Answer two measurements' worth of instances sent one way; return the time."""
    for _ in range(3 * COUNT):
        at += 500_000 / rate
        choice.answered(way, 500_000, at)
    return at


def test_what_was_delivered_goes_before_what_is_expected() -> None:
    choice = Choice(line=100e6)
    assert choice.syntax(BOTH, 1) == HTJ2K
    at = answers(choice.delivered, HTJ2K, 90e6, 0.0)  # the two ends needed the core
    assert choice.syntax(BOTH, 1) is None, "and would need it for another coding"
    answers(choice.delivered, PLAIN, 60e6, at)  # the line did not keep what it promised
    assert choice.syntax(BOTH, 1) == HTJ2K


def test_a_change_of_way_begins_a_new_measurement() -> None:
    measured = Delivered()
    at = 0.0
    for number in range(6 * COUNT):
        at += 0.01
        measured.answered((PLAIN, HTJ2K)[number // (COUNT // 2) % 2], 1000, at)
    assert measured.rates == {}
    answers(measured, JPEG_LS, 50e6, at + 100)
    assert measured.rates == {JPEG_LS: pytest.approx(50e6, rel=0.01)}


def test_of_what_a_coding_delivered_before_a_little_more_is_hoped_for() -> None:
    before = {PLAIN: 100e6, HTJ2K: 100e6, JPEG_LS: 50e6}
    assert Choice(100e6, before).syntax(BOTH, 1) == HTJ2K
    assert Choice(100e6, before | {HTJ2K: 100e6 * GAIN / HOPE - 1}).syntax(BOTH, 1) is None
    measured = Delivered(before)
    answers(measured, HTJ2K, 70e6, 0.0)
    assert measured.new == {HTJ2K: pytest.approx(70e6, rel=0.01)}, "hope gives way at once"
    assert measured.rates[HTJ2K] == measured.new[HTJ2K]
