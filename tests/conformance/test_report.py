"""The reports are read as a browser, a CI system and a script read them."""

from __future__ import annotations

import datetime as dt
import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from conformance import report as reports
from conformance.case import Result, Verdict, Words
from conformance.cases import CASES
from conformance.runner import Report
from conformance.session import Left
from tests.conformance.rig import target

HOSTILE = "<script>alert(1)</script>\x00\x1b[31m\"'&]]>"
VOID = {"meta", "input", "br"}


class Page(HTMLParser):
    """Checks that tags close, and collects ids, addresses and texts by language."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.languages: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        values = dict(attrs)
        if identity := values.get("id"):
            self.ids.append(identity)
        self.addresses += [str(values[name]) for name in ("src", "href") if name in values]
        if language := values.get("lang"):
            self.languages[language] = self.languages.get(language, 0) + 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def report() -> Report:
    verdicts = list(Verdict)
    results = tuple(
        Result(case, verdicts[i % 4], Words(f"観測 {HOSTILE}", f"seen {HOSTILE}"), i % 8 == 0, 0.5)
        for i, case in enumerate(CASES)
    )
    left = (Left("STO-001", "2.25.1", "2.25.2", "TODOKE-TEST-1"),)
    begun = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
    return Report(target(104), "run", begun, {"implementation": HOSTILE}, results, left)


def test_html_is_one_file_in_two_languages(report: Report, tmp_path: Path) -> None:
    paths = reports.write(report, tmp_path / "new")
    assert sorted(path.name for path in paths) == ["junit.xml", "report.html", "report.json"]
    text = (tmp_path / "new" / "report.html").read_text("utf-8")
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    assert page.addresses == []
    assert "script" not in page.tags
    assert {case.id for case in CASES} < set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert page.languages["en"] > len(CASES)
    assert "url(" not in text
    assert "@import" not in text
    assert "試験" in text
    assert "2.25.1" in text
    assert "TODOKE-TEST-1" in text


def test_junit_counts_what_happened(report: Report) -> None:
    root = ElementTree.fromstring(reports.as_junit(report))
    assert root.tag == "testsuites"
    cases = list(root.iter("testcase"))
    assert [case.attrib["name"].split()[0] for case in cases] == [case.id for case in CASES]
    for tag, name, verdict in (
        ("failure", "failures", Verdict.FAIL),
        ("error", "errors", Verdict.ERROR),
        ("skipped", "skipped", Verdict.SKIP),
    ):
        expected = report.counts[verdict]
        assert expected > 0
        assert len(list(root.iter(tag))) == expected
        assert int(root.attrib[name]) == expected
        assert sum(int(suite.attrib[name]) for suite in root) == expected
    assert int(root.attrib["tests"]) == len(CASES)
    clauses = [entry.attrib["value"] for entry in root.iter("property")]
    assert "PS3.15 B.12" in clauses


def test_json_has_everything(report: Report) -> None:
    document = json.loads(json.dumps(report.as_json(), ensure_ascii=False))
    assert document["version"] == 1
    assert document["mark"] == "試験"
    assert len(document["cases"]) == len(CASES)
    assert document["left_behind"][0]["study_instance_uid"] == "2.25.1"


def test_exit_code_follows_the_verdicts(report: Report) -> None:
    def only(*verdicts: Verdict) -> int:
        results = tuple(result for result in report.results if result.verdict in verdicts)
        return Report(report.target, "run", report.started, {}, results, ()).exit_code

    assert only(Verdict.PASS, Verdict.SKIP) == 0
    assert only(Verdict.PASS, Verdict.FAIL) == 1
    assert only(Verdict.PASS, Verdict.ERROR) == 1
