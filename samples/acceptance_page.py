"""An acceptance record on one A4 page, to be printed, dated and signed by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from common.paper import font, words
from common.paper.sheet import Cell, Sheet
from common.states import WORDS, TransferState

_THREE = (0.42, 0.13, 0.45)
ENDS = {
    "installed": "導入された送信側から、登録された受信側へ",
    "pair": "この機械に試験用に設けた送信側から受信側へ",
}


def pdf(record: Mapping[str, Any], text: bytes) -> bytes:
    """Return the page of an acceptance record.

    Parameters
    ----------
    record : mapping
        Of :meth:`samples.acceptance.Run.as_json`.
    text : bytes
        Its file, whose SHA-256 the page names.

    Raises
    ------
    DocumentTooLong, FontMissing
    """
    digest = hashlib.sha256(text).hexdigest()
    sheet = Sheet(
        title="検収記録",
        subtitle="todoke: 合成サンプルによる、依頼側から支援側までの送受信の確認",
        made=datetime.fromisoformat(record["at"]),
        test=True,
        code=f"todoke-acceptance:{digest}",
    )
    _software(sheet, record)
    sheet.section("確認した項目")
    for point in record["points"]:
        holds = point["holds"]
        sheet.row(
            Cell(point["ja"]),
            Cell("確認した" if holds else "確認できない", bold=not holds),
            Cell(point["detail"], size=7),
            widths=_THREE,
        )
    _transfers(sheet, record["transfers"])
    sheet.section("結果")
    failed = [point["ja"] for point in record["points"] if not point["holds"]]
    sheet.sentence(
        f"確認できない項目: {'、'.join(failed)}" if failed else "すべての項目を確認しました。", 10
    )
    sheet.sentence(record["not_shown"])
    sheet.fact("確認した者 (署名)", " ", "日付", " ")
    sheet.fact("記録の SHA-256", digest)
    sheet.foot += [words.NO_VERDICT, f"作成 todoke  フォント {font.NAMED}"]
    return sheet.pdf()


def _software(sheet: Sheet, record: Mapping[str, Any]) -> None:
    software, install = record["software"], record["install"]
    sheet.section("導入")
    sheet.fact("日時", words.time(record["at"]), "操作者", record["operator"])
    sheet.fact("経路", ENDS[record["ends"]])
    if install:
        institution = install["institution"]
        sheet.fact(
            "施設", f"{institution['name']}  {institution['code']}", "役割", install["role"]["ja"]
        )
        sheet.fact("導入日時", words.time(install["date"]), "導入者", install["operator"])
        sheet.fact("機械", install["host"], "OS", record["machine"]["system"])
        sheet.fact("署名鍵 SHA-256", install["signing_certificate_sha256"])
    sheet.fact("版", f"todoke {software['version']}", "コミット", software["commit"] or "記録なし")
    sheet.fact("SBOM SHA-256", software["sbom"] or "記録なし")


def _transfers(sheet: Sheet, transfers: list[Mapping[str, Any]]) -> None:
    sheet.section("送ったもの")
    if not transfers:
        sheet.sentence("何も送られませんでした。")
    for one in transfers:
        error = (one.get("error") or {}).get("ja", "")
        sheet.row(
            Cell(f"{words.KINDS[one['kind']]}  {one['instances']} 件", size=7.5),
            Cell(WORDS[TransferState(one["state"])].ja, size=7.5),
            Cell(
                f"{words.size(one['bytes'])}  照合 {words.EQUAL[one['digests_equal']]}  "
                f"{one['id']} {error}",
                size=7,
            ),
            widths=_THREE,
        )
