"""Request information: what is asked with images, in the one form that both ends check (RAD-01).

It travels in the opening, which is signed, so it is never lost without its images nor
they without it (UX-02).  Keys that are not known here are kept as they are, within the
bound of the whole.  Errors name the key, never its value, which may be a patient's.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import ProtocolError

LARGEST = 128 << 10  # bytes of one request as JSON
MOST_FORMS = 8
LARGEST_FORM = 20 << 20  # bytes of one request form (PDF)
LONG = 2000  # characters of a text
SHORT = 64  # of a line
PDF = "1.2.840.10008.5.1.4.1.1.104.1"  # Encapsulated PDF Storage, PS3.4 annex B.5
_UID = re.compile(r"[0-9]+(\.[0-9]+)*", re.ASCII)
_SHA = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a request.

    Attributes
    ----------
    most : int
        Characters that it may have; a line where it is `SHORT`, else a text of lines.
    """

    key: str
    ja: str
    en: str
    most: int = SHORT


#: In the order in which a reader sees them.  From ``disease`` on they are those of a
#: pathology request (WSI-09), see ``docs/reference/request.md``.
ITEMS = (
    Item("reason", "依頼内容", "What is asked", LONG),
    Item("clinical", "臨床情報", "Clinical information", LONG),
    Item("body_part", "部位", "Body part"),
    Item("doctor", "依頼医", "Requesting doctor"),
    Item("department", "診療科", "Department"),
    Item("phone", "電話", "Telephone"),
    Item("stain", "染色", "Stain"),
    Item("specimen_description", "検体", "Specimen"),
    Item("disease", "傷病名", "Disease", LONG),
    Item("history", "既往歴・家族歴", "History", LONG),
    Item("course", "症状経過・検査結果", "Course and findings", LONG),
    Item("treatment", "治療経過", "Treatment", LONG),
    Item("prescription", "現在の処方", "Prescription", LONG),
    Item("site", "採取部位", "Site of the specimen", LONG),
    Item("collected", "採取日", "Collected on"),
    Item("procedure", "採取方法", "Procedure", LONG),
    Item("gross", "肉眼所見", "Gross findings", LONG),
    Item("operation", "手術所見", "Findings at operation", LONG),
    Item("remarks", "備考", "Remarks", LONG),
)
MOST = {item.key: item.most for item in ITEMS}
URGENCY = {"緊急": "urgent", "至急": "soon", "通常": "routine"}
PURPOSE = {"診断": "diagnosis", "助言": "advice"}
#: What a request names besides its items: one who withdrew it, one who let it go, ...
_PERSONS = ("withdrawn", "released")


def forbidden(text: str) -> bool:
    """Tell whether a text holds characters that no reader can see (PS3.5 section 6.1.3)."""
    return any(
        unicodedata.category(one) in {"Cc", "Cs", "Cf"} and one not in "\r\n\t" for one in text
    )


def check(said: Any) -> None:
    """Check request information, at either end.

    Raises
    ------
    ProtocolError
        Something is of another type or longer than it may be; the cause names the key.
    """
    _require(isinstance(said, dict), "")
    try:
        size = len(json.dumps(said, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError) as failure:  # lone surrogates too
        raise ProtocolError(cause="request") from failure
    _require(size <= LARGEST, "size")
    for item in ITEMS:
        if item.key in said:
            _check_text(item, said[item.key])
    for key in _PERSONS:
        if key in said:
            _require(_texts(said[key]) and said[key].get("by") and said[key].get("reason"), key)
    if "prior" in said:
        _require(isinstance(said["prior"], dict), "prior")
        of = said["prior"].get("of")
        _require(isinstance(of, list) and len(of) <= 64 and all(map(_is_uid, of)), "prior")
    _require(type(said.get("intraoperative", False)) is bool, "intraoperative")
    if "forms" in said:
        _check_forms(said["forms"])


def _check_text(item: Item, value: Any) -> None:
    _require(isinstance(value, str) and 0 < len(value) <= item.most, item.key)
    _require(item.most == LONG or "\n" not in value, item.key)
    _require(not forbidden(value), item.key)


def _check_forms(forms: Any) -> None:
    _require(isinstance(forms, list) and len(forms) <= MOST_FORMS, "forms")
    for form in forms:
        _require(isinstance(form, dict) and _is_uid(form.get("uid")), "forms")
        _require(_SHA.fullmatch(str(form.get("sha256"))), "forms")
        length = form.get("length")
        _require(type(length) is int and 0 < length <= LARGEST_FORM, "forms")
    _require(len({form["uid"] for form in forms}) == len(forms), "forms")


def _texts(said: Any) -> bool:
    return isinstance(said, dict) and all(
        isinstance(value, str) and len(value) <= LONG and not forbidden(value)
        for value in said.values()
    )


def _is_uid(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 64 and _UID.fullmatch(value) is not None


def _require(holds: object, key: str) -> None:
    if not holds:
        raise ProtocolError(cause=f"request {key}".rstrip())


def told(request: Mapping[str, Any]) -> bool:
    """Tell whether anything is asked: without it a study is shown as 依頼情報なし."""
    return bool(request.get("forms")) or any(request.get(item.key) for item in ITEMS)


def intraoperative(request: Mapping[str, Any]) -> bool:
    """Tell whether a patient lies on the table: 術中迅速診断 waits for minutes, not for hours.

    The key ``intraoperative`` says so; so does the word 術中 in what is asked, because a
    request on paper has no other place for it.  Too early an alarm harms nobody.
    """
    if isinstance(request.get("intraoperative"), bool):
        return bool(request["intraoperative"])
    said = (request.get(key) for key in ("reason", "clinical", "procedure", "remarks"))
    return any("術中" in str(text) for text in said if text)


def is_prior(request: Mapping[str, Any]) -> bool:
    """Tell whether the images are for comparison only, 過去画像 (UX-05)."""
    return "prior" in request


def forms(request: Mapping[str, Any]) -> list[str]:
    """Return the SOP Instance UIDs of the request forms that belong to a request (UX-03)."""
    return [str(form["uid"]) for form in request.get("forms", [])]


#: Kanji of names that are written either way; for searching only, as on the pages.
VARIANTS = str.maketrans("髙﨑𠮷濵濱邉邊齋齊廣德惠", "高崎吉浜浜辺辺斎斉広徳恵")


def search_text(request: Mapping[str, Any]) -> str:
    """Return the text under which a request is found, folded by :func:`fold`."""
    return fold("\n".join(str(request[item.key]) for item in ITEMS if item.key in request))


def fold(text: str) -> str:
    """Return a text without differences of case, width, kana and common variants of kanji."""
    plain = unicodedata.normalize("NFKC", text.translate(VARIANTS)).casefold()
    return "".join(chr(ord(c) - 0x60) if "ァ" <= c <= "ヶ" else c for c in plain)


def digest(priority: str, purpose: str, request: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a request as a receipt states it, hexadecimal.

    Of ``{"priority", "purpose", "request"}`` in canonical JSON: keys sorted, no spaces,
    UTF-8.  The receiver makes it from what it keeps, the sender from what it sent.
    """
    whole = {"priority": priority, "purpose": purpose, "request": request}
    text = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def agrees(
    facts: Mapping[str, Any], priority: str, purpose: str, request: Mapping[str, Any]
) -> bool:
    """Tell whether a receipt says that the request is there as it was sent (UX-02).

    Parameters
    ----------
    facts : mapping
        Of the receipt; a receiver that does not speak of a request does not hold one.
    """
    return not request or facts.get("request") == digest(priority, purpose, request)
