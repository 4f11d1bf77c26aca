"""A signed and countersigned record file to print, with all that can be long in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from common.link import Digest
from common.proof import jws, record
from common.proof.identity import Node

PATIENT = {"PatientID": "P-0009876543", "IssuerOfPatientID": "0110000002"}
NAME = "TAKAHASHI^SABURO=髙橋^﨑三郎=タカハシ^サブロウ"
STUDY = "1.2.826.0.1.3680043.8.498.11111111111111111111111111111111111111"
RULES = {
    "R1": "SOPクラスが画像として許可されたものか",
    "R2": "変換の種別 (0008,0064) が撮影・取込の再撮影を示すか",
    "R3": "画像種別 (0008,0008) が ORIGINAL\\PRIMARY である取得画像が1件以上あるか",
    "R4": "CT・MRとしての要素 (Rescale、画素間隔、位置) がそろっているか",
    "R5": "画面の撮影を疑わせる特徴があるか (参考)",
    "R6": "非可逆圧縮の表示 (0028,2110) があるか",
    "R7": "転送構文を変えたか。変えたときは両端の標本値が一致したか",
    "R8": "焼き込まれた注記 (0028,0301) があるか",
    "R9": "取込の経路と等級",
    "R10": "署名された受領証があるか",
    "R11": "両端の医療機関コードが異なり、登録されているか",
    "R12": "画面の表示だけで受領と数えていないか",
}
DIGEST = "ab" * 32


def declaration() -> dict[str, Any]:
    results = ["pass", "warn", "fail", "open", "not applicable"]
    rules = [
        {"id": rule, "result": results[n % 5], "ja": ja, "en": rule, "count": n * 37}
        for n, (rule, ja) in enumerate(RULES.items())
    ]
    return {
        "rule_set": "qa-v2", "set": "radiology", "grade": "A", "direct": True,
        "roles": {"acquired": 480, "accompanying": 19, "accessory": 1, "non-image": 0},
        "rules": rules, "as": "direct", "released": None,
        "basis": {"ja": "院内掲示", "en": "notice", "code": "implied"},
    }  # fmt: skip


def recorded(sender: Node, receiver: Node, *, test: bool = False) -> record.Record:
    established = {
        part: {"is": is_, "by": "receiver", "ja": f"{part} を両端の署名で確かめた事実", "en": part}
        for part, is_ in zip(record.PARTS, ("yes", "partly", "yes", "no", "open"), strict=True)
    }  # fmt: skip
    tls = {
        "version": "TLSv1.3",
        "cipher": "TLS_AES_256_GCM_SHA384",
        "ours": DIGEST,
        "theirs": DIGEST,
    }
    at = "2026-11-27T02:03:04.567+00:00"
    names = "created", "opened", "started", "delivered", "closed", "receipted", "signed"
    software = {"version": "0.1.0", "commit": "c0ffee" * 6 + "c0ff", "sbom": DIGEST}
    ends = [{"code": n.institution.code, "name": n.institution.name} for n in (sender, receiver)]
    leaves = [record.leaf(Digest(f"{STUDY}.{n}", 524288, DIGEST), "acquired") for n in range(3)]
    key = record.key_of(b"s" * 32, "0" * 32)
    return record.Record(
        number=41, before=DIGEST, transfer="0" * 32, kind="dicom", purpose="diagnosis",
        priority="urgent", test=test, state="receipted", sender=ends[0], receiver=ends[1],
        subject=record.subject(key, PATIENT, STUDY), declaration=declaration(),
        instances={"count": 3, "bytes": 3 * 524288, "root": record.root(leaves)},
        statements={"opening": DIGEST, "closing": DIGEST, "receipt": DIGEST}, digests_equal=True,
        established=established, tls={"dicom": tls, "link": tls}, times=dict.fromkeys(names, at),
        clock={"offset_ms": 12, "round_trip_ms": 21, "bound_ms": 1000},
        software={"sender": software, "receiver": software},
    )  # fmt: skip


def recorded_file(
    requesting: Node,
    supporting: Node,
    view: str = "inside",
    *,
    countersigned: bool = True,
    **other: Any,
) -> dict[str, Any]:
    """Return a record file as ``sender show --record`` writes it, signed by both nodes."""
    made = replace(recorded(requesting, supporting), **other)
    statement = jws.sign(record.words(made), requesting)
    below = record.Countersignature(
        record=record.name(statement), transfer=made.transfer, number=made.number,
        sender=made.sender["code"], receiver=made.receiver["code"], count=3,
        root=made.instances["root"], signed_at="2026-11-27T02:03:05.000+00:00",
    )  # fmt: skip
    inside = {"key": "00" * 32, "patient": PATIENT, "study": STUDY}
    return {
        "type": "todoke-record", "version": 1, "view": view, "record": statement,
        "countersignature": jws.sign(record.words(below), supporting) if countersigned else None,
        "certificates": {
            "sender": requesting.signing_certificate, "receiver": supporting.signing_certificate,
        },
        "instances": [], "anchors": [], "timestamp": None,
        **({"subject": inside} if view == "inside" else {}),
    }  # fmt: skip
