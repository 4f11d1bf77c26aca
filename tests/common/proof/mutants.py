"""Records, receipts and images spoilt in every way, each with the name of what finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from common.dicom import dataset
from common.proof import certificates, jws, record
from common.proof.identity import Node
from tests.common.proof.handed import HERE, PATIENT, THERE, Case, Handed, Words, anchor

MUTANTS: dict[str, tuple[str, Callable[[Case], Handed]]] = {}


def mutant(name: str, finds: str) -> Callable[[Callable[[Case], Handed]], Callable[[Case], Handed]]:
    """Enter a mutant: its name, and what finds it."""

    def enter(make: Callable[[Case], Handed]) -> Callable[[Case], Handed]:
        MUTANTS[name] = finds, make
        return make

    return enter


def again(case: Case, at: int = 0, signer: Node | None = None, **changes: Any) -> Words:
    """Return a record file with the record changed and signed anew, countersigned as it was."""
    words = {**case.read(at), **changes}
    return {**case.files[at], "record": jws.sign(words, signer or case.sender)}


def countersigned(case: Case, at: int = 0, **changes: Any) -> Handed:
    """Return the file whose receiver signed other words below it."""
    words = {**case.read(at, "countersignature"), **changes}
    return Handed([{**case.files[at], "countersignature": jws.sign(words, case.receiver)}])


def leaves(case: Case) -> list[Words]:
    """Return copies of the first record's leaves."""
    return [dict(one) for one in case.files[0]["instances"]]


def flipped(path: Path, at: int) -> bytes:
    """Return a file's bytes with one bit turned."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    return bytes(data)


@mutant("one bit of the pixels", "file-altered")
def pixel_bit(case: Case) -> Handed:
    return Handed(case.files[:1], [case.image("pixels", flipped(case.images[0], -1))])


@mutant("one bit of the header", "file-altered")
def header_bit(case: Case) -> Handed:
    data = case.images[0].read_bytes()
    at = data.index("髙橋".encode())
    return Handed(case.files[:1], [case.image("header", flipped(case.images[0], at))])


@mutant("an image of elsewhere", "file-unknown")
def foreign(case: Case) -> Handed:
    own = case.images[0].read_bytes()
    uid = case.files[0]["instances"][0]["uid"]
    other = uid[:-1] + ("1" if uid[-1] != "1" else "2")
    return Handed(case.files[:1], [case.image("other", own.replace(uid.encode(), other.encode()))])


@mutant("two images swapped", "file-uid")
def swapped(case: Case) -> Handed:
    one, other = (path.read_bytes() for path in case.images[:2])
    at, by = (dataset.read_part10(path).offset for path in case.images[:2])
    return Handed(case.files[:1], [case.image("swapped", one[:at] + other[by:])])


@mutant("no image at all", "file-unreadable")
def no_image(case: Case) -> Handed:
    return Handed(case.files[:1], [case.image("none", b"PK" * 100)])


@mutant("the receiver holds one flipped bit", "root")
def stored_bit(case: Case) -> Handed:
    held = leaves(case)
    held[0]["d1"] = held[1]["d1"]
    return countersigned(case, root=record.root(held))


@mutant("the receiver holds another order", "root")
def order(case: Case) -> Handed:
    return countersigned(case, root=record.root(leaves(case)[::-1]))


@mutant("the receiver holds two images swapped", "root")
def stored_swap(case: Case) -> Handed:
    held = leaves(case)
    held[0], held[1] = ({**a, "uid": b["uid"]} for a, b in zip(held[:2], held[1::-1], strict=True))
    return countersigned(case, root=record.root(held))


@mutant("the receiver holds one less", "count")
def fewer(case: Case) -> Handed:
    held = leaves(case)[:-1]
    return countersigned(case, count=len(held), root=record.root(held))


@mutant("the receiver holds a level without one tile", "root")
def tile(case: Case) -> Handed:
    held = leaves(case)
    held[-1]["root"] = "cd" * 32
    return countersigned(case, root=record.root(held))


@mutant("the receiver said yes and stored nothing", "count")
def unstored(case: Case) -> Handed:
    return countersigned(case, count=0, root="")


@mutant("a countersignature replayed", "countersignature-other")
def replayed(case: Case) -> Handed:
    return Handed([{**case.files[1], "countersignature": case.files[0]["countersignature"]}])


@mutant("a record edited", "record-signature")
def edited(case: Case) -> Handed:
    head, payload, signature = case.files[0]["record"].split(".")
    other = jws.sign({**case.read(0), "purpose": "advice"}, case.sender).split(".")[1]
    assert payload != other
    return Handed([{**case.files[0], "record": f"{head}.{other}.{signature}"}])


@mutant("a record edited and signed anew by its sender", "countersignature-other")
def signed_anew(case: Case) -> Handed:
    return Handed([again(case, purpose="advice")])


@mutant("a record of a series edited and signed anew", "chain")
def series_anew(case: Case) -> Handed:
    return Handed([again(case, purpose="advice"), *case.files[1:]])


@mutant("two records under one number", "twice")
def twice(case: Case) -> Handed:
    return Handed([again(case, purpose="advice"), *case.files])


@mutant("a record deleted", "missing")
def deleted(case: Case) -> Handed:
    return Handed([case.files[0], *case.files[2:]])


@mutant("the last record deleted", "missing")
def last_deleted(case: Case) -> Handed:
    return Handed(case.files[:-1])


@mutant("signed with another hospital's key", "sender-institution")
def other_hospital(case: Case) -> Handed:
    return Handed([again(case, signer=case.other)])


@mutant("countersigned with another hospital's key", "receiver-institution")
def other_receiver(case: Case) -> Handed:
    words = case.read(0, "countersignature")
    return Handed([{**case.files[0], "countersignature": jws.sign(words, case.other)}])


def forged(case: Case, sender: Node, receiver: Node) -> Words:
    """Return a record that is whole and agrees with itself, signed by these two."""
    statement = jws.sign(case.read(0), sender)
    words = {**case.read(0, "countersignature"), "record": record.name(statement)}
    certificates = (sender.signing_certificate, receiver.signing_certificate)
    return {
        **case.files[0], "record": statement, "countersignature": jws.sign(words, receiver),
        "certificates": dict(zip(("sender", "receiver"), certificates, strict=True)),
        "anchors": [],
    }  # fmt: skip


def with_key(case: Case, own: Node, code: str, issuer: Node | None = None) -> Node:
    """Return `own` under a certificate of another code, issued by another key if asked."""
    subject = certificates.self_issued(own.signing_key, "x", code)
    if issuer is not None:
        authority = certificates.Authority(
            certificates.from_pem(issuer.signing_certificate), issuer.signing_key
        )
        subject = authority.issue(own.signing_key.public_key(), "x", institution=code)
    return replace(own, signing_certificate=certificates.to_pem(subject))


def fresh(case: Case, code: str) -> Node:
    """Return an end that nobody paired with, of any code."""
    shell = replace(case.sender, signing_key=certificates.new_key())
    return with_key(case, shell, code)


@mutant("a whole record made with two fresh keys", "sender-key")
def two_fresh_keys(case: Case) -> Handed:
    return Handed([forged(case, fresh(case, HERE), fresh(case, THERE))])


@mutant("a sender's key made by the receiver", "sender-key")
def made_by_receiver(case: Case) -> Handed:
    return Handed([forged(case, fresh(case, HERE), case.receiver)])


@mutant("a sender's certificate issued by the receiver, and trusted", "sender-issuer")
def issued_by_receiver(case: Case) -> Handed:
    false = with_key(case, fresh(case, HERE), HERE, case.receiver)
    return Handed([forged(case, false, case.receiver)], trust=[false.signing_certificate])


@mutant("the receiver's own key under the sender's name, and trusted", "one-key")
def one_key(case: Case) -> Handed:
    false = with_key(case, case.receiver, HERE)
    return Handed([forged(case, false, case.receiver)], trust=[false.signing_certificate])


@mutant("both ends are one institution", "one-institution")
def one_institution(case: Case) -> Handed:
    return Handed([again(case, receiver=case.read(0)["sender"])])


@mutant("signed after the certificate ended", "sender-validity")
def after_the_end(case: Case) -> Handed:
    since = datetime.now(UTC) - timedelta(days=certificates.SIGNING_DAYS + 2)
    ended = certificates.self_issued(case.sender.signing_key, "x", HERE, now=since)
    false = replace(case.sender, signing_certificate=certificates.to_pem(ended))
    return Handed([forged(case, false, case.receiver)], trust=[false.signing_certificate])


@mutant("signed tomorrow", "time-order")
def tomorrow(case: Case) -> Handed:
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    return Handed([again(case, times={**case.read(0)["times"], "signed": later})])


@mutant("countersigned before it was signed", "time-order")
def countersigned_before(case: Case) -> Handed:
    signed = datetime.fromisoformat(case.read(0)["times"]["signed"])
    return countersigned(case, signed_at=(signed - timedelta(minutes=30)).isoformat())


@mutant("signed with a clock beyond the bound", "clock")
def clock(case: Case) -> Handed:
    return Handed([again(case, clock={"offset_ms": 2000, "round_trip_ms": 1, "bound_ms": 1000})])


@mutant("receipted without a receipt", "contradiction")
def no_receipt(case: Case) -> Handed:
    return Handed([again(case, statements={**case.read(0)["statements"], "receipt": ""})])


@mutant("a word that no record has", "record-form")
def odd_word(case: Case) -> Handed:
    return Handed([again(case, verdict="direct")])


@mutant("a leaf changed in the list", "leaves")
def leaf(case: Case) -> Handed:
    listed = leaves(case)
    listed[0]["role"] = "accessory"
    return Handed([{**case.files[0], "instances": listed}])


@mutant("a proof of another image", "proof")
def proof(case: Case) -> Handed:
    (one,) = case.files[0]["proofs"]
    false = {**one, "leaf": {**one["leaf"], "d1": "cd" * 32}}
    return Handed([{**case.files[0], "proofs": [false]}])


@mutant("another patient", "subject")
def patient(case: Case) -> Handed:
    shown = {**case.files[0]["subject"], "patient": {**PATIENT, "PatientID": "T8"}}
    return Handed([{**case.files[0], "subject": shown}])


@mutant("the outside view with the patient in it", "view")
def outside(case: Case) -> Handed:
    return Handed([{**case.files[0], "view": "outside"}])


@mutant("an anchor of another day's records", "anchor-other")
def other_anchor(case: Case) -> Handed:
    return Handed([{**case.files[0], "anchors": case.files[1]["anchors"]}])


@mutant("an anchor made by somebody else", "anchor-signature")
def false_anchor(case: Case) -> Handed:
    (entry,) = case.files[0]["anchors"]
    words = jws.verify(entry["anchor"], case.sender.signing_certificate)
    false = {**entry, "anchor": jws.sign({**words, "root": "cd" * 32}, case.sender)}
    return Handed([{**case.files[0], "anchors": [false]}])


@mutant("a timestamp that is none", "timestamp")
def timestamp(case: Case) -> Handed:
    return Handed([{**case.files[0], "timestamp": "MIIB"}])


@mutant("no record at all", "unreadable")
def no_record(case: Case) -> Handed:
    return Handed([{"type": "todoke-record", "version": 2}])


@mutant("a countersignature edited", "countersignature-signature")
def edited_below(case: Case) -> Handed:
    head, _, signature = case.files[0]["countersignature"].split(".")
    other = case.files[1]["countersignature"].split(".")[1]
    return Handed([{**case.files[0], "countersignature": f"{head}.{other}.{signature}"}])


@mutant("a word that no countersignature has", "countersignature-form")
def odd_word_below(case: Case) -> Handed:
    return countersigned(case, accepted=True)


@mutant("countersigned with a fresh key", "receiver-key")
def fresh_receiver(case: Case) -> Handed:
    return Handed([forged(case, case.sender, fresh(case, THERE))])


@mutant("a receiver's certificate issued by the sender, and trusted", "receiver-issuer")
def issued_by_sender(case: Case) -> Handed:
    false = with_key(case, fresh(case, THERE), THERE, case.sender)
    return Handed([forged(case, case.sender, false)], trust=[false.signing_certificate])


@mutant("countersigned after the certificate ended", "receiver-validity")
def countersigned_after_the_end(case: Case) -> Handed:
    since = datetime.now(UTC) - timedelta(days=certificates.SIGNING_DAYS + 2)
    ended = certificates.self_issued(case.receiver.signing_key, "x", THERE, now=since)
    false = replace(case.receiver, signing_certificate=certificates.to_pem(ended))
    return Handed([forged(case, case.sender, false)], trust=[false.signing_certificate])


@mutant("a record of an anchored day signed anew", "anchor-root")
def anchored_anew(case: Case) -> Handed:
    return series_anew(case)


@mutant("a day's anchor that does not follow the day before", "anchor-missing")
def loose_anchor(case: Case) -> Handed:
    files = [dict(one) for one in case.files]
    anchor(replace(case, files=files[:1]))
    anchor(replace(case, files=files[1:]))
    return Handed(files)


#: The same findings for other reasons: what finds it, a word of what it is about, and how.
VARIANTS: list[tuple[str, str, Callable[[Case], Handed]]] = [
    ("countersignature-signature", "JWS", lambda case: Handed(
        [{**case.files[0], "countersignature": "a.b"}])),
    ("clock", "countersignature", lambda case: countersigned(
        case, clock={"offset_ms": 0, "round_trip_ms": 0, "bound_ms": 9})),
    ("clock", "2000 ms", lambda case: Handed(
        [again(case, clock={"offset_ms": 2000, "round_trip_ms": 1, "bound_ms": 1000})])),
    ("contradiction", "receipted, digests_equal", lambda case: Handed(
        [again(case, digests_equal=None)])),
    ("contradiction", "failed, digests_equal", lambda case: Handed([again(
        case, state="failed", statements=dict.fromkeys(("opening", "closing", "receipt"), ""))])),
    ("anchor-other", "proof", lambda case: Handed(
        [{**case.files[0], "anchors": [{**case.files[0]["anchors"][0], "place": None}]}])),
    ("view", "instances", lambda case: Handed(
        [{**case.files[0], "view": "outside", "subject": None}])),
    ("view", "subject", lambda case: Handed(
        [{**case.files[0], "view": "outside", "instances": {"count": 5}}])),
    ("leaves", "count", lambda case: Handed(
        [{**case.files[0], "view": "outside", "subject": None, "instances": {"count": 4}}])),
    ("proof", "form", lambda case: Handed([{**case.files[0], "proofs": [{}]}])),
    ("subject", "form", lambda case: Handed([{**case.files[0], "subject": {"key": "x"}}])),
    ("subject", "study", lambda case: Handed(
        [{**case.files[0], "subject": {**case.files[0]["subject"], "study": "1"}}])),
    ("subject", "said", lambda case: Handed(
        [{**case.files[0], "subject": {**case.files[0]["subject"], "said": "x"}}])),
    ("missing", "1-99999999", lambda case: Handed(
        [case.files[0], again(case, 1, number=99999999)])),
]  # fmt: skip
