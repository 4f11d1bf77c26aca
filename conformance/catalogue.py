"""The page of cases, ``docs/reference/conformance-cases.md``, made from the cases themselves.

``python -m conformance.catalogue`` writes it; a test compares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from conformance.case import NEED_WORDS, Case
from conformance.cases import AREAS, CASES

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "conformance-cases.md"
_HEAD = """# 試験項目 / Conformance cases

<!-- made by `python -m conformance.catalogue`; do not edit -->

`todoke conformance receiver` が行う試験です。番号は変わらず、再び使われることもありません。
What `todoke conformance receiver` does. An id never changes and is never used again.

結果は合格、不合格、省略 (理由つき)、試験できず、の四つです。
合格でも見てほしいことには「要確認」が付きます。
A case ends in pass, fail, skip (with the reason) or error; a pass may carry a remark.
"""


def as_json() -> list[dict[str, Any]]:
    """Return the catalogue for machines."""
    return [
        {
            "id": case.id,
            "title": case.title._asdict(),
            "clauses": list(case.clauses),
            "done": case.done._asdict(),
            "expected": case.expected._asdict(),
            "needs": [str(need) for need in case.needs],
        }
        for case in CASES
    ]


def render() -> str:
    """Return the page in Markdown."""
    lines = [_HEAD]
    for area in AREAS:
        lines += [f"## {area.prefix}: {area.title.ja} / {area.title.en}", ""]
        for case in area:
            lines += _entry(case)
    return "\n".join(lines)


def _entry(case: Case) -> list[str]:
    entry = [
        f"### {case.id} {case.title.ja} / {case.title.en}",
        "",
        f"- 根拠 / clauses: {', '.join(case.clauses)}",
        f"- 内容 / done: {case.done.ja} / {case.done.en}",
        f"- 期待 / expected: {case.expected.ja} / {case.expected.en}",
    ]
    for need in case.needs:
        entry.append(
            f"- できない場合 / not done when: {NEED_WORDS[need].ja} / {NEED_WORDS[need].en}"
        )
    return [*entry, ""]


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
