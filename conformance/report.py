"""The report of a run: one HTML file in both languages without outside assets, and JUnit XML."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from pathlib import Path
from xml.sax.saxutils import quoteattr

from conformance.case import VERDICT_WORDS, Result, Verdict, Words
from conformance.cases import AREAS
from conformance.runner import Report

_STYLE = """
:root{font-family:"Hiragino Sans","Noto Sans CJK JP","Yu Gothic",Meiryo,sans-serif;
line-height:1.6;color:#1c2530;background:#fff}
body{max-width:72rem;margin:0 auto;padding:1.5rem}
.mark{display:inline-block;border:2px solid #a02020;color:#a02020;padding:0 .6rem;font-weight:700}
h1{font-size:1.6rem;margin:.6rem 0}h2{font-size:1.15rem;margin:2rem 0 .4rem}
table{border-collapse:collapse;width:100%}
th,td{border:1px solid #c6ced8;padding:.35rem .55rem;text-align:left;vertical-align:top}
th{background:#eef2f6}
td:first-child code{white-space:nowrap;word-break:normal}
code{font-size:.85em;word-break:break-all}
.pass{color:#14632c}.fail,.error{color:#a01515;font-weight:700}.skip{color:#5b6673}
.remark{color:#7a4b00}.facts th{width:16rem}.clauses{font-size:.8rem;color:#4b5665}
.lang{margin:.4rem 0}input[name=lang]{margin-left:.8rem}
#only-ja:checked~main [lang=en],#only-en:checked~main [lang=ja]{display:none}
main [lang]{display:block}
@media print{input,label{display:none}}
""".strip()
_DISCLAIMER = Words(
    "この報告は、見たことだけを記します。医療機器としての性能や、制度上の判断を示すものではありません。",
    "This report states what was seen. It judges neither a medical device nor any scheme.",
)
_FACTS = {
    "implementation": Words("実装版名", "Implementation version name"),
    "maximum_pdu": Words("最大 PDU 長", "Maximum PDU length"),
    "tls_version": Words("TLS の版", "TLS version"),
    "cipher": Words("暗号スイート", "Cipher suite"),
    "certificate_sha256": Words("証明書の SHA-256", "SHA-256 of the certificate"),
    "certificate_ends": Words("証明書の期限", "Certificate ends"),
    "first_look": Words("最初の接続", "First connection"),
}


def write(report: Report, folder: Path) -> list[Path]:
    """Write ``report.html``, ``junit.xml`` and ``report.json`` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "report.html": as_html(report),
        "junit.xml": as_junit(report),
        "report.json": json.dumps(report.as_json(), ensure_ascii=False, indent=1) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def as_html(report: Report) -> str:
    """Return the page; the choice of language is CSS alone, no script."""
    body = [
        '<p class="mark">試験</p>',
        "<h1>" + _both(Words("受信側の試験報告", "Test report of a receiver")) + "</h1>",
        f"<p>{_both(_DISCLAIMER)}</p>",
        _summary(report),
        _facts(report),
    ]
    for area in AREAS:
        results = [result for result in report.results if result.case in area.cases]
        if results:
            body += [f"<h2>{_both(area.title)}</h2>", _table(results)]
    body.append(_left(report))
    return (
        '<!DOCTYPE html>\n<html lang="ja">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">\n"
        f"<title>todoke 試験報告 / test report {escape(report.run)}</title>\n"
        f"<style>{_STYLE}</style>\n</head>\n<body>\n"
        '<input type="radio" name="lang" id="both" checked><label for="both">日本語 + English'
        '</label><input type="radio" name="lang" id="only-ja"><label for="only-ja">日本語</label>'
        '<input type="radio" name="lang" id="only-en"><label for="only-en">English</label>\n'
        "<main>\n" + "\n".join(body) + "\n</main>\n</body>\n</html>\n"
    )


def as_junit(report: Report) -> str:
    """Return JUnit XML as CI systems read it: one suite for each area."""
    suites = []
    for area in AREAS:
        results = [result for result in report.results if result.case in area.cases]
        if results:
            suites.append(_suite(f"conformance.receiver.{area.prefix}", results, report))
    totals = _totals(report.results)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="todoke conformance receiver" {totals}>\n'
        + "\n".join(suites)
        + "\n</testsuites>\n"
    )


def _both(words: Words) -> str:
    if words.ja == words.en:
        return escape(words.ja)
    return f'<span lang="ja">{escape(words.ja)}</span><span lang="en">{escape(words.en)}</span>'


def _summary(report: Report) -> str:
    cells = "".join(
        f'<td class="{verdict}">{_both(VERDICT_WORDS[verdict])} {count}</td>'
        for verdict, count in report.counts.items()
    )
    return f'<table class="summary"><tr>{cells}</tr></table>'


def _facts(report: Report) -> str:
    document = report.as_json()
    target = report.target
    rows = [
        (Words("受信側", "Receiver"), f"{target.host}:{target.port}"),
        (Words("呼び出し先 AE", "Called AE title"), target.called_aet),
        (Words("呼び出し元 AE", "Calling AE title"), target.calling_aet),
        (Words("開始 (UTC)", "Begun (UTC)"), str(document["started"])),
        (Words("試験の番号", "Run"), report.run),
        (Words("試験キット", "Kit"), f"todoke {document['kit']}"),
    ]
    rows += [(_FACTS[key], value) for key, value in report.facts.items() if value]
    lines = "".join(
        f"<tr><th>{_both(name)}</th><td><code>{escape(value)}</code></td></tr>"
        for name, value in rows
    )
    title = _both(Words("対象", "What was tested"))
    return f'<h2>{title}</h2><table class="facts">{lines}</table>'


def _table(results: Iterable[Result]) -> str:
    head = "".join(
        f"<th>{_both(words)}</th>"
        for words in (
            Words("番号", "Id"),
            Words("結果", "Verdict"),
            Words("内容", "What is done"),
            Words("期待", "Expected"),
            Words("観測", "Observed"),
        )
    )
    return f"<table><tr>{head}</tr>{''.join(_row(result) for result in results)}</table>"


def _row(result: Result) -> str:
    case = result.case
    remark = _both(Words("要確認", "look here")) if result.remark else ""
    return (
        f'<tr id="{case.id}"><td><code>{case.id}</code></td>'
        f'<td class="{result.verdict}">{_both(VERDICT_WORDS[result.verdict])}'
        f'<span class="remark">{remark}</span></td>'
        f"<td><b>{_both(case.title)}</b>{_both(case.done)}"
        f'<span class="clauses">{escape("; ".join(case.clauses))}</span></td>'
        f"<td>{_both(case.expected)}</td><td>{_both(result.observed)}</td></tr>"
    )


def _left(report: Report) -> str:
    title = _both(Words("受信側に残したもの", "What was left at the receiver"))
    if not report.left:
        return f"<h2>{title}</h2><p>{_both(Words('なし', 'nothing'))}</p>"
    rows = "".join(
        f"<tr><td>{escape(left.label)}</td><td><code>{escape(left.patient_id)}</code></td>"
        f"<td><code>{escape(left.study_uid)}</code></td>"
        f"<td><code>{escape(left.sop_instance_uid)}</code></td></tr>"
        for left in report.left
    )
    return (
        f'<h2>{title}</h2><table class="left"><tr><th>{_both(Words("試験", "Case"))}</th>'
        "<th>Patient ID</th><th>Study Instance UID</th><th>SOP Instance UID</th></tr>"
        f"{rows}</table>"
    )


def _totals(results: Iterable[Result]) -> str:
    listed = list(results)
    count = [result.verdict for result in listed].count
    seconds = sum(result.seconds for result in listed)
    return (
        f'tests="{len(listed)}" failures="{count(Verdict.FAIL)}" '
        f'errors="{count(Verdict.ERROR)}" skipped="{count(Verdict.SKIP)}" time="{seconds:.3f}"'
    )


def _suite(name: str, results: list[Result], report: Report) -> str:
    stamp = report.started.isoformat(timespec="seconds")
    cases = "\n".join(_testcase(name, result) for result in results)
    return (
        f'<testsuite name="{name}" {_totals(results)} timestamp="{stamp}">\n{cases}\n</testsuite>'
    )


def _testcase(name: str, result: Result) -> str:
    case, words = result.case, result.observed
    title = _attribute(f"{case.id} {case.title.en}")
    line = f'<testcase classname="{name}" name={title} time="{result.seconds:.3f}">'
    properties = "".join(
        f'<property name="clause" value={_attribute(clause)}/>' for clause in case.clauses
    )
    inner = {
        Verdict.PASS: f"<system-out>{_text(words)}</system-out>",
        Verdict.FAIL: f"<failure message={_attribute(words.en)}>{_text(words)}</failure>",
        Verdict.ERROR: f"<error message={_attribute(words.en)}>{_text(words)}</error>",
        Verdict.SKIP: f"<skipped message={_attribute(words.en)}/>",
    }[result.verdict]
    return f"{line}<properties>{properties}</properties>{inner}</testcase>"


def _text(words: Words) -> str:
    return escape(_plain(f"{words.ja} / {words.en}"))


def _attribute(text: str) -> str:
    return quoteattr(_plain(text))


def _plain(text: str) -> str:
    """Leave out what XML 1.0 cannot hold: a peer's words may contain it."""
    return "".join(letter for letter in text if letter.isprintable())
