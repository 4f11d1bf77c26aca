"""The evidence record of one transfer: what was sent, by whom, to whom, and how it ended.

The sender makes and signs it when a transfer ends, in any way; the receiver compares it
with what it knows itself and countersigns.  What is signed names no patient by
construction: patient and study stand in it as HMACs under a key that never leaves the
site, instances as the root of a Merkle tree.  ``docs/reference/evidence.md`` has the
format; who reads it elsewhere (``common.proof.verify``) is written against that page.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from common import link
from common.errors import ProtocolError
from common.link import Digest
from common.proof import merkle
from common.states import TransferState

VERSION = 1
RULE_SET = "qa-v2"
#: In which states a transfer ends, and so is recorded.
STATES = frozenset(
    {
        TransferState.RECEIPTED,
        TransferState.DELIVERED,
        TransferState.COMMITTED,
        TransferState.FAILED,
        TransferState.RECALLED,
        TransferState.HELD,
    }
)
#: What no record proves (DIR-15); the words stand on every form of it.
NOT_PROVEN: dict[str, tuple[str, str]] = {
    "source": (
        "撮影装置そのものに、取り込まれた信号や撮影された画面が入力されていなかったこと",
        "that the acquiring device itself was not fed a captured signal or a photographed screen",
    ),
    "declaration": (
        "画像が自らについて述べる内容 (SOPクラス、画像種別、装置) が真実であること",
        "that what an image says of itself (SOP Class, image type, device) is true",
    ),
    "selection": (
        "撮影された画像のすべてが送信の対象に選ばれたこと",
        "that every image that was acquired was chosen to be sent",
    ),
    "reading": (
        "医師が画像を見たこと、診断したこと",
        "that a physician looked at the images, or made a diagnosis",
    ),
    "time": (
        "時刻が法的な時刻であること (計算機の時計による。認定タイムスタンプがある場合を除く)",
        "that the times are legal time (they are those of computers, unless there is a"
        " timestamp of an accredited authority)",
    ),
    "clock": (
        "両端の時計が合っていたこと (相手の時計を測る手段がなかった)",
        "that the two clocks agreed (there was no way to measure the partner's)",
    ),
    "identity": (
        "受け取った側に保存された画像が送った画像と同一であること (受領側の照合と副署がない)",
        "that what the receiving side stored equals what was sent"
        " (it compared and countersigned nothing)",
    ),
    "endpoint": (
        "受け取った側が登録された別の医療機関であること (相手の施設コードが登録されていない)",
        "that the receiving side is another registered institution"
        " (no institution code of it is registered)",
    ),
}
ALWAYS = ("source", "declaration", "selection", "reading", "time")
#: The five parts of REQUIREMENTS 1, and what each can be.
PARTS = ("P1", "P2", "P3", "P4", "P5")
ESTABLISHED = ("yes", "partly", "no", "open")
_SHA = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{32}")


def canonical(value: Any) -> bytes:
    """Return JSON that is the same for equal values: sorted keys, no spaces, UTF-8."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode()


# -- instances ----------------------------------------------------------------


def leaf(digest: Digest, role: str = "") -> dict[str, Any]:
    """Return what stands for an instance in the tree.

    Parameters
    ----------
    digest : Digest
        What an end found of it itself.
    role : str
        acquired, accompanying, accessory or non-image; empty where nobody judged.
    """
    return {
        "uid": digest.uid,
        "length": digest.length,
        "d1": digest.d1,
        "d2": digest.d2,
        "d3": digest.d3,
        "root": digest.root,
        "role": role,
    }


def root(leaves: Iterable[Mapping[str, Any]]) -> str:
    """Return the Merkle root over leaves, in the order of the closing."""
    return merkle.root(canonical(one) for one in leaves)


def as_sent(sent: Sequence[Digest], read: Sequence[Digest]) -> list[Digest]:
    """Return what the receiver read back, in the order and the coding of what was sent.

    An instance that travelled compressed lies in another coding than its source has, and
    an end may lack a decoder: length, D1 to D3 of the source are taken for it if, and only
    if, what was read back equals it as :func:`common.link.compare` says.  Else they are the
    receiver's, and the root is another.

    Parameters
    ----------
    sent, read : sequence of Digest
        Of the closing, and of the receiver's own re-read.
    """
    unequal = set(link.compare(sent, read))
    found = {one.uid: one for one in read}
    return [found.get(one.uid, _nothing(one)) if one.uid in unequal else one for one in sent]


def _nothing(one: Digest) -> Digest:
    return Digest(one.uid, -1, "0" * 64)


def proofs(leaves: Sequence[Mapping[str, Any]], uids: Iterable[str]) -> list[dict[str, Any]]:
    """Return inclusion proofs of single instances, to be shown without the others (DAT-12)."""
    words = [canonical(one) for one in leaves]
    places = {one["uid"]: place for place, one in enumerate(leaves)}
    return [
        {
            "place": places[uid],
            "count": len(leaves),
            "leaf": dict(leaves[places[uid]]),
            "path": merkle.proof(words, places[uid]),
        }
        for uid in uids
    ]


# -- the patient --------------------------------------------------------------


def key_of(secret: bytes, transfer: str) -> bytes:
    """Return the key of one record's HMACs: who is shown it can open that record alone.

    Parameters
    ----------
    secret : bytes
        Of the site; never sent.
    """
    return hmac.digest(secret, b"todoke subject\0" + transfer.encode("ascii"), "sha256")


def subject(key: bytes, patient: Mapping[str, Any], study: str) -> dict[str, str]:
    """Return the HMACs that stand for a patient and a study.

    Parameters
    ----------
    key : bytes
        Of :func:`key_of`.
    patient : mapping
        PatientID and IssuerOfPatientID, as strings.
    study : str
        Study Instance UID.
    """
    return {
        "patient": _keyed(key, b"patient\0" + canonical(dict(patient))),
        "study": _keyed(key, b"study\0" + study.encode("ascii", "replace")),
    }


def said(key: bytes, text: str) -> str:
    """Return the HMAC that stands for what a person typed: it may name a patient."""
    return _keyed(key, b"said\0" + text.encode()) if text else ""


def _keyed(key: bytes, message: bytes) -> str:
    return hmac.digest(key, message, "sha256").hex()


# -- the record ---------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is signed of one transfer (EVD-01).

    Attributes
    ----------
    number, before : int, str
        Its number from this sender to this partner, gapless from 1, and the SHA-256 of
        the record before, empty for the first.
    reason : dict or None
        ``number``, ``ja``, ``en`` of why it ended otherwise, and ``said``: the HMAC of
        what a person gave as reason.
    subject : dict
        HMACs ``patient`` and ``study``.
    instances : dict
        ``count``, ``bytes`` and ``root``.
    statements : dict
        SHA-256 of ``opening``, ``closing`` and ``receipt`` as signed, empty where none is.
    established : dict
        By part P1 to P5: ``is`` (yes, partly, no, open), ``by``, ``ja``, ``en``.
    """

    rule_set: str = RULE_SET
    number: int
    before: str
    transfer: str
    kind: str
    purpose: str
    priority: str
    test: bool
    state: str
    reason: dict[str, str] | None = None
    person: str | None = None
    sender: dict[str, str]
    receiver: dict[str, str]
    subject: dict[str, str]
    declaration: dict[str, Any] = field(default_factory=dict)
    instances: dict[str, Any]
    statements: dict[str, str]
    digests_equal: bool | None = None
    established: dict[str, dict[str, str]]
    tls: dict[str, dict[str, Any] | None]
    times: dict[str, str | None]
    clock: dict[str, int] | None = None
    software: dict[str, dict[str, str]]
    not_proven: tuple[str, ...] = ALWAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Countersignature:
    """What a receiver signs below a record.

    Attributes
    ----------
    record : str
        SHA-256 of the record as signed.
    count, root : int, str
        Of the instances that it read back itself; 0 and empty where it receipted none.
    """

    record: str
    transfer: str
    number: int
    sender: str
    receiver: str
    count: int
    root: str
    signed_at: str
    clock: dict[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """What is signed of a partner's day: that these records, and no others, were made.

    Attributes
    ----------
    day : str
        Of the records' ``times.signed``, UTC, YYYY-MM-DD.
    first, last, count : int
        Numbers of its records.
    root : str
        Merkle root over the SHA-256 of each record as signed, 32 bytes each, by number.
    before : str
        SHA-256 of the anchor before, empty for the first.
    """

    day: str
    sender: str
    receiver: str
    first: int
    last: int
    count: int
    root: str
    before: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorCountersignature:
    """What a receiver signs below an anchor, once its own records of that day agree."""

    anchor: str
    day: str
    sender: str
    receiver: str
    count: int
    root: str
    signed_at: str


TYPES: dict[type[Any], str] = {
    Record: "record",
    Countersignature: "countersignature",
    Anchor: "anchor",
    AnchorCountersignature: "anchor-countersignature",
}


def words(value: Record | Countersignature | Anchor | AnchorCountersignature) -> dict[str, Any]:
    """Return what is signed: the JSON object of a statement, with its type and version."""
    own = {one.name: getattr(value, one.name) for one in fields(value)}
    return {"type": TYPES[type(value)], "version": VERSION, **own}


def name(statement: str) -> str:
    """Return what others call a signed statement: the SHA-256 of its compact JWS, hex."""
    return hashlib.sha256(statement.encode()).hexdigest()


def day_root(names: Iterable[str]) -> str:
    """Return the root of an anchor over the names of records."""
    return merkle.root(bytes.fromhex(one) for one in names)


def read_record(payload: Any) -> Record:
    """Check a record whose signature holds.

    Raises
    ------
    ProtocolError
        Something is missing, of another type, or of an unknown version.
    """
    found: Record = _read(Record, payload)
    try:
        return _checked(found)
    except (TypeError, KeyError) as failure:
        raise ProtocolError(cause=f"record: {type(failure).__name__}") from failure


def _checked(found: Record) -> Record:
    _require(_ID.fullmatch(found.transfer), "transfer")
    _require(type(found.number) is int and found.number > 0, "number")
    _require(found.before == "" or _SHA.fullmatch(found.before), "before")
    _require((found.number == 1) == (found.before == ""), "before")
    _require(found.state in STATES, "state")
    for end in (found.sender, found.receiver):
        _require(isinstance(end["code"], str) and isinstance(end["name"], str), "an end")
    for kind in ("opening", "closing", "receipt"):
        _require(found.statements[kind] == "" or _SHA.fullmatch(found.statements[kind]), kind)
    for kind in ("patient", "study"):
        _require(_SHA.fullmatch(found.subject[kind]), kind)
    instances = found.instances
    _require(type(instances["count"]) is int and type(instances["bytes"]) is int, "instances")
    _require(instances["root"] == "" or _SHA.fullmatch(instances["root"]), "root")
    for part in PARTS:
        _require(found.established[part]["is"] in ESTABLISHED, part)
    _require(set(ALWAYS) <= set(found.not_proven) <= set(NOT_PROVEN), "not_proven")
    _require(isinstance(found.times["signed"], str), "times")
    return found


def read_countersignature(payload: Any) -> Countersignature:
    """Check a countersignature; raises as :func:`read_record`."""
    found: Countersignature = _read(Countersignature, payload)
    _require(_SHA.fullmatch(found.record), "record")
    _require(type(found.number) is int and type(found.count) is int, "number")
    _require(found.root == "" or _SHA.fullmatch(found.root), "root")
    _require(isinstance(found.signed_at, str), "signed_at")
    return found


def read_anchor(payload: Any) -> Anchor:
    """Check an anchor; raises as :func:`read_record`."""
    found: Anchor = _read(Anchor, payload)
    _require(re.fullmatch(r"\d{4}-\d\d-\d\d", found.day, re.ASCII), "day")
    _require(all(type(n) is int for n in (found.first, found.last, found.count)), "count")
    _require(0 < found.count == found.last - found.first + 1, "count")
    _require(_SHA.fullmatch(found.root), "root")
    return found


def read_anchor_countersignature(payload: Any) -> AnchorCountersignature:
    """Check what stands below an anchor; raises as :func:`read_record`."""
    found: AnchorCountersignature = _read(AnchorCountersignature, payload)
    _require(_SHA.fullmatch(found.anchor) and _SHA.fullmatch(found.root), "anchor")
    return found


def _read(kind: type[Any], payload: Any) -> Any:
    """Make a statement of its words; whatever of them does not fit is a ProtocolError."""
    what = TYPES[kind]
    try:
        given = dict(payload)
        _require(given.pop("type", None) == what, f"no {what}")
        _require(given.pop("version", None) == VERSION, "version")
        kinds = {one.name: str(one.type) for one in fields(kind)}
        for member, value in given.items():
            _require(_fits(value, kinds[member]), member)
        lists = {member: tuple(given[member]) for member in given if "tuple" in kinds[member]}
        return kind(**{**given, **lists})
    except (TypeError, KeyError, ValueError, AttributeError) as failure:
        raise ProtocolError(cause=f"{what}: {type(failure).__name__}") from failure


_OUTER = {"str": str, "int": int, "bool": bool, "dict": dict, "tuple": list | tuple}


def _fits(value: Any, annotation: str) -> bool:
    """Whether a value has the outer type that a field is written with."""
    if value is None:
        return annotation.endswith("| None")
    outer = _OUTER[annotation.removesuffix(" | None").split("[")[0]]
    return isinstance(value, outer) and (outer is bool or not isinstance(value, bool))


def _require(holds: object, what: str) -> None:
    if not holds:
        raise ProtocolError(cause=what)
