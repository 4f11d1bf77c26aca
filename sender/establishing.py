"""Which of the five parts (P1 to P5) a transfer established, and by what: data, no verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Part = dict[str, str]
_BY_GRADE = {"A": "yes", "B": "yes", "C": "yes", "D": "partly", "E": "no"}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a transfer at its end.

    Attributes
    ----------
    declaration : dict
        The judgement of the rules; empty where nobody judged.
    todoke : bool
        The partner has the link and countersigns.
    receipted : bool
        Its receipt is here, and names our digests.
    state : str
    own, code : str
        Institution codes of both ends; empty where none was entered.
    tls : bool
        The partner showed a certificate that was pinned, or comes from its CA.
    """

    declaration: dict[str, Any]
    todoke: bool
    receipted: bool
    state: str
    own: str
    code: str
    tls: bool


def parts(known: Known) -> dict[str, Part]:
    """Return P1 to P5."""
    return {
        "P1": _path(known),
        "P2": _declaration(known),
        "P3": _identity(known),
        "P4": _endpoint(known),
        "P5": _completeness(known),
    }


def _part(answer: str, by: str, ja: str, en: str) -> Part:
    return {"is": answer, "by": by, "ja": ja, "en": en}


def _path(known: Known) -> Part:
    grade = str(known.declaration.get("grade") or "")
    if grade not in _BY_GRADE:
        return _part("open", "", "取得経路は判定されていない", "the source path was not graded")
    return _part(_BY_GRADE[grade], f"grade {grade}", f"取得経路 {grade}", f"source path {grade}")


def _declaration(known: Known) -> Part:
    direct = known.declaration.get("direct")
    rules = str(known.declaration.get("rule_set") or "")
    if direct is None:
        return _part("open", rules, "自己申告は判定されていない", "no rule judged the declaration")
    if direct:
        return _part("yes", rules, "撮像された画像データと申告している",
                     "the images declare themselves acquired")  # fmt: skip
    return _part("no", rules, "撮像された画像データと申告していない",
                 "the images do not declare themselves acquired")  # fmt: skip


def _identity(known: Known) -> Part:
    if known.receipted:
        return _part(
            "yes", "receipt",
            "受領側が保存後に読み戻した値が、送信側の元の値と一致した",
            "what the receiver read back from its disk equals what the sender has at its source",
        )  # fmt: skip
    if known.todoke:
        return _part("no", "", "受領側の照合がない", "the receiver compared nothing")
    return _part(
        "open", "acknowledgement" if known.state in {"delivered", "committed"} else "",
        "相手は照合の手段を持たない", "the peer has no way to compare",
    )  # fmt: skip


def _endpoint(known: Known) -> Part:
    if known.code and known.code == known.own:
        return _part("no", "", "両端の施設コードが同じ", "both ends have one institution code")
    if known.todoke:
        return _part("yes", "pairing", "組み合わせで固定した鍵と施設コードの相手",
                     "the partner's key and institution code were pinned at pairing")  # fmt: skip
    if known.code and known.tls:
        return _part("partly", "certificate", "施設コードは人が登録し、証明書は確かめた",
                     "the code was entered by a person, the certificate checked")  # fmt: skip
    return _part("open", "", "相手の施設コードか証明書がない",
                 "no institution code, or no certificate, of the peer is known")  # fmt: skip


def _completeness(known: Known) -> Part:
    if known.receipted:
        return _part("yes", "receipt", "件数と根が両端で一致した",
                     "count and root agree at both ends")  # fmt: skip
    if known.state == "committed":
        return _part("partly", "storage commitment", "相手がすべての保管を確約した",
                     "the peer committed to the storage of every instance")  # fmt: skip
    if known.state == "delivered":
        return _part("partly", "acknowledgement", "相手がすべての受信を返答した",
                     "the peer acknowledged every instance")  # fmt: skip
    return _part("no", "", "すべては届いていない", "not everything arrived")
