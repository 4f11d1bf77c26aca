"""What a reading room answers: whatever a peer says is a value or a ProtocolError."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import tidings
from common.errors import ProtocolError

ANSWER: dict[str, Any] = {
    "news": [
        {
            **{"kind": "state", "study": "1.2.3", "at": "2026-11-27T11:58:00+00:00"},
            **{"state": "done", "by": "佐藤医師", "moment": "2026-11-27T11:57:00+00:00", "late": 0},
        },
        {
            **{"kind": "keys", "study": "1.2.3", "at": "2026-11-27T11:58:00+00:00"},
            **{"reader": "0" * 16, "by": "佐藤医師", "images": [{"sop": "1.2.4", "frame": 1}]},
        },
        {"kind": "of a later version"},
    ],
    "until": 7,
    "listening": True,
    "audible": False,
    "telephone": "0166-00-0000",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def test_an_answer_is_read_as_it_was_said() -> None:
    read = tidings.read(ANSWER)
    assert [one.kind for one in read.news] == ["state", "keys"]
    assert (read.until, read.listening, read.audible) == (7, True, False)


def test_an_older_receiver_does_not_say_whether_an_alarm_can_be_heard() -> None:
    older = {name: said for name, said in ANSWER.items() if name != "audible"}
    assert tidings.read(older).audible is None


@pytest.mark.parametrize("name", ["listening", "audible"])
@pytest.mark.parametrize("said", [None, 0, 1, "", "true", [], {}])
def test_what_is_neither_true_nor_false_is_refused(name: str, said: Any) -> None:
    with pytest.raises(ProtocolError):
        tidings.read(ANSWER | {name: said})


@given(st.sampled_from([None, 0, 1]), st.text(max_size=8) | st.sampled_from(sorted(ANSWER)), JSON)
def test_any_json_is_a_value_or_a_protocol_error(place: int | None, name: str, said: Any) -> None:
    words = copy.deepcopy(ANSWER)
    (words if place is None else words["news"][place])[name] = said
    try:
        read = tidings.read(words)
    except ProtocolError:
        return
    assert type(read.until) is int
    assert read.until >= 0
    assert isinstance(read.listening, bool)
    assert read.audible is None or isinstance(read.audible, bool)
    assert len(read.telephone) <= tidings.SHORT
