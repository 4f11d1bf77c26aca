"""Which rule finds which forged case: the confusion matrix, measured (DIR-14).

``python -m tests.sender.rule_matrix [--check]`` writes docs/reference/rules.md: every case
of samples/forged is read as a job that a registered modality has sent, and what rules
and checks say of it stands in the row, next to what the sample's list expects.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import made_page
from common.errors import ProgramToo
from common.states import TransferState
from samples.forged import CASES, Case, write_case
from sender import declaring, identity, ingest, judging
from sender.declaring import House
from sender.outbox import Job
from sender.rule_kinds import SETS, WORST, SetName
from sender.rules import CURRENT

PAGE = Path("docs/reference/rules.md")
SEED = 1
IDS = tuple(rule.id for rule in CURRENT.rules)
#: Two institutions, so that R11 has something to compare.
HOUSE = House(own="0110000001", code_of=lambda _partner: "0110000002")
#: Requirement whose check a fault (by its class) or a note (by its id) belongs to.
CHECKS = {
    "MixedPatients": "DAT-04",
    "PatientsDiffer": "DAT-04",
    "SameInstance": "DAT-05",
    "SameUidOtherContent": "DAT-05",
    "ProgramToo": "DAT-14",
    "tiff-too": "DAT-14",
    "name-guessed": "CHR-05",
}
SIGNS = {"warn": "△", "fail": "×", "open": "…", "pass": "・", "not applicable": ""}


@dataclass(slots=True)
class Seen:
    """What was found out about one case.

    Attributes
    ----------
    rules : dict
        Worst result of each rule over the case's transfers.
    direct : dict
        By set, what the images alone come to when that set judges them.
    goes : bool
        Every file went, as direct image data; a copy of one that goes aside.
    """

    rules: dict[str, str] = field(default_factory=dict)
    checks: set[str] = field(default_factory=set)
    direct: dict[SetName, bool | None] = field(default_factory=dict)
    of: str = ""
    goes: bool = True

    @property
    def said(self) -> dict[str, str]:
        """Rules that warn or fail."""
        return {rule: one for rule, one in self.rules.items() if one in ("warn", "fail")}


def look(case: Case, folder: Path) -> Seen:
    """Write a case and send it as far as the outbox."""
    target, _ = write_case(case, folder, SEED)
    job = Job(1, "partner", [str(target)], {"source": "modality:CT1"}, "", scanned=False, found=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of names that are declared wrongly
        found = ingest.scan(job, house=HOUSE)
        read = [_read(path) for path in sorted(target.iterdir())]
    seen = Seen(goes=bool(found.transfers))
    for _, error in found.refused:
        seen.checks.add(CHECKS[type(error).__name__])
        seen.goes = seen.goes and type(error).__name__ == "SameInstance"
    for values, _ in found.transfers:
        _transfer(values, seen)
    kinds = declaring.counted([one.facts for one in read if one is not None])
    by = declaring.ingest_of(job, HOUSE, scanned=False)
    seen.direct = {of: judging.judge(kinds, by, of=of)["direct"] for of in SETS}
    return seen


def _read(path: Path) -> identity.Identity | None:
    try:
        return identity.read(str(path))
    except ProgramToo:
        return None


def _transfer(values: dict[str, Any], seen: Seen) -> None:
    judgement = json.loads(values["judgement"])
    seen.of = judgement["set"]
    for row in judgement["rules"]:
        known = seen.rules.get(row["id"], "not applicable")
        worst = max(known, row["result"], key=WORST.index)
        seen.rules[row["id"]] = worst
    for note in json.loads(values["request"]).get("notes", []):
        if note["id"] in CHECKS:
            seen.checks.add(CHECKS[note["id"]])
    held = values["state"] == TransferState.HELD
    if held:
        number = json.loads(values["error"])["number"]
        seen.checks.update(check for name, check in CHECKS.items() if number == _number(name))
    seen.goes = seen.goes and not held and judgement["direct"] is True


def _number(name: str) -> str:
    from common import errors

    return str(getattr(getattr(errors, name, None), "number", ""))


def matrix(folder: Path) -> dict[str, Seen]:
    """Look at every case."""
    return {case.name: look(case, folder) for case in CASES}


# -- the page -------------------------------------------------------------------

HEAD = """<!-- made by `python -m tests.sender.rule_matrix`: cases and what is expected of them stand in samples/forged/cases.py -->

# 規則と見本 / Rules and samples

規則集 `{rules}` を、`todoke samples make DIR --only forged` が作るすべての例に当てた結果です。\
どれも登録した装置からのC-STORE (等級A) として読むので、行にあるのは画像そのものの申告から分かる\
ことだけです。経路 (R9)、送信中の変換 (R7)、受領証 (R10)、相手 (R11)、画面 (R12) は画像からは決まりません。

What the rule set `{rules}` says of every case that `todoke samples make DIR --only forged` writes.
Each is read as sent by a registered device (grade A), so a row holds only what the objects
themselves give away; the path (R9), transcoding (R7), receipt (R10), the other institution (R11)
and screens (R12) are not in the images.

× 不合格 / fails、△ 注意 / warns、・ 合格 / passes、… 未定 / open、空白は対象外 / blank: not applicable
"""  # noqa: E501 - a row of Markdown
CONFUSION = """
## 正誤 / Confusion

| | 直接伝送として送る / goes as direct | 送らない / does not |
|---|---|---|
"""
MISSED = """
## 止められないもの / What nothing stops

次の例は、直接伝送の画像ではないのに、そうとして送られます。△のあるものには注意が付きます。画像そのもの\
からは決められないものなので、経路 (P1) と、両端が署名したダイジェストを合わせて読みます。\
装置や院内のアーカイブの中で起きたことは、記録も示しません。

These are no directly transmitted image data and go as such; those with △ carry a warning. The
objects do not give it away, so the rules are read together with the path (P1) and with the digests
that both ends sign. What happened inside the device or the archive, no record shows either.

"""
SET_HEAD = """
## 2つの規則の組 / The two sets

同じファイルが、放射線と病理で違う結果になるもの (DIR-05)。

The same files, judged otherwise by radiology and by pathology (DIR-05).

| 例 / Case | 放射線 / Radiology | 病理 / Pathology |
|---|---|---|
"""
DIRECT = {
    True: "直接 / direct",
    False: "直接ではない / not direct",
    None: "示せない / not shown",
}


def page() -> str:
    """Return the page, measured anew."""
    with tempfile.TemporaryDirectory() as folder:
        return render(matrix(Path(folder)))


def render(seen: dict[str, Seen]) -> str:
    """Return the page of what was seen."""
    text = HEAD.format(rules=CURRENT.name)
    text += "".join(_rules())
    text += "\n## 例ごとの結果 / Case by case\n\n"
    columns = (
        "例 / Case",
        "内容 / What it is",
        "あるべき姿 / Ought to go",
        *IDS,
        "検査 / Checks",
        "送る / Goes",
    )
    text += f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    text += "".join(_row(case, seen[case.name]) for case in CASES)
    text += CONFUSION + "".join(_confusion(seen))
    text += MISSED + "".join(
        f"- `{case.name}` {case.ja} / {case.en}{_warned(seen[case.name])}\n"
        for case in CASES
        if seen[case.name].goes and not case.expected.fit
    )
    return text + SET_HEAD + "".join(_sets(seen))


def _rules() -> Iterator[str]:
    yield "\n| 規則 / Rule | |\n|---|---|\n"
    for rule in CURRENT.rules:
        yield f"| {rule.id} | {rule.title.ja} / {rule.title.en} |\n"


def _row(case: Case, seen: Seen) -> str:
    cells = (
        f"`{case.name}`",
        f"{case.ja} / {case.en}",
        _yes(case.expected.fit),
        *(SIGNS[seen.rules.get(rule, "not applicable")] for rule in IDS),
        ", ".join(sorted(seen.checks)),
        _yes(seen.goes),
    )
    return f"| {' | '.join(cells)} |\n"


def _yes(is_so: bool) -> str:
    return "はい / yes" if is_so else "いいえ / no"


def _confusion(seen: dict[str, Seen]) -> Iterator[str]:
    rows = (
        (True, "直接伝送の画像 / directly transmitted"),
        (False, "そうでないもの / anything else"),
    )
    for fit, words in rows:
        goes = [seen[case.name].goes for case in CASES if case.expected.fit is fit]
        yield f"| {words} | {sum(goes)} | {len(goes) - sum(goes)} |\n"


def _warned(seen: Seen) -> str:
    return f" (△ {', '.join(seen.said)})" if seen.said else ""


def _sets(seen: dict[str, Seen]) -> Iterator[str]:
    for name, one in seen.items():
        if len(set(one.direct.values())) > 1:
            yield f"| `{name}` | {DIRECT[one.direct['radiology']]} |"
            yield f" {DIRECT[one.direct['pathology']]} |\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or compare it."""
    return made_page.keep(PAGE, page, __doc__, "tests.sender.rule_matrix", arguments)


if __name__ == "__main__":
    sys.exit(main())
