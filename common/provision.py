"""第三者提供に係る記録: what was given to a third party, or taken from one (AUD-08).

Act on the Protection of Personal Information (個人情報保護法) 29 for who gives and 30 for who
receives; what a record holds is in its 施行規則 20 and 24.  Each row says only what this end
has kept: what it does not know, it says that it does not know.  Whether a record is owed is
told by the legal basis that was kept of the transfer, and by nothing else.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, tzinfo
from typing import Any

from common import usage
from common.dicom import person_name
from common.errors import UsageError
from common.proof.identity import Institution
from common.states import WORDS, TransferState

VERSION = 1
GIVEN, RECEIVED = "given", "received"
REQUIRED, EXEMPT, UNKNOWN = "required", "exempt", "unknown"
NOT_KNOWN = ("記録なし", "not recorded")

#: By legal basis: whether a record is owed, and why (ja, en).
DUTIES: Mapping[str | None, tuple[str, str, str]] = {
    "posted": (
        REQUIRED,
        "法27条1項本文: 本人の同意による提供 (院内掲示による黙示の同意)",
        "Article 27(1): with the person's consent, implied by what is posted",
    ),
    "explicit": (
        REQUIRED,
        "法27条1項本文: 本人の同意による提供 (明示の同意)",
        "Article 27(1): with the person's explicit consent",
    ),
    "emergency": (
        EXEMPT,
        "法29条1項ただし書: 法27条1項2号 (人の生命・身体の保護、同意を得ることが困難)",
        "Article 29(1) proviso: Article 27(1)(ii), life or body, consent hard to obtain",
    ),
    "law": (
        EXEMPT,
        "法29条1項ただし書: 法27条1項1号 (法令に基づく)",
        "Article 29(1) proviso: Article 27(1)(i), required by law",
    ),
    None: (
        UNKNOWN,
        "提供の根拠がこの施設の記録にない",
        "this end has kept no legal basis",
    ),
}
DUTY_WORDS = {
    REQUIRED: ("要", "owed"),
    EXEMPT: ("対象外", "exempt"),
    UNKNOWN: ("判断できない", "cannot be told"),
}
#: What the rows cannot decide: a person of the hospital does.
NOTES = (
    (
        "相手が国の機関・地方公共団体・独立行政法人等 (法16条2項各号) か、委託・共同利用"
        " (法27条5項各号) にあたるか、本人に代わる提供にあたるかは、ここに記録されて"
        "いません。あたるものは記録義務の対象外です。",
        "Not kept here: whether the third party is a public body (Article 16(2)), whether it is"
        " entrusted or shares the use (Article 27(5)), or is given the data on the person's"
        " behalf. Of those no record is owed.",
    ),
    (
        "住所と代表者の氏名、受信側では提供の根拠と取得の経緯は、この製品が記録しない事項です。"
        "契約書などで補ってください。",
        "Address and representative, and at the receiving end the legal basis and how the data"
        " were acquired, are not kept by this product: add them from your agreements.",
    ),
)
#: Items of personal data, by tag: told by name, never by value.
_ITEMS = {
    "00100020": ("患者ID", "Patient ID"),
    "00100010": ("氏名", "name"),
    "00100030": ("生年月日", "birth date"),
    "00100040": ("性別", "sex"),
    "00101010": ("年齢", "age"),
    "00101020": ("身長", "height"),
    "00101030": ("体重", "weight"),
    "00080020": ("検査日", "study date"),
    "00081030": ("検査名", "study description"),
    "00080090": ("依頼医", "referring physician"),
}
_HEADS: Mapping[str, tuple[str, str]] = {
    "date": ("年月日", "date"),
    "third_party": ("第三者の名称", "third party"),
    "third_party_code": ("第三者の医療機関コード", "its institution code"),
    "address": ("第三者の住所", "its address"),
    "representative": ("第三者の代表者", "its representative"),
    "patient_id": ("本人: 患者ID", "person: Patient ID"),
    "issuer": ("本人: 患者IDの発行者", "person: issuer of the ID"),
    "name": ("本人: 氏名", "person: name"),
    "birth_date": ("本人: 生年月日", "person: birth date"),
    "sex": ("本人: 性別", "person: sex"),
    "items": ("個人データの項目", "items of personal data"),
    "consent": ("同意・根拠", "consent or legal basis"),
    "decided_by": ("根拠を定めた者", "basis decided by"),
    "acquired": ("取得の経緯", "how it was acquired"),
    "duty": ("記録義務", "record owed"),
    "reason": ("その理由", "why"),
    "purpose": ("目的", "purpose"),
    "state": ("状態", "state"),
    "transfer": ("伝送の番号", "transfer"),
    "study_uid": ("検査UID", "study UID"),
}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_BY = {"site": ("施設の設定", "the site's setting"), "job": ("送信ごとの指定", "this transmission")}


@dataclass(frozen=True, slots=True)
class Provision:
    """One transfer, as a record of provision tells it.

    Attributes
    ----------
    moment : str
        When all had been given or received, else when it began; ISO 8601 with offset.
    third_party : tuple of (code, name)
    attributes : mapping
        DICOM JSON model of patient and study, as the opening of the transfer told it.
    images : int
        Instances that reached the other end.
    basis : mapping
        As the sender kept it; empty where it is not known.
    institution : str or None
        Where the images say that they were made (0008,0080).
    """

    moment: str
    third_party: tuple[str, str]
    attributes: Mapping[str, Any]
    modality: str
    images: int
    asked: bool
    purpose: str
    state: TransferState
    transfer: str
    study: str
    basis: Mapping[str, Any] = field(default_factory=dict)
    institution: str | None = None

    def row(self, end: str, of: int, zone: tzinfo | None) -> dict[str, str]:
        """Return the row in one language (0 ja, 1 en), without what this end has no column for."""
        unknown = NOT_KNOWN[of]
        duty, *why = DUTIES.get(self.basis.get("code"), DUTIES[None])
        said = self.basis.get("ja" if of == 0 else "en")
        by = _BY.get(str(self.basis.get("by")), NOT_KNOWN)
        made = ("画像に記された施設: ", "institution in the images: ")[of]
        known = {
            "date": datetime.fromisoformat(self.moment).astimezone(zone).date().isoformat(),
            "third_party": self.third_party[1] or unknown,
            "third_party_code": self.third_party[0] or unknown,
            "address": unknown,
            "representative": unknown,
            "patient_id": _text(self.attributes, "00100020") or unknown,
            "issuer": _text(self.attributes, "00100021") or unknown,
            "name": _name(self.attributes) or unknown,
            "birth_date": _text(self.attributes, "00100030") or unknown,
            "sex": _text(self.attributes, "00100040") or unknown,
            "items": self._items(of),
            "consent": str(said) if said else unknown,
            "decided_by": by[of],
            "acquired": made + self.institution if self.institution else unknown,
            "duty": DUTY_WORDS[duty][of],
            "reason": why[of],
            "purpose": usage.PURPOSES.get(self.purpose, (self.purpose,) * 2)[of],
            "state": (WORDS[self.state].ja, WORDS[self.state].en)[of],
            "transfer": self.transfer,
            "study_uid": self.study,
        }
        without = {"acquired"} if end == GIVEN else {"decided_by"}
        return {key: value for key, value in known.items() if key not in without}

    def _items(self, of: int) -> str:
        known = [words[of] for tag, words in _ITEMS.items() if _has(self.attributes, tag)]
        count = (
            f"画像 ({self.modality}) {self.images} 件",
            f"{self.images} {self.modality} images",
        )
        known.append(count[of])
        if self.asked:
            known.append(("依頼情報", "request information")[of])
        return ("、", ", ")[of].join(known)

    def as_json(self, end: str, zone: tzinfo | None) -> dict[str, Any]:
        """Return the row for ``--json``: null where it is not known."""
        ja, en = (self.row(end, of, zone) for of in (0, 1))
        duty, *why = DUTIES.get(self.basis.get("code"), DUTIES[None])
        plain = {key: None if value == NOT_KNOWN[0] else value for key, value in ja.items()}
        basis = dict(self.basis) or None
        return plain | {
            "moment": self.moment,
            "images": self.images,
            "modality": self.modality,
            "purpose": self.purpose,
            "state": str(self.state),
            "items": {"ja": ja["items"], "en": en["items"]},
            "consent": basis,
            "duty": duty,
            "reason": {"ja": why[0], "en": why[1]},
        }


@dataclass(frozen=True, slots=True)
class Records:
    """The records of provision of one end in a span of days.

    Attributes
    ----------
    end : str
        `given` (Article 29) or `received` (Article 30).
    first, last : str
        YYYY-MM-DD, by the clock of the place; empty for no bound.
    tests : int
        Transfers marked 試験, which are of nobody: they have no row.
    """

    end: str
    institution: Institution
    first: str
    last: str
    rows: Sequence[Provision]
    tests: int
    zone: tzinfo | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what ``--json`` shows."""
        return {
            "version": VERSION,
            "end": self.end,
            "article": "29" if self.end == GIVEN else "30",
            "institution": asdict(self.institution),
            "from": self.first or None,
            "to": self.last or None,
            "records": [row.as_json(self.end, self.zone) for row in self.rows],
            "tests": self.tests,
            "notes": [{"ja": ja, "en": en} for ja, en in NOTES],
        }

    def csv(self, language: str) -> bytes:
        """Return the table for a spreadsheet: UTF-8 with BOM, CRLF, one row a transfer."""
        of = 1 if language == "en" else 0
        out = io.StringIO(newline="")
        table = csv.writer(out)
        rows = [row.row(self.end, of, self.zone) for row in self.rows]
        table.writerow(self.heads(of))
        table.writerows([usage.cell(value) for value in row.values()] for row in rows)
        return out.getvalue().encode("utf-8-sig")

    def heads(self, of: int) -> list[str]:
        """Return the heads of the columns in one language (0 ja, 1 en)."""
        day = ("提供年月日", "date given") if self.end == GIVEN else ("受領年月日", "date received")
        without = "acquired" if self.end == GIVEN else "decided_by"
        heads = {**_HEADS, "date": day}
        return [words[of] for key, words in heads.items() if key != without]


def made(
    end: str,
    institution: Institution,
    span: tuple[str, str],
    known: Iterable[Provision],
    tests: int,
    zone: tzinfo | None = None,
) -> Records:
    """Return the records whose day lies in a span, the oldest first.

    Parameters
    ----------
    span : tuple of (str, str)
        First and last day, as :func:`days` checked them.
    """
    first, last = span

    def inside(one: Provision) -> bool:
        day = datetime.fromisoformat(one.moment).astimezone(zone).date().isoformat()
        return (not first or day >= first) and (not last or day <= last)

    rows = sorted((one for one in known if inside(one)), key=lambda one: (one.moment, one.transfer))
    return Records(end, institution, first, last, rows, tests, zone)


def days(first: str, last: str) -> tuple[str, str]:
    """Return the bounds of a span as they were given, YYYY-MM-DD or empty.

    Raises
    ------
    UsageError
        One is no day, or the last is before the first.
    """
    for option, day in (("--from", first), ("--to", last)):
        try:
            if day and (not _DAY.fullmatch(day) or not date.fromisoformat(day)):
                raise ValueError(day)
        except ValueError:
            raise UsageError(cause=f"{option} {day}: YYYY-MM-DD") from None
    if first and last and last < first:
        raise UsageError(cause=f"--from {first} --to {last}")
    return first, last


def institution_of(attributes: Mapping[str, Any]) -> str | None:
    """Return the institution that the images name as where they were made (0008,0080)."""
    return _text(attributes, "00080080") or None


def _values(attributes: Mapping[str, Any], tag: str) -> list[Any]:
    element = attributes.get(tag)
    found = element.get("Value") if isinstance(element, Mapping) else None
    return found if isinstance(found, list) else []


def _has(attributes: Mapping[str, Any], tag: str) -> bool:
    return any(value not in (None, "", {}) for value in _values(attributes, tag))


def _text(attributes: Mapping[str, Any], tag: str) -> str:
    first = next(iter(_values(attributes, tag)), None)
    return "" if first is None else str(first).strip()


def _name(attributes: Mapping[str, Any]) -> str:
    """Return all groups of the name as they were sent: ideographic, phonetic, alphabetic."""
    first = next(iter(_values(attributes, "00100010")), None)
    if not isinstance(first, Mapping):
        return ""
    name = person_name.from_json(first)
    groups = (name.ideographic, name.phonetic, name.alphabetic)
    return " / ".join(group for group in groups if group)
