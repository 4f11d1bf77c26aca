"""Every variant of the 100 bad inputs has a test, or says which part it waits for."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from tests.hostile.catalogue import ROOT, BadInput, Shown, bad_inputs, collected, faults
from tests.hostile.page import PAGE, page

ONE = BadInput(7, "平文", "plain", ("a", "b"), {"b": "issue 7: passkeys"})
TEST = Shown(7, "a", "tests/test_x.py::test_a", "")


@pytest.fixture(scope="module")
def shown() -> list[Shown]:
    return collected()


def test_catalogue_has_all_hundred() -> None:
    inputs = bad_inputs()
    assert [one.number for one in inputs] == list(range(1, 101))
    assert sum(len(one.variants) for one in inputs) >= 350
    for one in inputs:
        assert len(set(one.variants)) == len(one.variants), one.number
        assert one.en.isascii(), one.number
        assert one.ja, one.number
        assert not one.ja.isascii(), one.number


@pytest.mark.timeout(300)
def test_every_variant_has_a_test_and_every_mark_a_variant(shown: list[Shown]) -> None:
    found = list(faults(bad_inputs(), shown))
    if os.geteuid() if hasattr(os, "geteuid") else 1:  # what needs root is skipped in words there
        found = [fault for fault in found if " is skipped: " not in fault]
    assert not found, "\n".join(found)


@pytest.mark.timeout(300)
def test_page_is_what_catalogue_and_tests_say(shown: list[Shown]) -> None:
    text = (ROOT / PAGE).read_text("utf-8")
    assert text == page(bad_inputs(), shown), "run python -m tests.hostile.page"


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        ([], "7 'a': no test"),
        ([replace(TEST, skipped="not now")], "is skipped: not now"),
        ([TEST, replace(TEST, variant="b")], "waits for a later part"),
        ([TEST, replace(TEST, variant="c")], "7 'c': not in the catalogue"),
        ([TEST, replace(TEST, number=101)], "101 'a': not in the catalogue"),
    ],
)
def test_the_count_sees_each_fault(tests: list[Shown], words: str) -> None:
    [fault] = faults([ONE], tests)
    assert words in fault
    assert not list(faults([ONE], [TEST]))
