"""Check todoke's evidence records, offline, with nothing but Python and ``cryptography``.

::

    python verify.py RECORD.json [MORE.json | FOLDER ...] --trust DIR [--file INSTANCE.dcm ...]

This file is the whole program (Python 3.11 or later, ``pip install cryptography``); it
reads no other part of todoke, opens no connection and no database.  The format that it
checks is ``docs/reference/evidence.md``.  DIR holds the signing certificates (PEM or DER)
that you, the auditor, had from each institution itself: a certificate out of a record is
never believed, it can only show that the record agrees with itself.

It says what it found and never judges whether a subsidy is due.

====  =====================================================================
exit  what was found
====  =====================================================================
0     every check held; both signers are in the trust folder
1     something differs from what was signed, or from what the folder trusts
2     a file or the command line cannot be read
3     consistent; signers not established (no ``--trust``)
4     signed by a trusted sender alone; no receiver countersigned
====  =====================================================================
"""

from __future__ import annotations

import argparse
import base64
import binascii
import hashlib
import hmac
import io
import json
import locale
import os
import re
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID

INSTITUTION = "urn:todoke:institution:"  # before the code, as URI among a certificate's names
LIMIT = 256 << 20  # bytes of a record file
APART = timedelta(minutes=1)  # between two clocks that were never compared
AS_SIGNED, DIFFERS, UNREADABLE, NO_SIGNERS, SENDER_ONLY = range(5)
VERDICTS = {
    AS_SIGNED: ("as-signed", "署名のとおりです", "as it was signed"),
    DIFFERS: ("differs", "署名または信頼フォルダーと違うところがあります",
              "differs from what was signed or is trusted"),
    UNREADABLE: ("unreadable", "読めません", "cannot be read"),
    NO_SIGNERS: ("signers-not-established", "矛盾はありません。署名者は確かめていません",
                 "consistent; signers not established"),
    SENDER_ONLY: ("sender-only", "送信側の署名だけがあり、受信側の副署がありません",
                  "signed by the sender alone, no receiver countersigned"),
}  # fmt: skip

#: Every finding, by its name; {} is what it is about.
WORDS: dict[str, tuple[str, str]] = {
    # cannot be read
    "unreadable": ("証跡記録として読めません ({})", "cannot be read as a record ({})"),
    # differs
    "record-signature": ("記録の署名が合いません。記録は変えられています ({})",
                         "the record's signature does not hold: it was altered ({})"),
    "record-form": ("記録の内容が形式どおりでありません ({})",
                    "the record is not of its form ({})"),
    "sender-key": ("送信側の署名鍵が信頼フォルダーにありません ({})",
                   "the sender's signing key is not in the trust folder ({})"),
    "sender-issuer": ("送信側の証明書を別の者が発行しています ({})",
                      "somebody else issued the sender's certificate ({})"),
    "sender-institution": ("送信側の署名は別の医療機関の鍵によります ({})",
                           "the sender's signature is by another institution's key ({})"),
    "sender-validity": ("送信側の署名の時刻が証明書の有効期間の外です ({})",
                        "the sender signed outside its certificate's validity ({})"),
    "receiver-key": ("受信側の署名鍵が信頼フォルダーにありません ({})",
                     "the receiver's signing key is not in the trust folder ({})"),
    "receiver-issuer": ("受信側の証明書を別の者が発行しています ({})",
                        "somebody else issued the receiver's certificate ({})"),
    "receiver-institution": ("受信側の署名は別の医療機関の鍵によります ({})",
                             "the receiver's signature is by another institution's key ({})"),
    "receiver-validity": ("受信側の署名の時刻が証明書の有効期間の外です ({})",
                          "the receiver signed outside its certificate's validity ({})"),
    "one-key": ("送信側と受信側が同じ鍵で署名しています", "both ends signed with one key"),
    "one-institution": ("送信側と受信側が同じ医療機関です ({})",
                        "both ends are one institution ({})"),
    "countersignature-signature": ("副署の署名が合いません ({})",
                                   "the countersignature's signature does not hold ({})"),
    "countersignature-form": ("副署の内容が形式どおりでありません ({})",
                              "the countersignature is not of its form ({})"),
    "countersignature-other": ("副署は別の記録に対するものです ({})",
                               "the countersignature is one of another record ({})"),
    "count": ("受信側が保存から数えた画像の数が違います ({})",
              "the receiver counted other images in its store ({})"),
    "root": ("受信側が保存から読んだ画像が、送った画像と違います (内容または順序)",
             "what the receiver read back is not what was sent (content or order)"),
    "contradiction": ("記録の中の事実が互いに合いません ({})",
                      "facts in the record contradict one another ({})"),
    "clock": ("時計の差が記録の限度を超えるか、両端で違います ({})",
              "the clocks differed by more than the record allows, or the ends disagree ({})"),
    "time-order": ("時刻の順序が成り立ちません ({})", "the times are out of order ({})"),
    "leaves": ("画像の一覧が署名された根・数・量と合いません ({})",
               "the list of images does not make the signed root, count or size ({})"),
    "proof": ("画像1件の包含証明が署名された根に届きません ({})",
              "the proof of one image does not lead to the signed root ({})"),
    "subject": ("患者・検査の鍵付きハッシュが合いません ({})",
                "the keyed hash of patient or study is another ({})"),
    "view": ("提出用の記録に院内だけのものが入っています ({})",
             "the view for outside holds what is for inside alone ({})"),
    "file-altered": ("画像ファイルの内容が署名されたものと違います ({})。"
                     "受信側が可逆圧縮で持つ場合は、送信元のファイルで確かめてください",
                     "the image file differs from what was signed ({}). If the receiver holds it"
                     " losslessly recoded, check the source file"),
    "file-unknown": ("画像ファイルはこの記録のどの画像でもありません ({})",
                     "the image file is none of this record's images ({})"),
    "file-uid": ("画像ファイルの見出しのUIDが中身と違います (入れ替わり) ({})",
                 "the file's heading names another UID than its content (swapped) ({})"),
    "file-unreadable": ("画像ファイルを読めません ({})", "the image file cannot be read ({})"),
    "anchor-signature": ("一日の封の署名が合いません ({})",
                         "the day's anchor is not signed as it says ({})"),
    "anchor-other": ("一日の封がこの記録のものでありません ({})",
                     "the day's anchor is not one of this record ({})"),
    "anchor-root": ("一日の封の根が手元の記録と合いません ({})",
                    "the day's anchor has another root than the records at hand ({})"),
    "anchor-missing": ("前の日の封がつながりません ({})",
                       "the anchor of a day before does not follow ({})"),
    "timestamp": ("タイムスタンプがこの記録のものでありません ({})",
                  "the timestamp is not one of this record ({})"),
    "missing": ("欠番の記録があります。削除されたか、渡されていません ({})",
                "records are missing: deleted, or not handed over ({})"),
    "twice": ("同じ番号の記録が2つあります。作り直されています ({})",
              "two records have one number: one was made anew ({})"),
    "chain": ("前の記録とつながりません。どちらかが変えられています ({})",
              "does not follow the record before: one of them was altered ({})"),
    # open
    "no-trust": ("信頼フォルダー (--trust) がないため、署名者を確かめていません",
                 "no trust folder (--trust) was given: signers are not established"),
    "no-countersignature": ("受信側の副署がありません", "there is no countersignature"),
    "anchor-alone": ("一日の封に受信側の副署がありません ({})",
                     "the receiver did not countersign the day's anchor ({})"),
    "timestamp-authority": ("タイムスタンプの署名を確かめられる証明書が"
                            "信頼フォルダーにありません ({})",
                            "no certificate in the trust folder confirms the timestamp's"
                            " signature ({})"),
    "begins": ("手元の記録は {} 番からです", "the records at hand begin with number {}"),
    "expired": ("証明書は後に期限が切れました。署名の時には有効でした ({})",
                "a certificate has ended since; it was valid when it signed ({})"),
    # held
    "sender": ("送信側の署名: {}", "signed by the sender: {}"),
    "receiver": ("受信側の副署: {}", "countersigned by the receiver: {}"),
    "same": ("受信側が保存から読み直した画像 {} 件は、送った画像と同じです",
             "the {} images that the receiver read back from its store are those that were sent"),
    "listed": ("一覧の画像 {} 件は署名された根をなします",
               "the {} images listed make the signed root"),
    "proven": ("画像 1 件の包含証明: {}", "proof of one image: {}"),
    "file": ("画像ファイルは署名されたものです: {}", "the image file is as it was signed: {}"),
    "patient": ("患者・検査は記録の鍵付きハッシュのとおりです",
                "patient and study are those of the record's keyed hashes"),
    "anchored": ("一日の封に含まれます: {}", "contained in the day's anchor: {}"),
    "stamped": ("タイムスタンプ: {}", "timestamp: {}"),
    "unbroken": ("記録 {} は番号も連鎖も途切れていません",
                 "records {} are without a gap, and each follows the one before"),
}  # fmt: skip

#: What no record proves; the ids stand in the record, the words in docs/reference/evidence.md.
NOT_PROVEN: dict[str, tuple[str, str]] = {
    "source": ("撮影装置そのものに、取り込まれた信号や撮影された画面が入力されていなかったこと",
               "that the acquiring device itself was not fed a captured signal or a photographed"
               " screen"),
    "declaration": ("画像が自らについて述べる内容 (SOPクラス、画像種別、装置) が真実であること",
                    "that what an image says of itself (SOP Class, image type, device) is true"),
    "selection": ("撮影された画像のすべてが送信の対象に選ばれたこと",
                  "that every image that was acquired was chosen to be sent"),
    "reading": ("医師が画像を見たこと、診断したこと",
                "that a physician looked at the images, or made a diagnosis"),
    "time": ("時刻が法的な時刻であること (計算機の時計による。認定タイムスタンプがある場合を除く)",
             "that the times are legal time (they are those of computers, unless there is a"
             " timestamp of an accredited authority)"),
    "clock": ("両端の時計が合っていたこと (相手の時計を測る手段がなかった)",
              "that the two clocks agreed (there was no way to measure the partner's)"),
    "identity": ("受け取った側に保存された画像が送った画像と同一であること"
                 " (受領側の照合と副署がない)",
                 "that what the receiving side stored equals what was sent"
                 " (it compared and countersigned nothing)"),
    "endpoint": ("受け取った側が登録された別の医療機関であること"
                 " (相手の施設コードが登録されていない)",
                 "that the receiving side is another registered institution"
                 " (no institution code of it is registered)"),
}  # fmt: skip
_ALWAYS = {"source", "declaration", "selection", "reading", "time"}
_STATES = {"receipted", "delivered", "committed", "failed", "recalled", "held"}

# -- signed statements (RFC 7515, ES256 and nothing else) ---------------------

_SHA = re.compile(r"[0-9a-f]{64}")


class Refused(Exception):
    """What was handed over is not what it has to be; the text says in which way."""


def read_json(text: str | bytes) -> Any:
    """Read JSON in which no member stands twice and every number is one.

    Raises
    ------
    Refused
        It is none.
    """
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as failure:
        raise Refused("JSON") from failure


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands twice")
    return found


def _no_number(word: str) -> Any:
    raise ValueError(word)


@dataclass(frozen=True, slots=True)
class Statement:
    """A compact JWS taken apart; nothing in it is believed before :meth:`check`."""

    kid: str
    payload: dict[str, Any]
    signed: bytes
    signature: bytes

    @classmethod
    def read(cls, text: object) -> Statement:
        """Take a compact JWS apart.

        Raises
        ------
        Refused
            Not exactly header, payload and signature as todoke writes them.
        """
        if not isinstance(text, str) or not text.isascii() or text.count(".") != 2:
            raise Refused("JWS")
        header, payload, signature = (_bytes(part) for part in text.split("."))
        said, words = read_json(header), read_json(payload)
        if not isinstance(said, dict) or set(said) != {"alg", "kid"} or said["alg"] != "ES256":
            raise Refused("JWS header")
        if not (isinstance(said["kid"], str) and _SHA.fullmatch(said["kid"])):
            raise Refused("JWS kid")
        if not isinstance(words, dict) or len(signature) != 64:
            raise Refused("JWS payload")
        return cls(said["kid"], words, text.rpartition(".")[0].encode(), signature)

    def check(self, certificate: x509.Certificate) -> None:
        """Check the signature (RFC 7518 section 3.4).

        Raises
        ------
        Refused
            It is not by this certificate's key.
        """
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise Refused("ECDSA P-256")
        r, s = (int.from_bytes(half, "big") for half in (self.signature[:32], self.signature[32:]))
        try:
            key.verify(encode_dss_signature(r, s), self.signed, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as failure:
            raise Refused("signature") from failure


def _bytes(part: str) -> bytes:
    """Decode base64url without padding, in its one canonical form."""
    try:
        found = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as failure:
        raise Refused("base64url") from failure
    if base64.urlsafe_b64encode(found).rstrip(b"=").decode() != part:
        raise Refused("base64url")
    return found


def name(statement: str) -> str:
    """Return what others call a statement: the SHA-256 of its compact JWS, hex."""
    return hashlib.sha256(statement.encode()).hexdigest()


def canonical(value: Any) -> bytes:
    """Return JSON that is the same for equal values."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


# -- Merkle trees (RFC 6962 section 2.1) --------------------------------------


def _leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\0" + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def merkle_root(leaves: Sequence[bytes]) -> str:
    """Return the root over leaves, hex; a lone node moves up as it is."""
    row = [_leaf_hash(leaf) for leaf in leaves] or [hashlib.sha256().digest()]
    while len(row) > 1:
        paired = [_node(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
        row = paired + ([row[-1]] if len(row) % 2 else [])
    return row[0].hex()


def root_of_proof(leaf: bytes, place: int, count: int, path: Sequence[str]) -> str | None:
    """Return the root that an inclusion proof leads to; None if it is none of that place."""
    if type(place) is not int or type(count) is not int or not 0 <= place < count:
        return None
    node, siblings = _leaf_hash(leaf), list(path)
    while count > 1:
        if place ^ 1 < count:
            if not siblings or not (isinstance(siblings[0], str) and _SHA.fullmatch(siblings[0])):
                return None
            sibling = bytes.fromhex(siblings.pop(0))
            node = _node(sibling, node) if place & 1 else _node(node, sibling)
        place, count = place >> 1, (count + 1) >> 1
    return None if siblings else node.hex()


# -- whom the auditor trusts --------------------------------------------------


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate's DER, hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def institution_of(certificate: x509.Certificate) -> str | None:
    """Return the one institution code that a certificate names."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        return None
    codes = [uri.removeprefix(INSTITUTION) for uri in uris if uri.startswith(INSTITUTION)]
    return codes[0] if len(codes) == 1 else None


def _self_issued(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def load_trust(folder: Path) -> dict[str, x509.Certificate]:
    """Read the certificates of a trust folder, by their SHA-256.

    Raises
    ------
    Refused
        A certificate in it cannot be read, or there is none.
    """
    found: dict[str, x509.Certificate] = {}
    try:
        paths = [p for p in sorted(folder.iterdir()) if p.suffix in {".pem", ".crt", ".cer"}]
        for path in paths:
            data = path.read_bytes()
            if b"-----BEGIN" in data:
                some = x509.load_pem_x509_certificates(data)
            else:
                some = [x509.load_der_x509_certificate(data)]
            found |= {fingerprint(one): one for one in some}
    except (OSError, ValueError) as failure:
        raise Refused(f"--trust {folder}: {failure}") from failure
    if not found:
        raise Refused(f"--trust {folder}: .pem .crt .cer")
    return found


# -- one record file ----------------------------------------------------------


@dataclass(slots=True)
class Findings:
    """What was found of one record file, or of several together.

    Attributes
    ----------
    held, differs, open : list of dict
        ``code`` (of :data:`WORDS`), ``about``, ``ja``, ``en``.
    """

    path: str
    facts: dict[str, Any] = field(default_factory=dict)
    held: list[dict[str, str]] = field(default_factory=list)
    differs: list[dict[str, str]] = field(default_factory=list)
    open: list[dict[str, str]] = field(default_factory=list)

    def say(self, into: list[dict[str, str]], code: str, about: object = "") -> None:
        """Add a finding."""
        ja, en = (words.format(about) for words in WORDS[code])
        into.append({"code": code, "about": str(about), "ja": ja, "en": en})

    def differ(self, code: str, about: object = "") -> None:
        """Add something that is not as it was signed."""
        self.say(self.differs, code, about)

    @property
    def exit(self) -> int:
        """The exit code that these findings have alone."""
        codes = {one["code"] for one in self.open}
        if self.differs:
            return UNREADABLE if self.differs[0]["code"] == "unreadable" else DIFFERS
        if "no-trust" in codes:
            return NO_SIGNERS
        return SENDER_ONLY if "no-countersignature" in codes else AS_SIGNED

    def as_json(self) -> dict[str, Any]:
        """Return the findings as one object."""
        shown = {"held": self.held, "differs": self.differs, "open": self.open}
        return {"path": self.path, "verdict": VERDICTS[self.exit][0], **self.facts, **shown}


_FORM: dict[str, dict[str, type | tuple[type, ...]]] = {
    "record": {
        "rule_set": str, "number": int, "before": str, "transfer": str, "kind": str,
        "purpose": str, "priority": str, "test": bool, "state": str,
        "reason": (dict, type(None)), "person": (str, type(None)), "sender": dict,
        "receiver": dict, "subject": dict, "declaration": dict, "instances": dict,
        "statements": dict, "digests_equal": (bool, type(None)), "established": dict,
        "tls": dict, "times": dict, "clock": (dict, type(None)), "software": dict,
        "not_proven": list,
    },
    "countersignature": {
        "record": str, "transfer": str, "number": int, "sender": str, "receiver": str,
        "count": int, "root": str, "signed_at": str, "clock": (dict, type(None)),
    },
    "anchor": {
        "day": str, "sender": str, "receiver": str, "first": int, "last": int, "count": int,
        "root": str, "before": str,
    },
    "anchor-countersignature": {
        "anchor": str, "day": str, "sender": str, "receiver": str, "count": int, "root": str,
        "signed_at": str,
    },
}  # fmt: skip


def _formed(kind: str, payload: Mapping[str, Any]) -> None:
    """Refuse a statement with a member missing, unknown or of another type."""
    form = _FORM[kind]
    if payload.get("type") != kind or type(payload.get("version")) is not int:
        raise Refused("type")
    if payload["version"] != 1:
        raise Refused("version")
    if odd := set(payload) ^ (set(form) | {"type", "version"}):
        raise Refused(", ".join(sorted(odd)))
    for member, kinds in form.items():
        value = payload[member]
        allowed = kinds if isinstance(kinds, tuple) else (kinds,)
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise Refused(member)


def _record_form(payload: Mapping[str, Any]) -> None:
    _formed("record", payload)
    instances, sent, got = payload["instances"], payload["sender"], payload["receiver"]
    words = [sent.get("code"), sent.get("name"), got.get("code"), got.get("name")]
    numbers = [instances.get("count"), instances.get("bytes")]
    maybe = [payload["before"], instances.get("root")]
    maybe += [payload["statements"].get(kind) for kind in ("opening", "closing", "receipt")]
    parts = [payload["established"].get(f"P{n}") for n in range(1, 6)]
    clock = payload["clock"] or dict.fromkeys(("offset_ms", "round_trip_ms", "bound_ms"), 0)
    numbers += [clock.get(key) for key in ("offset_ms", "round_trip_ms", "bound_ms")]
    holds = {
        "transfer": re.fullmatch("[0-9a-f]{32}", payload["transfer"]),
        "number": payload["number"] > 0 and (payload["number"] == 1) == (payload["before"] == ""),
        "state": payload["state"] in _STATES,
        "sender, receiver": all(isinstance(word, str) for word in words),
        "instances, clock": all(type(number) is int for number in numbers),
        "SHA-256": all(isinstance(one, str) and (not one or _SHA.fullmatch(one)) for one in maybe),
        "subject": all(
            _SHA.fullmatch(str(payload["subject"].get(key))) for key in ("patient", "study")
        ),
        "established": all(
            isinstance(one, dict) and one.get("is") in {"yes", "partly", "no", "open"}
            for one in parts
        ),
        "not_proven": all(isinstance(one, str) for one in payload["not_proven"])
        and _ALWAYS <= set(payload["not_proven"]) <= set(NOT_PROVEN),
        "times": isinstance(payload["times"].get("signed"), str),
    }
    for what, good in holds.items():
        if not good:
            raise Refused(what)


def _moment(text: object) -> datetime:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError as failure:
        raise Refused(f"time {text}") from failure
    if found.tzinfo is None:
        raise Refused(f"time {text}")
    return found


@dataclass(slots=True)
class Examined:
    """One record file that is being examined.

    Parameters
    ----------
    trust : dict or None
        Certificates by SHA-256; None where the auditor gave none.
    now : datetime
        When it is examined.
    """

    given: Mapping[str, Any]
    trust: Mapping[str, x509.Certificate] | None
    now: datetime
    found: Findings
    record: dict[str, Any] = field(default_factory=dict)
    own: str = ""  # name of the record

    def run(self, files: Sequence[Path] = ()) -> None:
        """Make every check that the file allows."""
        found, text = self.found, self.given.get("record")
        try:
            statement = Statement.read(text)
            self.own, self.record = name(str(text)), statement.payload
            _record_form(self.record)
        except (Refused, TypeError, AttributeError) as failure:  # of another type somewhere in it
            return found.differ("record-form" if self.own else "record-signature", failure)
        record = self.record
        found.facts |= {
            key: record[key]
            for key in ("transfer", "number", "kind", "state", "test", "sender", "receiver",
                        "instances", "not_proven")
        } | {"signed": record["times"]["signed"], "view": self.given["view"], "record": self.own,
             "established": {part: one["is"] for part, one in record["established"].items()},
             "rule_set": record["rule_set"], "clock": record["clock"]}  # fmt: skip
        if self.trust is None:
            found.say(found.open, "no-trust")
        self.signed(statement, "sender", record["times"]["signed"])
        below = self.countersigned(statement.kid)
        self.consistent(below)
        _instances(self, files)
        _subject(self)
        for entry in self.given["anchors"]:
            self.anchored(entry)
        if self.given["timestamp"] is not None:
            _timestamp(self)
        return None

    def signed(self, statement: Statement, end: str, when: object, what: str = "") -> None:
        """Check who signed a statement, with which certificate, and when."""
        found, what = self.found, what or ("record" if end == "sender" else "countersignature")
        code = f"{what}-signature"
        certificate = self.certificate(statement.kid, end)
        if certificate is None:
            if self.trust is None:
                return found.differ(code, "kid")
            return found.differ(f"{end}-key", statement.kid)
        try:
            statement.check(certificate)
            moment = _moment(when)
        except Refused as failure:
            return found.differ(code, failure)
        code, wanted = str(institution_of(certificate)), self.record[end]["code"]
        if not _self_issued(certificate):
            return found.differ(f"{end}-issuer", statement.kid)
        if code != wanted:
            return found.differ(f"{end}-institution", f"{code} / {wanted}")
        since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if what == "anchor":  # signed at some time after its day began, maybe by a later key
            moment = max(moment, since)
        if not since <= moment <= until:
            return found.differ(f"{end}-validity", f"{moment} / {since} - {until}")
        if moment > self.now + APART:
            return found.differ("time-order", f"{moment} > {self.now}")
        if self.now > until:
            found.say(found.open, "expired", f"{until}")
        if self.trust is not None and what in {"record", "countersignature"}:
            found.say(found.held, end, f"{self.record[end]['name']} ({wanted}) {statement.kid}")
        return None

    def certificate(self, kid: str, end: str) -> x509.Certificate | None:
        """Return the trusted certificate of that name; without a trust folder the file's own."""
        if self.trust is not None:
            return self.trust.get(kid)
        try:
            own = x509.load_pem_x509_certificate(str(self.given["certificates"][end]).encode())
        except ValueError:
            return None
        return own if fingerprint(own) == kid else None

    def countersigned(self, sender_kid: str) -> dict[str, Any] | None:
        """Check the countersignature, and that it is one of this very record."""
        found, text, record = self.found, self.given["countersignature"], self.record
        if text is None:
            found.say(found.open, "no-countersignature")
            return None
        try:
            statement = Statement.read(text)
        except Refused as failure:
            found.differ("countersignature-signature", failure)
            return None
        below = statement.payload
        try:
            _formed("countersignature", below)
        except Refused as failure:
            found.differ("countersignature-form", failure)
            return None
        if statement.kid == sender_kid or self._one_key(statement.kid, sender_kid):
            found.differ("one-key")
        self.signed(statement, "receiver", below["signed_at"])
        ends = (record["sender"]["code"], record["receiver"]["code"])
        wanted = (self.own, record["transfer"], record["number"], *ends)
        said = tuple(below[k] for k in ("record", "transfer", "number", "sender", "receiver"))
        if said != wanted:
            names = ("record", "transfer", "number", "sender", "receiver")
            other = [n for n, a, b in zip(names, said, wanted, strict=True) if a != b]
            found.differ("countersignature-other", ", ".join(other))
        return below

    def _one_key(self, one: str, other: str) -> bool:
        known = [self.certificate(kid, end) for kid, end in ((one, "receiver"), (other, "sender"))]
        keys = [certificate.public_key() for certificate in known if certificate is not None]
        return len(keys) == 2 and keys[0] == keys[1]

    def consistent(self, below: Mapping[str, Any] | None) -> None:
        """Compare what the sender says with what the receiver says, and each with itself."""
        found, record = self.found, self.record
        self._coherent()
        if below is None:
            return
        sent, got = record["instances"], (below["count"], below["root"])
        unstored = record["state"] != "receipted" and got == (0, "")
        if below["count"] != sent["count"] and not unstored:
            found.differ("count", f"{below['count']} / {sent['count']}")
        elif below["root"] != sent["root"] and not unstored:
            found.differ("root")
        elif record["state"] == "receipted":
            found.say(found.held, "same", sent["count"])
        if below["clock"] is not None and below["clock"] != record["clock"]:
            found.differ("clock", "countersignature")
        try:
            first, second = _moment(record["times"]["signed"]), _moment(below["signed_at"])
        except Refused:
            return  # said with the signature
        if second < first - APART:
            found.differ("time-order", f"{second} < {first}")

    def _coherent(self) -> None:
        """Compare the facts of the record with one another."""
        found, record = self.found, self.record
        state, codes = record["state"], [record[end]["code"] for end in ("sender", "receiver")]
        if codes[0] == codes[1]:
            found.differ("one-institution", codes[0])
        if state == "receipted":
            if record["digests_equal"] is not True:
                found.differ("contradiction", "receipted, digests_equal")
            if not all(record["statements"][kind] for kind in ("opening", "closing", "receipt")):
                found.differ("contradiction", "receipted, statements")
        elif record["digests_equal"] is True and not record["statements"]["receipt"]:
            found.differ("contradiction", f"{state}, digests_equal")
        clock = record["clock"]
        if clock and abs(clock["offset_ms"]) + clock["round_trip_ms"] / 2 > clock["bound_ms"]:
            found.differ("clock", f"{clock['offset_ms']} ms / {clock['bound_ms']} ms")

    def anchored(self, entry: object) -> None:
        """Check a day's anchor and that this record is in it."""
        found, record = self.found, self.record
        try:
            entry = entry if isinstance(entry, dict) else {}
            statement = Statement.read(entry.get("anchor"))
            anchor = statement.payload
            _formed("anchor", anchor)
            self.shut(statement, "sender", f"{anchor['day']}T00:00:00+00:00", "anchor")
            alone = entry.get("countersignature") is None
            if alone:
                found.say(found.open, "anchor-alone", anchor["day"])
            else:
                self._anchor_countersigned(entry, anchor)
        except Refused as failure:
            return found.differ("anchor-signature", failure)
        place, path = entry.get("place"), entry.get("path")
        if type(place) is not int or not isinstance(path, list):
            return found.differ("anchor-other", "proof")
        led = root_of_proof(bytes.fromhex(self.own), place, anchor["count"], path)
        try:
            day = _moment(record["times"]["signed"]).astimezone(UTC).date().isoformat()
        except (Refused, OverflowError):
            day = ""
        right = {
            "sender, receiver": (anchor["sender"], anchor["receiver"])
            == (record["sender"]["code"], record["receiver"]["code"]),
            "day": anchor["day"] == day,
            "number": record["number"] == anchor["first"] + place,
            "count": entry.get("count") == anchor["count"] == anchor["last"] - anchor["first"] + 1,
            "proof": led == anchor["root"],
        }
        for what, holds in right.items():
            if not holds:
                return found.differ("anchor-other", what)
        if not any(one["code"] == "anchor-signature" for one in found.differs):
            found.say(found.held, "anchored", f"{anchor['day']} {anchor['first']}-{anchor['last']}")
        return None

    def _anchor_countersigned(self, entry: Mapping[str, Any], anchor: Mapping[str, Any]) -> None:
        statement = Statement.read(entry["countersignature"])
        _formed("anchor-countersignature", statement.payload)
        below = statement.payload
        self.shut(statement, "receiver", below["signed_at"], "anchor")
        named = below["anchor"] == name(str(entry["anchor"]))
        same = ("day", "sender", "receiver", "count", "root")
        if not named or any(below[key] != anchor[key] for key in same):
            raise Refused("countersignature")

    def shut(self, statement: Statement, end: str, when: object, what: str) -> None:
        """Check a signature of an anchor; the file alone may lack the key of a later day."""
        if self.trust is not None or self.certificate(statement.kid, end) is not None:
            self.signed(statement, end, when, what)


def _instances(of: Examined, files: Sequence[Path]) -> None:
    """Check the list, the proofs and the files of single images."""
    found, given, sent = of.found, of.given["instances"], of.record["instances"]
    inside, known = of.given["view"] == "inside", list[dict[str, Any]]()
    if isinstance(given, list) and not inside:
        found.differ("view", "instances")
    if isinstance(given, list) and sent["root"]:
        known = [one for one in given if isinstance(one, dict)]
        uids = {str(one.get("uid")) for one in known}
        size = sum(n for one in known if isinstance(n := one.get("length"), int))
        right = {
            "count": len(uids) == len(known) == len(given) == sent["count"],
            "bytes": size == sent["bytes"],
            "root": merkle_root([canonical(one) for one in known]) == sent["root"],
        }
        for what, holds in right.items():
            if not holds:
                found.differ("leaves", what)
        if all(right.values()):
            found.say(found.held, "listed", len(known))
        else:
            known = []
    elif isinstance(given, dict) and given.get("count") != sent["count"]:
        found.differ("leaves", "count")
    for proof in of.given["proofs"]:
        leaf, path = (proof.get(k) if isinstance(proof, dict) else None for k in ("leaf", "path"))
        if not isinstance(leaf, dict) or not isinstance(path, list):
            found.differ("proof", "form")
            continue
        led = root_of_proof(canonical(leaf), proof.get("place"), proof.get("count"), path)
        if led != sent["root"] or proof.get("count") != sent["count"]:
            found.differ("proof", leaf.get("uid"))
        else:
            found.say(found.held, "proven", leaf.get("uid"))
            known.append(leaf)
    for path in files:
        _file(found, path, known)


def _file(found: Findings, path: Path, leaves: Sequence[Mapping[str, Any]]) -> None:
    try:
        heading, uid, length, d1 = digest_of(path)
    except (OSError, Refused) as failure:
        return found.differ("file-unreadable", f"{path}: {failure}")
    same = [one for one in leaves if one.get("d1") == d1 and one.get("length") == length]
    if same and same[0].get("uid") != heading:
        return found.differ("file-uid", f"{path}: {heading} / {same[0].get('uid')}")
    if same:
        return found.say(found.held, "file", f"{path} {heading}")
    altered = {heading, uid} & {str(one.get("uid")) for one in leaves}
    return found.differ("file-altered" if altered else "file-unknown", f"{path}: {heading}")


def _subject(of: Examined) -> None:
    """Check that the patient and the study shown are those of the signed hashes."""
    given, found = of.given["subject"], of.found
    if given is None:
        return None
    if of.given["view"] != "inside":
        return found.differ("view", "subject")
    try:
        key, patient = bytes.fromhex(given["key"]), canonical(dict(given["patient"]))
        study, said = str(given["study"]).encode("ascii", "replace"), str(given.get("said") or "")
    except (KeyError, TypeError, ValueError):
        return found.differ("subject", "form")

    def keyed(message: bytes) -> str:
        return hmac.digest(key, message, "sha256").hex()

    signed = of.record["subject"]
    given_by = (of.record["reason"], of.record["declaration"].get("released"))
    reasons = [one.get("said") for one in given_by if isinstance(one, dict)]
    right = {
        "patient": keyed(b"patient\0" + patient) == signed["patient"],
        "study": keyed(b"study\0" + study) == signed["study"],
        "said": not said or keyed(b"said\0" + said.encode("utf-8", "surrogatepass")) in reasons,
    }
    for what, holds in right.items():
        if not holds:
            found.differ("subject", what)
    return found.say(found.held, "patient") if all(right.values()) else None


# -- one image file (PS3.10 section 7.1) --------------------------------------

_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_IMPLICIT, _BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"


def digest_of(path: Path) -> tuple[str, str, int, str]:
    """Return what a Part 10 file is by its own bytes.

    Returns
    -------
    tuple of str, str, int, str
        SOP Instance UID of the heading (0002,0003) and of the data set (0008,0018), bytes of
        the data set, and D1: the SHA-256 of them.

    Raises
    ------
    Refused
        No DICOM file.
    """
    with path.open("rb") as file:
        if file.read(132)[128:] != b"DICM":
            raise Refused("DICM")
        meta = dict[int, str]()
        begin = file.tell()
        for element, length in _elements(file, group=2):
            begin = file.tell() + length
            if element in {0x0003, 0x0010}:
                meta[element] = file.read(length).rstrip(b"\0 ").decode("ascii", "replace")
            file.seek(begin)
        file.seek(begin)
        digest, length = hashlib.sha256(), 0
        while piece := file.read(1 << 20):
            digest.update(piece)
            length += len(piece)
        uid, syntax = "", meta.get(0x0010, "")
        if syntax != _DEFLATED:
            file.seek(begin)
            order, implicit = ">" if syntax == _BIG else "<", syntax == _IMPLICIT
            for element, size in _elements(file, group=8, order=order, implicit=implicit):
                following = file.tell() + size
                if element == 0x0018:
                    uid = file.read(size).rstrip(b"\0 ").decode("ascii", "replace")
                    break
                file.seek(following)
    return meta.get(0x0003, ""), uid, length, digest.hexdigest()


def _elements(
    file: BinaryIO, *, group: int, order: str = "<", implicit: bool = False
) -> Iterator[tuple[int, int]]:
    """Yield number and length of the elements of a group; the file stands at the value."""
    while len(head := file.read(8)) == 8:
        found, element = struct.unpack(f"{order}HH", head[:4])
        if found != group or (group == 8 and element > 0x0018):
            return
        if implicit:
            (length,) = struct.unpack(f"{order}I", head[4:])
        elif head[4:6] in _LONG:
            (length,) = struct.unpack(f"{order}I", file.read(4).ljust(4, b"\0"))
        else:
            (length,) = struct.unpack(f"{order}H", head[6:])
        if length == 0xFFFFFFFF:
            return
        yield element, length


# -- timestamps (RFC 3161, RFC 5652) ------------------------------------------

_SHA256_OID = bytes.fromhex("0609608648016503040201")
_TST_INFO = bytes.fromhex("060b2a864886f70d0109100104")
_MESSAGE_DIGEST = bytes.fromhex("06092a864886f70d010904")
_HASHES = {1: hashes.SHA256(), 2: hashes.SHA384(), 3: hashes.SHA512()}


def _der(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """Split DER into its values: tag, content, and the whole as it stands."""
    found, at = [], 0
    while at < len(data):
        if len(data) < at + 2:
            raise Refused("DER")
        tag, length, start = data[at], data[at + 1], at + 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(data[at + 2 : start], "big")
        if length > len(data) - start:
            raise Refused("DER")
        found.append((tag, data[start : start + length], data[at : start + length]))
        at = start + length
    return found


def _timestamp(of: Examined) -> None:
    """Check a TimeStampToken over the root; its authority if that is trusted."""
    found, root = of.found, of.record["instances"]["root"]
    try:
        token = base64.b64decode(of.given["timestamp"], validate=True)
        (_, content, _), *_ = _der(token)
        signed = _der(_der(_der(content)[1][1])[0][1])
        kind, wrapped = _der(signed[2][1])[:2]
        info = _der(wrapped[1])[0][1]
        values = _der(_der(info)[0][1])
        algorithm, imprint = _der(values[2][1])
        when = next(value for tag, value, _ in values if tag == 0x18).decode("ascii")
        signer = _der(_der(signed[-1][1])[0][1])
        attributes = next(one for one in signer if one[0] == 0xA0)
        digest = next(
            _der(_der(one[1])[1][1])[0][1]
            for one in _der(attributes[1])
            if _der(one[1])[0][2] == _MESSAGE_DIGEST
        )
        method = _HASHES[_der(signer[2][1])[0][2][-1]]
        if kind[2] != _TST_INFO or _der(algorithm[1])[0][2] != _SHA256_OID:
            raise Refused("SHA-256")
        hashed = hashes.Hash(method)
        hashed.update(info)
        if digest != hashed.finalize():
            raise Refused("messageDigest")
    except (Refused, ValueError, TypeError, LookupError, StopIteration, RuntimeError) as failure:
        return found.differ("timestamp", failure or type(failure).__name__)
    if imprint[1] != hashlib.sha256(bytes.fromhex(root)).digest():
        return found.differ("timestamp", "messageImprint")
    covered, signature = b"\x31" + attributes[2][1:], signer[-1][1]
    if signer[-1][0] != 0x04:  # unsigned attributes follow
        signature = signer[-2][1]
    for certificate in (of.trust or {}).values():
        if _stamped_by(certificate, covered, signature, method):
            return found.say(
                found.held, "stamped", f"{when} {certificate.subject.rfc4514_string()}"
            )
    return found.say(found.open, "timestamp-authority", when)


def _stamped_by(
    certificate: x509.Certificate, data: bytes, signature: bytes, method: hashes.HashAlgorithm
) -> bool:
    key = certificate.public_key()
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if ExtendedKeyUsageOID.TIME_STAMPING not in usage:
            return False
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), method)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(method))
        else:
            return False
    except (x509.ExtensionNotFound, ValueError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


# -- several records: numbers, chain, anchors ---------------------------------


def together(examined: Sequence[Examined]) -> list[Findings]:
    """Check the records of each sender towards each partner as one series (EVD-06)."""
    series: dict[tuple[str, str], list[Examined]] = {}
    for one in examined:
        if one.found.facts:
            got = one.record["receiver"]  # a plain DICOM peer may have no code
            ends = (one.record["sender"]["code"], got["code"] or got["name"])
            series.setdefault(ends, []).append(one)
    found = []
    for ends, some in sorted(series.items()):
        of = Findings(" -> ".join(ends))
        _chained(of, some)
        found.append(of)
    return found


def _chained(found: Findings, some: Sequence[Examined]) -> None:
    names: dict[int, str] = {}
    before: dict[int, str] = {}
    anchors: dict[str, dict[str, Any]] = {}
    for one in some:
        number = one.record["number"]
        if names.setdefault(number, one.own) != one.own:
            found.differ("twice", number)
        before[number] = one.record["before"]
        for entry in one.given["anchors"]:
            try:
                anchor = Statement.read(entry["anchor"]).payload
                _formed("anchor", anchor)
                anchors[name(entry["anchor"])] = anchor
            except (Refused, TypeError, KeyError):
                continue  # said where the record was examined
    first = min(names)
    last = max([*names, *(anchor["last"] for anchor in anchors.values())])
    first = min([first, *(anchor["first"] for anchor in anchors.values())])
    if last - first > 10_000_000:
        return found.differ("missing", f"{first}-{last}")
    gone = [n for n in range(first, last + 1) if n not in names]
    if gone:
        found.differ("missing", ", ".join(_ranges(gone)))
    for number in sorted(names):
        if number - 1 in names and before[number] != names[number - 1]:
            found.differ("chain", f"{number - 1}, {number}")
    _anchors(found, anchors, names)
    found.facts |= {"first": first, "last": last, "records": len(names)}
    if first != 1:
        found.say(found.open, "begins", first)
    if not found.differs:
        found.say(found.held, "unbroken", f"{first}-{last}")
    return None


def _anchors(
    found: Findings, anchors: Mapping[str, Mapping[str, Any]], names: Mapping[int, str]
) -> None:
    previous: tuple[str, Mapping[str, Any]] | None = None
    for own, anchor in sorted(anchors.items(), key=lambda item: item[1]["first"]):
        numbers = range(anchor["first"], anchor["last"] + 1)
        if all(number in names for number in numbers):
            made = merkle_root([bytes.fromhex(names[number]) for number in numbers])
            if made != anchor["root"]:
                found.differ("anchor-root", anchor["day"])
        follows = previous is not None and previous[1]["last"] + 1 == anchor["first"]
        if previous is not None and (not follows or anchor["before"] != previous[0]):
            found.differ("anchor-missing", f"{previous[1]['day']}, {anchor['day']}")
        previous = own, anchor


def _ranges(numbers: Sequence[int]) -> list[str]:
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [str(a) if a == b else f"{a}-{b}" for a, b in found]


# -- the program --------------------------------------------------------------


def read_file(path: Path) -> dict[str, Any]:
    """Read a record file.

    Raises
    ------
    Refused
        It is none.
    """
    try:
        if path.stat().st_size > LIMIT:
            raise Refused(f"> {LIMIT} bytes")
        given = read_json(path.read_bytes())
    except OSError as failure:
        raise Refused(failure.strerror or "?") from failure
    if not isinstance(given, dict) or given.get("type") != "todoke-record":
        raise Refused("todoke-record")
    if given.get("version") != 1 or type(given["version"]) is not int:
        raise Refused("version")
    shapes: dict[str, tuple[type, ...]] = {
        "view": (str,), "record": (str,), "countersignature": (str, type(None)),
        "certificates": (dict,), "instances": (list, dict), "proofs": (list,),
        "subject": (dict, type(None)), "anchors": (list,), "timestamp": (str, type(None)),
    }  # fmt: skip
    if odd := set(given) ^ (set(shapes) | {"type", "version"}):
        raise Refused(", ".join(sorted(odd)))
    for member, kinds in shapes.items():
        if not isinstance(given[member], kinds):
            raise Refused(member)
    if given["view"] not in {"inside", "outside"}:
        raise Refused("view")
    return given


def verify(
    paths: Sequence[Path],
    trust: Path | None = None,
    files: Sequence[Path] = (),
    now: datetime | None = None,
) -> dict[str, Any]:
    """Examine record files, and several of one series together.

    Parameters
    ----------
    paths : sequence of Path
        Record files, and folders whose ``*.json`` are record files.
    trust : Path, optional
        Folder of the certificates that the auditor trusts.
    files : sequence of Path
        Image files (DICOM Part 10) that have to be in the record.
    now : datetime, optional
        When this is asked; the clock of this computer without.

    Returns
    -------
    dict
        ``exit``, ``verdict``, ``records`` and ``series``.

    Raises
    ------
    Refused
        The trust folder cannot be used, or there is no record.
    """
    trusted = None if trust is None else load_trust(trust)
    now = now or datetime.now(UTC)
    each = [
        one for path in paths for one in (sorted(path.glob("*.json")) if path.is_dir() else [path])
    ]
    if not each:
        raise Refused("RECORD")
    examined, found = list[Examined](), list[Findings]()
    for at, path in enumerate(each):
        if sys.stderr.isatty() and len(each) > 20:
            print(f"\r{at + 1} / {len(each)}", end="", file=sys.stderr, flush=True)
        of = Findings(str(path))
        found.append(of)
        try:
            one = Examined(read_file(path), trusted, now, of)
        except Refused as failure:
            of.differ("unreadable", failure)
            continue
        one.run(files)
        examined.append(one)
    series = together(examined) if len(each) > 1 else []
    codes = {one.exit for one in [*found, *series]}
    exit_code = next((code for code in (1, 2, 3, 4) if code in codes), AS_SIGNED)
    return {
        "version": 1,
        "exit": exit_code,
        "verdict": VERDICTS[exit_code][0],
        "records": [one.as_json() for one in found],
        "series": [one.as_json() for one in series],
    }


def lines(answer: Mapping[str, Any], language: str) -> Iterator[str]:
    """Yield an answer in words."""
    ja = language != "en"
    yield (
        "Q&A第2版Q13の観点で確認した事実" if ja else "Facts confirmed, in the view of Q&A 2, Q13"
    )
    marks = (("differs", "✗"), ("open", "－"), ("held", "○")) if ja else (
        ("differs", "[differs]"), ("open", "[open]   "), ("held", "[holds]  "))  # fmt: skip
    words = {code: pair[0 if ja else 1] for code, *pair in VERDICTS.values()}
    for one in [*answer["records"], *answer["series"]]:
        yield ""
        yield f"{one['path']}: {words[one['verdict']]}"
        if "transfer" in one:
            test = (" 試験" if ja else " TEST") if one["test"] else ""
            yield f"  No. {one['number']}  {one['transfer']}  {one['state']}{test}  {one['signed']}"
        for kind, mark in marks:
            for finding in one[kind]:
                yield f"  {mark} {finding['ja' if ja else 'en']}  [{finding['code']}]"
    unproven = {key for one in answer["records"] for key in one.get("not_proven", ())}
    if unproven:
        yield ""
        yield "この記録が証明しないこと:" if ja else "What these records do not prove:"
        yield from (
            f"  ・ {NOT_PROVEN[key][0 if ja else 1]}" for key in NOT_PROVEN if key in unproven
        )
    yield ""
    yield f"{words[answer['verdict']]} (exit {answer['exit']})"


def _options(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="証跡記録をオフラインで確かめる / check evidence records, offline",
        epilog="exit 0: as signed  1: differs  2: unreadable  3: signers not established"
        "  4: sender alone",
    )
    add = parser.add_argument
    add("records", nargs="*", type=Path, metavar="RECORD", help="記録 / record file, or folder")
    add(
        "--trust",
        type=Path,
        metavar="DIR",
        help="監査人が各施設から得た証明書 / certificates had from each institution itself",
    )
    add(
        "--file",
        action="append",
        default=[],
        type=Path,
        metavar="INSTANCE",
        help="記録にあるはずの画像 / image file that has to be in the record",
    )
    add(
        "--write",
        type=Path,
        metavar="FILE",
        help="このプログラムを1つのファイルに書き出す / write this program as one file",
    )
    add("--json", action="store_true", help="JSONで出す / print JSON")
    add("--lang", choices=("ja", "en"), help="言語 / language")
    return parser  # fmt: skip


def main(line: Sequence[str] | None = None, program: str = "verify.py") -> int:
    """Run the program; returns its exit code."""
    given = _options(program).parse_args(line)
    named = os.environ.get("TODOKE_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG")
    language = given.lang or (
        "en" if (named or locale.getlocale()[0] or "").startswith("en") else "ja"
    )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a hostile file says may be no text
            stream.reconfigure(errors="backslashreplace")
    try:
        if given.write:
            given.write.write_bytes(Path(__file__).read_bytes())
            if not given.records:
                return 0
        answer = verify(given.records, given.trust, given.file)
    except (Refused, OSError) as failure:
        said = "確かめられません" if language == "ja" else "cannot be checked"
        print(f"{said}: {failure}", file=sys.stderr)
        return UNREADABLE
    if given.json:
        print(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        print("\n".join(lines(answer, language)))
    return int(answer["exit"])


if __name__ == "__main__":
    raise SystemExit(main())
