"""The words of printed documents, in the order in which they are shown."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

#: Under which heading facts stand; whether a scheme covers them is for the prefecture to say.
ASPECT = "「Q&A第2版Q13の観点で確認した事実」"
NO_VERDICT = (
    "この文書は事実だけを記します。補助の対象となるかどうかは、都道府県・厚生労働省が判断します。"
)
JAPAN = timezone(timedelta(hours=9))

PURPOSES = {"diagnosis": "診断", "advice": "助言"}
PRIORITIES = {"urgent": "緊急", "soon": "至急", "routine": "通常"}
KINDS = {"dicom": "DICOM検査", "slide": "スライド (病理)"}
VIEWS = {"inside": "院内用", "outside": "提出用 (患者識別情報なし)"}
AS = {"direct": "直接伝送", "reference": "参考"}
SETS = {"radiology": "放射線", "pathology": "病理"}
ROLES = {
    "acquired": "取得画像",
    "accompanying": "付随画像",
    "accessory": "付属物",
    "non-image": "画像以外",
}
RESULTS = {
    "pass": "該当なし",
    "warn": "注意",
    "fail": "該当あり",
    "open": "未確定",
    "not applicable": "対象外",
}
PARTS = {
    "P1": "P1 取得経路",
    "P2": "P2 自己申告",
    "P3": "P3 同一性",
    "P4": "P4 遠隔性",
    "P5": "P5 完全性",
}
ESTABLISHED = {
    "yes": "確認した",
    "partly": "一部確認した",
    "no": "確認できない",
    "open": "未確認",
}
TIMES = {
    "created": "作成",
    "announced": "予告",
    "opened": "開始の通知",
    "started": "送信開始",
    "first": "最初の到着",
    "delivered": "到着",
    "closed": "完了の通知",
    "receipted": "受領",
    "finished": "終了",
    "signed": "署名",
}
EQUAL = {True: "一致", False: "不一致", None: "照合なし"}


def time(moment: Any) -> str:
    """Return a time as a document shows it: Japan's, to the second, with its offset."""
    if not moment:
        return "なし"
    at = datetime.fromisoformat(str(moment))
    return at.astimezone(JAPAN).strftime("%Y-%m-%d %H:%M:%S +09:00") if at.tzinfo else str(moment)


def size(count: int) -> str:
    """Return a number of bytes, exactly and in round figures."""
    for unit, step in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= step:
            return f"{count:,} バイト ({count / step:.1f} {unit})"
    return f"{count:,} バイト"
