"""Reading entry by entry gives what the library gives, of whatever text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import entries

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=12,
)
SPACE = st.sampled_from(["", " ", "\n\t", "\r "])


@st.composite
def texts(draw: st.DrawFn) -> str:
    """JSON of an object with any space between its parts, sometimes with a letter changed."""
    value = draw(st.dictionaries(st.text(max_size=3), JSON, max_size=4))
    space, indent = draw(SPACE), draw(st.sampled_from([None, 1]))
    marks = (f"{draw(SPACE)},{draw(SPACE)}", f"{draw(SPACE)}:{draw(SPACE)}")
    text = space + json.dumps(value, indent=indent, separators=marks) + space
    if draw(st.booleans()):
        at = draw(st.integers(0, len(text) - 1))
        text = (
            text[:at] + draw(st.sampled_from(['"', ",", "]", "}", ":", "", "x"])) + text[at + 1 :]
        )
    return text


def outcome(read: Any, text: str) -> Any:
    try:
        return read(text)
    except ValueError:
        return ValueError


@given(texts() | st.text(max_size=12) | JSON.map(json.dumps))
def test_it_reads_and_refuses_what_the_library_does(text: str) -> None:
    assert outcome(lambda t: entries.read(t, lambda one: one), text) == outcome(json.loads, text)


@pytest.mark.parametrize("text", ['{"a":1}{', '{"a":[1]]}', '{"a":[1,]}', '{"a":1,}', "{,}", "{"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        entries.read(text, lambda one: one)


def test_only_entries_of_lists_in_the_outermost_object_are_changed() -> None:
    text = '{"a": [1, [2]], "b": {"c": [3]}, "a2": 4, "a": [5, 6]}'
    assert entries.read(text, str) == {"a": ["5", "6"], "b": {"c": [3]}, "a2": 4}
