"""The columns of a request file, and what may stand in them.

What does not fit is refused with the name of its column, never mended: the words of
an error hold no value, which may be a patient's.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from common import request
from common.link import PRIORITIES, PURPOSES
from sender.requests.text import LOST, PRIVATE


class Wrong(ValueError):
    """A value cannot be what its column says; its words name the reason, not the value."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes
    ----------
    names : tuple of str
        Heads under which it is known, the first one is ours.
    """

    key: str
    names: tuple[str, ...]
    read: Callable[[str], Any]


def _text(most: int) -> Callable[[str], str]:
    def read(value: str) -> str:
        if len(value) > most:
            raise Wrong(f"{most} 文字を超えています / longer than {most} characters")
        return value

    return read


def _identifier(value: str) -> str:
    """Return an identifier as it stands (LO or SH): no leading zero is put back or taken off."""
    value = _text(64)(value)
    if "\\" in value or "\n" in value:
        raise Wrong("円記号 (\\) か改行があります / has a backslash or a line break")
    if unicodedata.normalize("NFKC", value) != value:
        raise Wrong("全角の英数字や半角カナがあります。半角の英数字で / write it half-width")
    if re.fullmatch(r"\d(\.\d+)?E\+\d+", value, re.I):
        raise Wrong("表計算が数に変えています。文字列で / made a number by the spreadsheet")
    return value


def _short(value: str) -> str:
    if len(_identifier(value)) > 16:  # SH, PS3.5 section 6.2
        raise Wrong("16 文字を超えています / longer than 16 characters")
    return value


def _name(value: str) -> str:
    """Return one group of a name, or all of them where ``=`` or ``^`` stands (PS3.5 6.2.1)."""
    if "\\" in value or "\n" in value or any(len(group) > 64 for group in value.split("=")):
        raise Wrong("氏名にできません / cannot be a name")
    if "?" in value or "？" in value:  # what CP932 cannot hold (𠮷) is saved as a question mark
        raise Wrong(
            "文字が失われています (?)。UTF-8 の CSV で保存し直してください"
            " / a character was lost; save as CSV UTF-8"
        )
    if value.count("=") > 2:
        raise Wrong("= が3つ以上あります / more than three groups")
    if "=" in value or "^" in value:
        return value
    return "^".join(value.split())


_ERAS = {
    "明治": 1867, "M": 1867, "大正": 1911, "T": 1911, "昭和": 1925, "S": 1925,
    "平成": 1988, "H": 1988, "令和": 2018, "R": 2018,
}  # fmt: skip
_ERA = re.compile(
    rf"({'|'.join(_ERAS)})\s*(\d{{1,2}}|元)[年./-](\d{{1,2}})[月./-](\d{{1,2}})日?", re.ASCII | re.I
)
_WESTERN = re.compile(
    r"(\d{4})[年/.-](\d{1,2})[月/.-](\d{1,2})日?(?:\s+0?0:00(?::00)?)?|(\d{4})(\d\d)(\d\d)",
    re.ASCII,
)


def _date(value: str) -> str:
    """Return DA: of ``1950-04-01``, ``1950/4/1``, ``19500401``, ``昭和25年4月1日``, ``S25.4.1``."""
    value = unicodedata.normalize("NFKC", value)
    if found := _ERA.fullmatch(value):
        years = 1 if found[2] == "元" else int(found[2])
        parts = (_ERAS[found[1].upper()] + years, int(found[3]), int(found[4]))
    elif found := _WESTERN.fullmatch(value):
        year, month, day = (part for part in found.groups() if part)
        parts = (int(year), int(month), int(day))
    else:
        raise Wrong("日付として読めません (例 1950-04-01、昭和25年4月1日) / no date")
    try:
        born = date(*parts)
    except ValueError:
        raise Wrong("暦にない日付です / no such day") from None
    if not date(1860, 1, 1) <= born <= date.today():
        raise Wrong("ありえない日付です / not a possible day of birth")
    return born.strftime("%Y%m%d")


def _one_of(words: Mapping[str, str]) -> Callable[[str], str]:
    def read(value: str) -> str:
        known = words.get(unicodedata.normalize("NFKC", value).lower())
        if known is None:
            raise Wrong(f"{' | '.join(words)}")
        return known

    return read


_SEX = {"男": "M", "女": "F", "男性": "M", "女性": "F", "m": "M", "f": "F", "male": "M",
        "female": "F", "その他": "O", "other": "O", "o": "O"}  # fmt: skip
_PRIORITY = {one: one for one in PRIORITIES} | {
    "術中迅速": "urgent", "術中": "urgent", "迅速": "urgent", "intraoperative": "urgent",
    "緊急": "urgent", "至急": "soon", "通常": "routine",
}  # fmt: skip
#: Words of urgency that say more: a patient lies on the table.
_ON_THE_TABLE = {"術中迅速", "術中", "迅速", "intraoperative"}
_PURPOSE = {one: one for one in PURPOSES} | request.PURPOSE


def _line(value: str) -> str:
    if "\n" in value:
        raise Wrong("改行があります / has a line break")
    return _text(request.SHORT)(value)


def _asked(key: str, *names: str) -> Column:
    """Return the column of an item that is told to the reader."""
    lines = request.MOST[key] == request.LONG
    return Column(key, (*names, key), _text(request.LONG) if lines else _line)


def spacing(value: str | float) -> float:
    """Return a pixel size in micrometres.

    Raises
    ------
    Wrong
        It is none that an objective has.
    """
    try:
        um = float(value)
    except ValueError:
        um = math.nan
    if not 0.001 <= um <= 1000:
        raise Wrong("µm/画素の数ではありません (例 0.25) / no pixel size in µm")
    return um


COLUMNS = (
    Column("file", ("ファイル名", "ファイル", "スライドファイル", "file", "filename"), _text(255)),
    Column("case", ("症例番号", "症例", "症例ID", "case"), _text(64)),
    Column("patient_id", ("患者ID", "患者番号", "カルテ番号", "patient_id", "patientid"),
           _identifier),
    Column("name", ("患者名", "患者氏名", "氏名", "漢字氏名", "patient_name", "patientname"),
           _name),
    Column("kana", ("フリガナ", "カナ", "患者カナ", "カナ氏名", "kana"), _name),
    Column("roman", ("ローマ字", "ローマ字氏名", "roman"), _name),
    Column("birth_date", ("生年月日", "birth_date", "birthdate"), _date),
    Column("sex", ("性別", "sex"), _one_of(_SEX)),
    Column("accession_number", ("受付番号", "依頼番号", "accession", "accession_number"), _short),
    Column("container_id", ("標本番号", "スライド番号", "container", "container_id"), _identifier),
    Column("specimen_description", ("検体", "材料", "臓器", "specimen"), _line),
    _asked("stain", "染色", "染色法"),
    _asked("reason", "依頼内容", "依頼目的", "紹介目的"),
    _asked("clinical", "臨床情報", "臨床診断", "臨床所見"),
    _asked("body_part", "部位", "検査部位"),
    _asked("department", "診療科"),
    _asked("doctor", "依頼医"),
    _asked("phone", "電話", "電話番号", "連絡先", "telephone"),
    _asked("disease", "傷病名"),
    _asked("history", "既往歴・家族歴", "既往歴及び家族歴", "既往歴および家族歴", "既往歴"),
    _asked("course", "症状経過・検査結果", "症状経過及び検査結果", "症状経過", "臨床経過"),
    _asked("treatment", "治療経過"),
    _asked("prescription", "現在の処方"),
    _asked("site", "採取部位"),
    _asked("collected", "採取日", "検体採取日"),
    _asked("procedure", "採取方法", "採取法"),
    _asked("gross", "肉眼所見"),
    _asked("operation", "手術所見"),
    _asked("remarks", "備考"),
    Column("priority", ("緊急度", "priority", "urgency"), _one_of(_PRIORITY)),
    Column("purpose", ("目的", "purpose"), _one_of(_PURPOSE)),
    Column("spacing_um", ("画素間隔", "spacing", "spacing_um"), spacing),
)  # fmt: skip


def _head(text: str) -> str:
    return re.sub(r"[\s_　]", "", unicodedata.normalize("NFKC", text)).lower()


_BY_HEAD = {_head(name): column for column in COLUMNS for name in column.names}


def column(head: str) -> Column | None:
    """Return the column of a head, whatever its case, width and spaces; None where unknown."""
    return _BY_HEAD.get(_head(head))


def read(known: Column, value: str) -> Any:
    """Return what a cell says, None where it is empty.

    Raises
    ------
    Wrong
    """
    value = unicodedata.normalize("NFC", value).strip()
    if quoted := re.fullmatch(r'="([^"]*)"', value):  # how Excel is made to keep leading zeros
        value = quoted[1].strip()
    if not value:
        return None
    if LOST.search(value) or PRIVATE.search(value):
        raise Wrong(
            "文字が失われているか外字です。UTF-8 の CSV で保存し直してください"
            " / lost or private-use characters; save as CSV UTF-8"
        )
    if request.forbidden(value):
        raise Wrong("制御文字があります / has control characters")
    return known.read(re.sub(r"\r\n?", "\n", value))


def more(known: Column, value: str) -> dict[str, Any]:
    """Return what a cell says besides the value of its own column, by key.

    An urgency of 術中 is urgent, and its alarms come after minutes (WSI-11).
    """
    folded = unicodedata.normalize("NFKC", value).strip().lower()
    on_the_table = known.key == "priority" and folded in _ON_THE_TABLE
    return {"intraoperative": True} if on_the_table else {}


def person_name(words: Mapping[str, Any]) -> str | None:
    """Return the name with its groups from the columns of a row (PS3.5 section 6.2.1)."""
    name, kana, roman = (str(words.get(key) or "") for key in ("name", "kana", "roman"))
    if not (kana or roman) and ("=" in name or name.isascii()):
        return name or None  # a whole PN, or one in Latin letters
    if name.isascii() and not roman:
        name, roman = "", name
    return "=".join((roman, name, kana)).rstrip("=") or None
