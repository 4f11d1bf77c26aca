"""Case ids are permanent, and the page of cases is that of the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from conformance import catalogue
from conformance.cases import AREAS, CASES

REQUIREMENTS = Path(catalogue.__file__).parent / "requirements.toml"
# Given out once and for all: an id may be dropped from the code, never from here,
# and never means another case.
GIVEN_OUT = {"VER": 9, "TLS": 8, "CRT": 7, "STO": 17, "IDN": 12}


def test_ids_are_unique_and_in_order() -> None:
    ids = [case.id for case in CASES]
    assert len(ids) == len(set(ids))
    for area in AREAS:
        numbers = [int(case.id.removeprefix(f"{area.prefix}-")) for case in area]
        assert numbers == sorted(numbers)
        assert set(numbers) <= set(range(1, GIVEN_OUT[area.prefix] + 1))


def test_titles_on_the_page_never_move_to_another_id() -> None:
    page = catalogue.PAGE.read_text("utf-8")
    listed = dict(re.findall(r"^### ([A-Z]{3}-\d{3}) (.+)$", page, re.MULTILINE))
    assert listed == {case.id: f"{case.title.ja} / {case.title.en}" for case in CASES}


def test_page_is_what_the_code_says() -> None:
    assert catalogue.PAGE.read_text("utf-8") == catalogue.render(), (
        "run python -m conformance.catalogue"
    )


def test_every_case_names_its_clause_in_both_languages() -> None:
    known = set(tomllib.loads(REQUIREMENTS.read_text("utf-8"))["requirement"])
    for case in CASES:
        assert case.clauses, case.id
        for clause in case.clauses:
            if re.fullmatch(r"[A-Z]{2,3}-\d\d", clause):
                assert clause in known, (case.id, clause)
            else:
                assert re.fullmatch(r"(PS3\.\d+|RFC \d+)( [A-Z0-9.]+)?", clause), (case.id, clause)
        for words in (case.title, case.done, case.expected):
            assert words.ja, case.id
            assert words.en.isascii() or any(c in words.en for c in "髙﨑𠮷"), case.id
