"""What finds the forged cases, against what the list of the samples says; and the real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from samples.forged import CASES
from samples.forged.case import GRADE, RULE_SET
from sender import judging
from sender.rules import CURRENT
from tests.sender import real_files, rule_matrix
from tests.sender.rule_matrix import Seen

pytestmark = pytest.mark.evidence


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """What rules and checks say of every case."""
    return rule_matrix.matrix(tmp_path_factory.mktemp("forged"))


@pytest.mark.requirement("DIR-02", "DIR-03", "DIR-14", "TST-02")
def test_the_matrix_is_the_expected_one(seen: dict[str, Seen]) -> None:
    assert CURRENT.name == RULE_SET
    for case in CASES:
        one, expected = seen[case.name], case.expected
        assert one.said == expected.rules, case.name
        assert one.checks == set(expected.checks), case.name
        assert one.goes is expected.goes, case.name


@pytest.mark.requirement("DAT-04", "DAT-05", "DAT-14", "CHR-05")
def test_every_check_that_a_case_expects_is_made(seen: dict[str, Seen]) -> None:
    for case in CASES:
        assert seen[case.name].checks == set(case.expected.checks), case.name
        assert seen[case.name].goes is case.expected.goes, case.name


@pytest.mark.requirement("DIR-02")
def test_every_rule_is_kept_with_its_result(seen: dict[str, Seen]) -> None:
    for case in CASES:
        if seen[case.name].of:  # else nothing of it was sent
            assert set(seen[case.name].rules) == set(rule_matrix.IDS), case.name


@pytest.mark.requirement("DIR-04")
@pytest.mark.parametrize(
    "name", ["photo", "photo-video", "capture-dv", "film-df", "scan-si", "drawing-drw"]
)
def test_photographs_and_captures_are_not_direct(seen: dict[str, Seen], name: str) -> None:
    assert seen[name].direct["radiology"] is False


@pytest.mark.requirement("DIR-05")
def test_the_same_bytes_come_to_two_verdicts(seen: dict[str, Seen]) -> None:
    said = {
        case.name: case.expected.radiology for case in CASES if case.expected.radiology is not None
    }
    assert said == {"section": False}
    for name, radiology in said.items():
        assert seen[name].of == "pathology"
        assert seen[name].direct == {"radiology": radiology, "pathology": True}
    assert seen["film-df"].direct["pathology"] is None


@pytest.mark.requirement("DIR-14")
def test_every_rule_that_looks_at_an_object_is_shown_by_a_case() -> None:
    shown = {rule for case in CASES for rule in case.expected.rules}
    assert shown == {"R1", "R2", "R3", "R4", "R5", "R6", "R8", "R9"}
    assert GRADE == "A"


@pytest.mark.requirement("DIR-14")
def test_the_page_names_what_nothing_catches(seen: dict[str, Seen]) -> None:
    page = rule_matrix.render(seen)
    assert page == rule_matrix.PAGE.read_text("utf-8")
    missed = page[page.index(rule_matrix.MISSED) : page.index(rule_matrix.SET_HEAD)]
    for case in CASES:
        assert (f"`{case.name}`" in missed) is case.expected.missed, case.name
    assert "`photo-careful`" in missed


def test_pages_of_real_files_holds_what_was_measured() -> None:
    assert real_files.page() == real_files.PAGE.read_text("utf-8")


@pytest.mark.requirement("DIR-02")
def test_real_files_are_judged_as_the_page_says(real_data: Path) -> None:
    assert real_files.measure(real_data / "dicom") == real_files.known()


@pytest.mark.requirement("DIR-03")
def test_no_series_as_a_scanner_wrote_it_is_held(real_data: Path) -> None:
    for folder in real_files.ACQUIRED:
        found, refused = real_files.facts_below(real_data / "dicom" / folder)
        assert len(found) >= 5
        assert set(refused) <= {"NotAnImage", "no DICOM"}  # media directories
        for facts in set(found):
            for of in ("radiology", "pathology"):
                judged = judging.judge({facts: 1}, real_files.GIVEN, of=of)
                assert judged["direct"] is True, (folder, judged["basis"])


@pytest.mark.requirement("DIR-03", "DIR-09")
def test_real_ct_and_mr_that_are_held_say_why_themselves(real_data: Path) -> None:
    found, _ = real_files.facts_below(real_data / "dicom")
    held = 0
    for facts in set(found):
        if real_files.name_of(facts.sop_class) in real_files.CT_AND_MR:
            judged = judging.judge({facts: 1}, real_files.GIVEN, of="radiology")
            if judged["direct"] is not True:
                held += 1
                derived = {"DERIVED", "SECONDARY"} & set(facts.image_type[:2])
                assert derived or facts.lossy == "01", json.dumps(judged["basis"])
    assert held
