"""The measured rate, on lines of known rate and delay, whoever is the slower."""

from __future__ import annotations

from collections import deque

import pytest

from sender.compression.line import TRIED, Line

WINDOW = 32


def run(line: Line, rate: float, delay: float, made: float, size: int, count: int,
        now: float = 0.0) -> float:  # fmt: skip
    """Send instances of `size` bytes over a line that swallows all at once; return the time.

    Parameters
    ----------
    rate : float
        Bytes a second that the line takes.
    delay : float
        Seconds there and back.
    made : float
        Bytes a second that the sender makes.
    """
    free = now
    answers: deque[tuple[float, str]] = deque()
    for number in range(count):
        now += size / made
        while answers and (answers[0][0] <= now or len(answers) == WINDOW):
            at, uid = answers.popleft()
            now = max(now, at)
            line.answered(uid, now)
        line.sent(str(number), size, now)
        free = max(free, now) + size / rate
        answers.append((free + delay, str(number)))
    while answers:
        at, uid = answers.popleft()
        now = max(now, at)
        line.answered(uid, now)
    return now


@pytest.mark.parametrize("size", [200_000, 525_000])
@pytest.mark.parametrize("delay", [0.001, 0.02, 0.08])
def test_a_full_line_is_measured_though_buffers_swallow_all(delay: float, size: int) -> None:
    line = Line()
    run(line, 12.5e6, delay, made=80e6, size=size, count=120)
    assert line.known
    assert line.rate == pytest.approx(12.5e6, rel=0.1)


@pytest.mark.parametrize("delay", [0.001, 0.02, 0.08])
def test_a_line_that_we_do_not_fill_is_tried_with_more(delay: float) -> None:
    line = Line()
    run(line, 1e9, delay, made=30e6, size=200_000, count=60)
    assert not line.known
    assert line.rate == pytest.approx(TRIED * 30e6, rel=0.3)


def test_what_is_known_of_a_line_stays_while_less_is_sent() -> None:
    line = Line()
    now = run(line, 12.5e6, 0.02, made=80e6, size=200_000, count=100)
    now = run(line, 12.5e6, 0.02, made=5e6, size=200_000, count=100, now=now)
    assert line.rate == pytest.approx(12.5e6, rel=0.1)
    run(line, 50e6, 0.02, made=200e6, size=200_000, count=200, now=now)
    assert line.rate == pytest.approx(50e6, rel=0.2), "and follows the line"


def test_an_answer_that_nobody_waits_for_counts_nothing() -> None:
    line = Line(3e6)
    line.answered("x", 1.0)
    assert (line.rate, line.known) == (3e6, True)
    assert Line().rate is None


def test_a_line_is_hungry_when_less_is_under_way_than_fills_it() -> None:
    line = Line()
    before = line.hungry  # nothing is known of it
    now = run(line, 12.5e6, 0.08, made=80e6, size=200_000, count=120)
    seen = [line.hungry]  # all is answered; it takes two megabytes a round trip
    for uid in "abc":
        line.sent(uid, 800_000, now)
        seen.append(line.hungry)
    assert (before, seen) == (False, [True, True, False, False])


def test_who_has_nothing_made_to_send_does_not_call_the_line_full() -> None:
    """A receiver that answers in groups keeps much under way on any line."""
    line = Line()
    now = 0.0
    for number in range(200):
        now += 0.005
        line.idle(0.004)  # the encoder is the slower
        line.sent(str(number), 180_000, now)
        if number % 16 == 15 and number > 40:
            for answered in range(number - 40, number - 24):
                line.answered(str(answered), now)
    assert not line.known
    assert line.rate == pytest.approx(TRIED * 36e6, rel=0.1)
