"""common/states.py: every state has words and a way out; moves are those of the table."""

from __future__ import annotations

import pytest

from common import states
from common.errors import UsageError
from common.states import InstanceState, TransferState


@pytest.mark.requirement("UX-01")
def test_every_state_has_its_words_in_both_languages() -> None:
    assert set(states.WORDS) == set(TransferState)
    assert set(states.INSTANCE_WORDS) == set(InstanceState)
    for words in [*states.WORDS.values(), *states.INSTANCE_WORDS.values()]:
        assert words.ja
        assert words.en
        assert words.owner
    assert len({words.ja for words in states.WORDS.values()}) == len(TransferState)


def test_the_table_names_every_state() -> None:
    assert set(states.MOVES) == set(TransferState)


@pytest.mark.parametrize("old", TransferState)
@pytest.mark.parametrize("new", TransferState)
def test_a_move_is_allowed_by_the_table_alone(old: TransferState, new: TransferState) -> None:
    if new == old or new in states.MOVES[old]:
        assert states.move(old, new) is new
    else:
        with pytest.raises(UsageError):
            states.move(old, new)


def reachable(start: TransferState) -> set[TransferState]:
    found = {start}
    while more := set().union(*(states.MOVES[state] for state in found)) - found:
        found |= more
    return found


def test_a_transfer_can_reach_every_state_and_be_recalled_from_any() -> None:
    assert reachable(TransferState.ANNOUNCED) == set(TransferState)
    for state in TransferState:
        assert TransferState.RECALLED in reachable(state)


@pytest.mark.requirement("DIR-07")
def test_nothing_is_receipted_but_through_delivered() -> None:
    before = {old for old in TransferState if TransferState.RECEIPTED in states.MOVES[old]}
    assert before == {TransferState.DELIVERED, TransferState.DONE, TransferState.QUERY}
    # DONE and QUERY lie behind RECEIPTED: without that one, it cannot be reached
    without = {TransferState.ANNOUNCED}
    while more := (
        set().union(*(states.MOVES[state] for state in without))
        - without
        - {TransferState.RECEIPTED}
    ):
        without |= more
    assert TransferState.DONE not in without


def test_moving_bytes_never_makes_a_readers_state() -> None:
    readers = {state for state, words in states.WORDS.items() if words.owner == "reader"}
    for state in (TransferState.QUEUED, TransferState.SENDING, TransferState.DELIVERED):
        assert not states.MOVES[state] & readers
