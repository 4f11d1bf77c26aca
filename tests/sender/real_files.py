"""How the real files were judged by both rule sets: counts of SOP classes and makers, no more.

``python -m tests.sender.real_files [--check]`` writes docs/reference/real-files-judged.md
from real_files.json; ``--measure`` measures that anew before (needs TODOKE_REAL_DATA).
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import made_page
from common.dicom import uids
from common.errors import TodokeError
from sender import identity, ingest, judging
from sender.facts import Facts
from sender.judging import Ingest, judge
from sender.rule_kinds import SETS
from sender.rules import CURRENT

PAGE = Path("docs/reference/real-files-judged.md")
COUNTS = Path(__file__).parent / "real_files.json"
#: As if each had come from a registered device, so that only what it declares counts.
GIVEN = Ingest("A", "modality")
#: Series as a scanner of a known make wrote them, never converted: none may be held.
ACQUIRED = (
    "ct_lidc_0314_partial", "ct_philips_phantom", "mr_enhanced", "mr_siemens_multiecho",
    "mr_siemens_t1_sag",
)  # fmt: skip
MAKERS = (
    ("GE", ("ge medical", "g.e. medical", "gems", "ge healthcare")),
    ("Siemens", ("siemens",)),
    ("Philips", ("philips", "adac")),
    ("Canon / Toshiba", ("toshiba", "canon")),
    ("Fujifilm / Hitachi", ("fuji", "hitachi")),
    ("Hologic / Lorad", ("hologic", "lorad")),
    ("Acuson", ("acuson",)),
    ("SonoSite", ("sonosite",)),
    ("Esaote", ("esaote",)),
    ("Agfa", ("agfa",)),
    ("Kodak / Carestream", ("kodak", "carestream", "eastman")),
)
"""A maker is counted by its name here, so that nothing else of a file reaches the page."""
WORDS = {
    "true": "直接 / direct",
    "false": "直接ではない / not direct",
    "null": "示せない / not shown",
}
Row = dict[str, Any]


def facts_below(folder: Path) -> tuple[list[Facts], Counter[str]]:
    """Return the facts of every instance below a folder, and how many files are none, by fault."""
    found, refused = [], Counter[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of what the files hold
        for path in ingest.files_below([folder]):
            try:
                one = identity.read(path)
                if one is None:
                    refused["no DICOM"] += 1
                elif not uids.is_storable(one.facts.sop_class, one.facts.transfer_syntax, ()):
                    refused["NotCarried"] += 1
                else:
                    found.append(one.facts)
            except TodokeError as error:
                refused[type(error).__name__] += 1
    return found, refused


def measure(folder: Path) -> dict[str, Any]:
    """Judge every real file, alone, by both sets."""
    found, refused = facts_below(folder)
    rows: Counter[tuple[str, ...]] = Counter()
    for facts, count in Counter(found).items():
        verdicts = [_verdict(facts, of) for of in SETS]
        rows[(name_of(facts.sop_class), maker(facts), *verdicts)] += count
    return {
        "rule_set": CURRENT.name,
        "files": len(found) + refused.total(),
        "refused": dict(sorted(refused.items())),
        "judged": [[*key, count] for key, count in sorted(rows.items())],
    }


def _verdict(facts: Facts, of: Any) -> str:
    judgement = judge({facts: 1}, GIVEN, of=of)
    codes = [
        f"{row['id']}:{code}"
        for row in judgement["rules"]
        if row["result"] in ("fail", "warn")
        for code in row["codes"]
        if CURRENT.rule(row["id"]).outcomes[code].results[of] in ("fail", "warn")
    ]
    role = judging.role_of(facts, of)
    return f"{json.dumps(judgement['direct'])} {role} {' '.join(codes)}".strip()


def maker(facts: Facts) -> str:
    """Return whose device made it, of the makers that are known here."""
    said = " ".join(facts.manufacturers).lower()
    known = next((name for name, words in MAKERS if any(word in said for word in words)), "")
    return known or ("他 / other" if said else "無記載 / not said")


def name_of(uid: str) -> str:
    """Return the keyword of a SOP class."""
    return uids.STORAGE_CLASSES.get(uid, uid)


# -- the page -------------------------------------------------------------------

HEAD = """<!-- made by `python -m tests.sender.real_files`: measured anew with --measure -->

# 実物の判定 / How real files were judged

装置やよく知られた試験データの実物 {files} ファイルを、規則集 `{rule_set}` の2つの組で1つずつ\
判定した結果です。どれも登録した装置から来たもの (等級A) として読み、申告だけで判定します。\
件数だけを載せます。同じ画像を非可逆や派生に書き換えた試験データを多く含むので、「直接ではない」の数は\
病院での割合ではありません。

{files} real files, of devices and of well-known test sets, each judged alone by both sets of
`{rule_set}`, as if it had come from a registered device (grade A): only what it declares counts.
There are counts here and nothing else. Many are test files that hold one image re-encoded lossily
or as derived, so the share of "not direct" says nothing of a hospital.

読めない・画像でないもの / unreadable or no images: {refused}
"""
COLUMNS = (
    "SOPクラス / SOP class", "メーカー / Maker", "数 / Files", "放射線 / Radiology",
    "病理 / Pathology",
)  # fmt: skip
HELD = """
## 直接ではないとされたCT・MR / CT and MR judged not direct

実物のCT・MRで直接ではないとされたものの理由です。どれもファイル自身が、非可逆、派生または二次と述べて\
います。撮影されたままのCT・MRで止まるものがあれば、規則の誤りです。

Why real CT and MR were judged not to be direct. Each says of itself that it is lossy, derived or
secondary. If CT or MR as it was acquired were held, the rules would be wrong.

| SOPクラス / SOP class | 理由 / Reason | 数 / Files |
|---|---|---|
"""
CT_AND_MR = {"CTImageStorage", "MRImageStorage", "EnhancedCTImageStorage", "EnhancedMRImageStorage"}


def known() -> dict[str, Any]:
    """Return what was measured when the page was made."""
    counts: dict[str, Any] = json.loads(COUNTS.read_text("utf-8"))
    return counts


def page() -> str:
    """Return the page."""
    counts = known()
    refused = ", ".join(f"{name} {count}" for name, count in counts["refused"].items())
    text = HEAD.format(**{**counts, "refused": refused})
    text += f"\n| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
    for kind, made_by, radiology, pathology, count in counts["judged"]:
        cells = (kind, made_by, str(count), _cell(radiology), _cell(pathology))
        text += f"| {' | '.join(cells)} |\n"
    return text + HELD + "".join(_held(counts["judged"]))


def _cell(verdict: str) -> str:
    direct, role, *codes = verdict.split(" ")
    return f"{WORDS[direct]}, {role}{': ' if codes else ''}{', '.join(codes)}"


def _held(judged: list[Any]) -> Iterator[str]:
    reasons: Counter[tuple[str, str]] = Counter()
    for kind, _, radiology, _, count in judged:
        direct, _, *codes = radiology.split(" ")
        if kind in CT_AND_MR and direct != "true":
            reasons[kind, ", ".join(codes)] += count
    for (kind, reason), count in sorted(reasons.items()):
        yield f"| {kind} | {reason} | {count} |\n"


def main(arguments: list[str] | None = None) -> int:
    """Measure if asked to, and write the page, or compare it."""
    given = sys.argv[1:] if arguments is None else arguments
    if "--measure" in given:
        given = [one for one in given if one != "--measure"]
        counts = measure(Path(os.environ["TODOKE_REAL_DATA"]) / "dicom")
        COUNTS.write_text(json.dumps(counts, ensure_ascii=False, indent=1) + "\n", "utf-8")
    return made_page.keep(PAGE, page, __doc__, "tests.sender.real_files", given)


if __name__ == "__main__":
    sys.exit(main())
