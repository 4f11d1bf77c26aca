"""Makes link-vectors/: what is right and what is wrong on `/link/v1`, signed with test keys.

Nothing of todoke is imported, and a second run makes the same files (keys from a seed,
deterministic ECDSA of RFC 6979).  The keys are published: never trust them.

    python link_vectors.py [FOLDER]
"""

from __future__ import annotations

import base64
import copy
import datetime
import hashlib
import json
import struct
import sys
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

SEED = b"todoke link vectors 1"
SENDER, RECEIVER = "0110000026", "0110000018"
TRANSFER, OTHER = "5e" * 16, "0f" * 16
STUDY, SERIES = "2.25.5001", "2.25.5002"
WSI, JPEG = "1.2.840.10008.5.1.4.1.1.77.1.6", "1.2.840.10008.1.2.4.50"
PREFIX = b"\xff\xd8\xff\xfe\0\x08prefix"  # JPEG: SOI and a comment
LEVELS = ((1, 1), (3, 2))  # frames across and down
REQUEST = {"reason": "出血の有無", "doctor": "山﨑 一郎", "later": {"words": [1]}}


def key(name: str) -> ec.EllipticCurvePrivateKey:
    """Return a key that follows from the seed."""
    number = int.from_bytes(hashlib.sha512(SEED + name.encode()).digest(), "big")
    return ec.derive_private_key(number % (1 << 255) + 1, ec.SECP256R1())


def certificate(name: str) -> x509.Certificate:
    """Return the self-issued signing certificate of a test key."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"todoke vectors {name}")])
    number = int.from_bytes(hashlib.sha256(SEED + name.encode()).digest()[:8], "big") >> 1
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder(subject, subject, key(name).public_key(), number)
    made = made.not_valid_before(start).not_valid_after(start.replace(year=2056))
    return made.sign(key(name), hashes.SHA256(), ecdsa_deterministic=True)


def thumbprint(name: str) -> str:
    """Return the SHA-256 of a certificate's DER."""
    return hashlib.sha256(certificate(name).public_bytes(serialization.Encoding.DER)).hexdigest()


def base64url(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jws(payload: Any, name: str, **header: Any) -> str:
    """Return a compact JWS; `header` replaces what it should say."""
    head = {"alg": "ES256", "kid": thumbprint(name), **header}
    said = ".".join(
        base64url(json.dumps(part, separators=(",", ":"), sort_keys=True).encode())
        for part in (head, payload)
    )
    if head["alg"] == "none":
        return f"{said}."
    with_digest = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    r, s = utils.decode_dss_signature(key(name).sign(said.encode(), with_digest))
    return f"{said}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def element(tag: int, vr: str, value: str | int) -> bytes:
    """Return a short element in Explicit VR Little Endian."""
    raw = struct.pack("<H", value) if vr == "US" else b""
    raw = struct.pack("<I", value) if vr == "UL" else raw
    if isinstance(value, str):
        raw = value.encode()
        raw += (b"\0" if vr == "UI" else b" ") * (len(raw) & 1)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(raw)) + raw


def uid(place: int) -> str:
    """Return the SOP Instance UID of a level."""
    return f"2.25.600{place}"


def header(place: int) -> bytes:
    """Return the data set of a level before group 7FE0."""
    across, down = LEVELS[place]
    return b"".join(
        element(*said)
        for said in (
            (0x00080008, "CS", "ORIGINAL\\PRIMARY\\VOLUME\\NONE"),
            (0x00080016, "UI", WSI), (0x00080018, "UI", uid(place)), (0x00080060, "CS", "SM"),
            (0x00100010, "PN", "TEST^VECTOR"), (0x00100020, "LO", "VECTOR-1"),
            (0x0020000D, "UI", STUDY), (0x0020000E, "UI", SERIES),
            (0x00200013, "IS", str(place + 1)),
            (0x00280002, "US", 3), (0x00280004, "CS", "YBR_FULL_422"), (0x00280006, "US", 0),
            (0x00280008, "IS", str(across * down)), (0x00280010, "US", 64), (0x00280011, "US", 64),
            (0x00280100, "US", 8), (0x00280101, "US", 8), (0x00280102, "US", 7),
            (0x00280103, "US", 0),
            (0x00480006, "UL", 64 * across), (0x00480007, "UL", 64 * down),
        )
    )  # fmt: skip


def frame(place: int, number: int) -> bytes:
    """Return a frame without its prefix: no picture, some of odd length."""
    grain = hashlib.sha512(SEED + bytes((place, number))).digest() * 3
    return grain[: 100 + 7 * number + place] + b"\xff\xd9"


def count(place: int) -> int:
    """Return the number of frames of a level."""
    return LEVELS[place][0] * LEVELS[place][1]


def packed(place: int) -> bytes:
    """Return the frame lengths of a level."""
    lengths = [len(PREFIX) + len(frame(place, i)) for i in range(count(place))]
    return struct.pack(f"<{len(lengths)}I", *lengths)


def in_batch(place: int, number: int, data: bytes | None = None, sha: bytes | None = None) -> bytes:
    """Return a frame as it stands in a batch."""
    data = frame(place, number) if data is None else data
    digest = sha or hashlib.sha256(PREFIX + data).digest()
    return struct.pack("<HII32s", place, number, len(data), digest) + data


def merkle(leaves: list[bytes]) -> bytes:
    """Return the Merkle tree hash as RFC 6962 section 2.1 defines it."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + merkle(leaves[:half]) + merkle(leaves[half:])).digest()


def data_set(place: int) -> bytes:
    """Return the whole data set of a level, as both ends have it."""
    items, offsets = b"", []
    for i in range(count(place)):
        whole = PREFIX + frame(place, i)
        whole += b"\0" * (len(whole) & 1)
        offsets.append(len(items))
        items += struct.pack("<HHI", 0xFFFE, 0xE000, len(whole)) + whole
    table = struct.pack(f"<{len(offsets)}I", *offsets)
    start = struct.pack("<HH2sxxI", 0x7FE0, 0x0010, b"OB", 0xFFFFFFFF)
    start += struct.pack("<HHI", 0xFFFE, 0xE000, len(table)) + table
    return header(place) + start + items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def digests() -> list[dict[str, Any]]:
    """Return what each end finds of each level."""
    found = []
    for place in range(len(LEVELS)):
        whole = data_set(place)
        frames = [PREFIX + frame(place, i) for i in range(count(place))]
        root = merkle([hashlib.sha256(one).digest() for one in frames]).hex()
        d1 = hashlib.sha256(whole).hexdigest()
        said = {"uid": uid(place), "length": len(whole), "d1": d1, "d2": None, "d3": None}
        found.append({**said, "root": root})
    return found


def opening() -> dict[str, Any]:
    """Return the opening of the slide."""
    slots = [
        {
            "uid": uid(place), "sop_class": WSI, "transfer_syntax": JPEG, "series": SERIES,
            "number": place + 1, "length": 0, "frames": count(place),
            "header": base64.b64encode(header(place)).decode(),
            "prefix": base64.b64encode(PREFIX).decode(),
        }
        for place in range(len(LEVELS))
    ]  # fmt: skip
    patient = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "TEST^VECTOR"}]},
        "00100020": {"vr": "LO", "Value": ["VECTOR-1"]},
        "0020000D": {"vr": "UI", "Value": [STUDY]},
    }
    return {
        "type": "opening", "version": 1, "transfer": TRANSFER, "kind": "slide",
        "sender": SENDER, "receiver": RECEIVER, "study": STUDY, "attributes": patient,
        "instances": slots, "priority": "urgent", "purpose": "diagnosis", "test": True,
        "request": REQUEST, "opened_at": "2026-04-01T00:00:00.000+00:00",
    }  # fmt: skip


def closing() -> dict[str, Any]:
    """Return the closing of the slide."""
    return {
        "type": "closing", "version": 1, "transfer": TRANSFER, "instances": digests(),
        "source": {"files": 1, "sha256": "ab" * 32}, "closed_at": "2026-04-01T00:01:00.000+00:00",
    }  # fmt: skip


def receipt() -> dict[str, Any]:
    """Return the receipt that answers the closing."""
    return {
        "type": "receipt", "version": 1, "transfer": TRANSFER, "sender": SENDER,
        "receiver": RECEIVER,
        "closing": hashlib.sha256(jws(closing(), "sender").encode()).hexdigest(),
        "instances": digests(), "facts": {"request": asked()},
        "receipted_at": "2026-04-01T00:02:00.000+00:00",
    }  # fmt: skip


def leaves() -> list[dict[str, Any]]:
    """Return what stands for each level in the tree of a record."""
    return [{**one, "role": "acquired"} for one in digests()]


def canonical(value: Any) -> bytes:
    """Return JSON that is the same for equal values."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode()


def name(statement: str) -> str:
    """Return what others call a statement: SHA-256 of its compact JWS."""
    return hashlib.sha256(statement.encode()).hexdigest()


def record(receipted: str) -> dict[str, Any]:
    """Return the evidence record of the transfer, number 1 of its sender.

    Parameters
    ----------
    receipted : str
        The receipt that the sender was given, JWS.
    """
    software = {"version": "0", "commit": "", "sbom": ""}
    part = {"is": "open", "by": "vectors", "ja": "", "en": ""}
    subject = {"patient": "11" * 32, "study": "22" * 32}
    return {
        "type": "record", "version": 1, "rule_set": "qa-v2",
        "number": 1, "before": "", "transfer": TRANSFER,
        "kind": "slide", "purpose": "diagnosis", "priority": "urgent", "test": True,
        "state": "receipted", "reason": None, "person": None,
        "sender": {"code": SENDER, "name": "TEST SENDER"},
        "receiver": {"code": RECEIVER, "name": "TEST RECEIVER"},
        "subject": subject, "declaration": {},
        "instances": {
            "count": len(LEVELS), "bytes": sum(one["length"] for one in leaves()),
            "root": merkle([canonical(one) for one in leaves()]).hex(),
        },
        "statements": {
            "opening": name(jws(opening(), "sender")), "closing": name(jws(closing(), "sender")),
            "receipt": name(receipted),
        },
        "digests_equal": True,
        "established": {one: part for one in ("P1", "P2", "P3", "P4", "P5")},
        "tls": {"dicom": None, "link": None},
        "times": {
            **dict.fromkeys(("created", "started", "delivered", "receipted", "finished")),
            "signed": "2026-04-01T00:03:00.000+00:00",
        },
        "clock": {"offset_ms": -40, "round_trip_ms": 20, "bound_ms": 1000},
        "software": {"sender": software, "receiver": software},
        "not_proven": ["source", "declaration", "selection", "reading", "time"],
    }  # fmt: skip


def countersignature(statement: str) -> dict[str, Any]:
    """Return what the receiver signs below a record."""
    said = record(jws(receipt(), "receiver"))
    return {
        "type": "countersignature", "version": 1, "record": name(statement),
        "transfer": TRANSFER, "number": 1, "sender": SENDER, "receiver": RECEIVER,
        "count": said["instances"]["count"], "root": said["instances"]["root"],
        "signed_at": "2026-04-01T00:03:01.000+00:00", "clock": said["clock"],
    }  # fmt: skip


def asked() -> str:
    """Return the digest of the opening's request, as a receipt states it."""
    whole = {key: opening()[key] for key in ("priority", "purpose", "request")}
    text = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def changed(said: dict[str, Any], *path: str | int, to: Any) -> dict[str, Any]:
    """Return a copy with one value changed."""
    found = copy.deepcopy(said)
    at: Any = found
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = to
    return found


def altered(statement: str) -> str:
    """Return a statement one letter of whose payload is another."""
    head, body, signature = statement.split(".")
    letter = "A" if body[40] != "A" else "B"
    return f"{head}.{body[:40]}{letter}{body[41:]}.{signature}"


def statements() -> list[dict[str, Any]]:
    """Return signed sentences; `status` is the receiver's, `refused` says that a sender refuses."""
    other_root = changed(digests()[1], "root", to="00" * 32)
    openings = {
        "right": (jws(opening(), "sender"), 201),
        "payload altered": (altered(jws(opening(), "sender")), 422),
        "signed by another key": (jws(opening(), "stranger", kid=thumbprint("sender")), 422),
        "kid of another key": (jws(opening(), "sender", kid=thumbprint("stranger")), 422),
        "alg none": (jws(opening(), "sender", alg="none"), 422),
        "alg RS256": (jws(opening(), "sender", alg="RS256"), 422),
        "no JWS": ("opening", 422),
        "type closing": (jws(changed(opening(), "type", to="closing"), "sender"), 400),
        "unknown version": (jws(changed(opening(), "version", to=2), "sender"), 400),
        "unknown kind": (jws(changed(opening(), "kind", to="film"), "sender"), 400),
        "transfer is no id": (jws(changed(opening(), "transfer", to="../1"), "sender"), 400),
        "to another receiver": (
            jws(changed(opening(), "receiver", to="0119999999"), "sender"),
            400,
        ),
        "UID with a letter": (jws(changed(opening(), "study", to="1.2.x"), "sender"), 400),
        "slide without frames": (
            jws(changed(opening(), "instances", 0, "frames", to=0), "sender"),
            400,
        ),
        "one UID twice": (
            jws(changed(opening(), "instances", 1, "uid", to=uid(0)), "sender"),
            400,
        ),
        "prefix of 70 kB": (
            jws(
                changed(
                    opening(), "instances", 0, "prefix", to=base64.b64encode(bytes(70_000)).decode()
                ),
                "sender",
            ),
            400,
        ),
        "a word nobody knows": (jws({**opening(), "film": 1}, "sender"), 400),
        "a request item that is no text": (
            jws(changed(opening(), "request", "reason", to=7), "sender"),
            400,
        ),
        "a request with a control character": (
            jws(changed(opening(), "request", "reason", to="a\x1bb"), "sender"),
            400,
        ),
        "a request form without its digest": (
            jws(changed(opening(), "request", "forms", to=[{"uid": "2.25.1"}]), "sender"),
            400,
        ),
    }
    closings = {
        "payload altered": (altered(jws(closing(), "sender")), 422),
        "of another transfer": (jws(changed(closing(), "transfer", to=OTHER), "sender"), 400),
        "type receipt": (jws(changed(closing(), "type", to="receipt"), "sender"), 400),
        "an instance less": (
            jws(changed(closing(), "instances", to=digests()[:1]), "sender"),
            400,
        ),
        "digest is no digest": (
            jws(changed(closing(), "instances", 0, "d1", to="0"), "sender"),
            400,
        ),
        "other root": (jws(changed(closing(), "instances", 1, to=other_root), "sender"), 422),
        "right": (jws(closing(), "sender"), 200),
    }
    receipts = {
        "right": (jws(receipt(), "receiver"), False),
        "payload altered": (altered(jws(receipt(), "receiver")), True),
        "signed by the sender": (jws(receipt(), "sender", kid=thumbprint("receiver")), True),
        "type closing": (jws(changed(receipt(), "type", to="closing"), "receiver"), True),
        "unknown version": (jws(changed(receipt(), "version", to=2), "receiver"), True),
        "of another transfer": (jws(changed(receipt(), "transfer", to=OTHER), "receiver"), True),
        "of another closing": (jws(changed(receipt(), "closing", to="00" * 32), "receiver"), True),
        "to another sender": (jws(changed(receipt(), "sender", to="0119999999"), "receiver"), True),
        "other root": (jws(changed(receipt(), "instances", 1, to=other_root), "receiver"), True),
        "an instance less": (
            jws(changed(receipt(), "instances", to=digests()[:1]), "receiver"),
            True,
        ),
    }
    first = jws(record(jws(receipt(), "receiver")), "sender")
    below = countersignature(first)
    less = changed(below, "count", to=len(LEVELS) - 1)
    countersignatures = {
        "right": (jws(below, "receiver"), False),
        "payload altered": (altered(jws(below, "receiver")), True),
        "signed by the sender": (jws(below, "sender"), True),
        "signed by a stranger": (jws(below, "stranger"), True),
        "of another record": (jws(changed(below, "record", to="00" * 32), "receiver"), True),
        "an instance less": (jws(less, "receiver"), True),
        "other root": (jws(changed(below, "root", to="00" * 32), "receiver"), True),
        "a word nobody knows": (jws({**below, "accepted": True}, "receiver"), True),
    }
    return [
        {"kind": "record", "name": "right", "jws": first},
        *(
            {"kind": "countersignature", "name": n, "jws": s, "refused": c}
            for n, (s, c) in countersignatures.items()
        ),
        *({"kind": "opening", "name": n, "jws": s, "status": c} for n, (s, c) in openings.items()),
        *({"kind": "closing", "name": n, "jws": s, "status": c} for n, (s, c) in closings.items()),
        *({"kind": "receipt", "name": n, "jws": s, "refused": c} for n, (s, c) in receipts.items()),
    ]


def binary() -> dict[str, list[dict[str, Any]]]:
    """Return lengths, batches and bitmaps; in the order in which a receiver takes them."""
    struck = frame(1, 0)[:-3] + bytes((frame(1, 0)[-3] ^ 1,)) + b"\xff\xd9"
    lengths = [
        ("one length less", 1, packed(1)[:-4], 400),
        ("a length of 0", 1, bytes(4) + packed(1)[4:], 400),
        ("level 2 of 2", 2, packed(1), 404),
        ("right", 0, packed(0), 204),
        ("right", 1, packed(1), 204),
        ("the same again", 1, packed(1), 204),
        ("other lengths for a level laid out", 1, packed(1)[4:] + packed(1)[:4], 400),
    ]
    batches = [
        ("header cut", in_batch(1, 0) + in_batch(1, 1)[:30], 400),
        ("frame cut", in_batch(1, 0)[:-1], 400),
        ("other digest", in_batch(1, 1) + in_batch(1, 0, sha=bytes(32)), 422),
        ("other bytes", in_batch(1, 0, data=struck, sha=in_batch(1, 0)[10:42]), 422),
        ("a frame twice", in_batch(1, 0) * 2, 400),
        ("frame past the level", in_batch(1, count(1), data=b"x"), 400),
        ("place past the opening", in_batch(7, 0, data=b"x"), 400),
        ("other length", in_batch(1, 0, data=frame(1, 0) + b"\0"), 400),
        ("right: last first", in_batch(1, 5) + in_batch(0, 0), 200),
        ("other bytes for a frame that is held", in_batch(0, 0) + in_batch(1, 5, data=struck), 400),
        ("right: the rest", b"".join(in_batch(1, i) for i in range(5)), 200),
        ("the same again", in_batch(1, 2), 200),
    ]
    bitmaps = [
        ("none", 9, b"\0\0", []),
        ("first and last", 9, b"\x01\x01", [0, 8]),
        ("all", 8, b"\xff", list(range(8))),
        ("a byte more", 8, b"\xff\0", None),
        ("a byte less", 9, b"\xff", None),
    ]
    text = {"no base64": "***"}
    return {
        "lengths": [
            {"name": n, "place": p, "body": base64.b64encode(b).decode(), "status": s}
            for n, p, b, s in lengths
        ],
        "batches": [
            {"name": n, "body": base64.b64encode(b).decode(), "status": s} for n, b, s in batches
        ],
        "bitmaps": [
            {"name": n, "frames": c, "bitmap": base64.b64encode(b).decode(), "held": h}
            for n, c, b, h in bitmaps
        ]
        + [{"name": n, "frames": 8, "bitmap": b, "held": None} for n, b in text.items()],
    }


def keys() -> dict[str, dict[str, str]]:
    """Return the published keys."""
    clear = serialization.NoEncryption()
    as_pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, clear
    return {
        name: {
            "key": key(name).private_bytes(*as_pkcs8).decode(),
            "certificate": certificate(name).public_bytes(serialization.Encoding.PEM).decode(),
            "kid": thumbprint(name),
        }
        for name in ("sender", "receiver", "stranger")
    }


def files() -> dict[str, str]:
    """Return every file of the folder by name."""
    found: dict[str, Any] = {"keys": keys(), "statements": statements(), **binary()}
    said = {"transfer": TRANSFER, "sender": SENDER, "receiver": RECEIVER}
    found["case"] = {**said, "opening": opening(), "closing": closing(), "receipt": receipt()}
    return {f"{name}.json": json.dumps(what, indent=1) + "\n" for name, what in found.items()}


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "link-vectors"
    folder.mkdir(exist_ok=True)
    for file, text in files().items():
        (folder / file).write_text(text, "utf-8")
