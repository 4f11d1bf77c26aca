"""The syntax that delivers most, whatever line and encoders do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.dicom.samples import HTJ2K, JPEG_LS
from sender.compression.choice import GAIN, USUAL, Choice, Rate, best, delivered

MEGABIT = 1e6 / 8
BOTH = frozenset({HTJ2K, JPEG_LS})
RATES = st.builds(Rate, st.floats(1e5, 1e10), st.floats(0.5, 50))


@pytest.mark.parametrize(
    ("line", "cores", "chosen"),
    [
        (100 * MEGABIT, 1, JPEG_LS),
        (1000 * MEGABIT, 1, HTJ2K),
        (1000 * MEGABIT, 2, HTJ2K),
        (20_000 * MEGABIT, 3, None),
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
