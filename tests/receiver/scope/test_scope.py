"""Nothing is in the viewer that no number of the Q&A asks for (SUB-08, SUB-13)."""

from __future__ import annotations

import re

import pytest

from tests.receiver.scope import scope

NUMBER = re.compile(r"Q([1-9]|1[0-3])|要綱[1-5]")
#: What Q8 leaves to other money: a route or word of it would be such a function.
EXCLUDED = re.compile(r"archive|retention|report|finding|template|billing|ups\b", re.IGNORECASE)


@pytest.mark.requirement("SUB-08")
def test_every_page_tool_and_route_has_a_row_and_every_row_its_thing() -> None:
    assert list(scope.faults(scope.rows())) == []


@pytest.mark.requirement("SUB-08")
@pytest.mark.parametrize(
    ("what", "thing"),
    [
        ("routes", "GET /dicomweb/*"),
        ("routes", "POST /api/studies/{key}/opened"),
        ("pages", "showWorkList"),
        ("keys", "slide:KeyK"),
        ("words", "win.*"),
    ],
)
def test_a_thing_without_a_row_is_named(what: str, thing: str) -> None:
    table = [
        scope.Row(**{**vars(row), what: tuple(one for one in getattr(row, what) if one != thing)})
        for row in scope.rows()
    ]
    found = list(scope.faults(table))
    assert found
    assert all(thing.rstrip("*") in fault for fault in found)


@pytest.mark.requirement("SUB-08")
def test_every_row_says_whom_it_serves() -> None:
    for row in scope.rows():
        assert row.kind in scope.KINDS, row.en
        assert row.qa, row.en
        assert all(NUMBER.fullmatch(number) for number in row.qa), row.en
        assert row.serves_ja, row.en
        assert row.serves_en, row.en


#: What would judge images or measurements in a reader's place.
JUDGES = re.compile(
    r"\bcad\b|detect|classif|interpret|suggest|predict|diagnos|impression|malignan|abnormal",
    re.IGNORECASE,
)


@pytest.mark.requirement("REG-04")
def test_no_route_page_or_key_judges_an_image_or_a_measurement() -> None:
    things = {*scope.routes(), *scope.pages(), *scope.keys()}
    assert len(things) > 100
    assert {thing for thing in things if JUDGES.search(thing)} == set()
    assert JUDGES.search("POST /api/studies/{key}/detections")


@pytest.mark.requirement("SUB-13")
def test_no_route_and_no_tool_is_of_an_archive_a_report_system_or_a_ups() -> None:
    for thing in (*scope.routes(), *scope.pages()):
        assert not EXCLUDED.search(thing), thing
    writes = {route for route in scope.routes() if not route.startswith("GET ")}
    assert not {route for route in writes if "/dicomweb" in route}, "nothing is stored through it"
