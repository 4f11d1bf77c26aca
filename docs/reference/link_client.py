"""Sends one DICOM slide over `/link/v1` and checks the countersigned receipt.

An example for whoever writes the other end from link.md: nothing of todoke is imported,
only pydicom (to read the files) and cryptography (ES256).  One request at a time, no
resuming in mid level and no retries beyond asking what is missing; a product needs both.

    python link_client.py --link HOST:PORT --sender CODE --receiver CODE
        --ca CA.crt --cert LEAF.crt --key LEAF.key --signing-cert OWN.crt --signing-key OWN.key
        --receiver-signing-cert PINNED.crt LEVEL.dcm [LEVEL.dcm ...]
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import json
import secrets
import ssl
import struct
from pathlib import Path
from typing import Any

import pydicom
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from pydicom.encaps import generate_frames
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

BATCH = 200_000  # bytes of frames in one request


def sha256(*parts: bytes) -> str:
    """Return the SHA-256 of the parts together, in hex."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


def base64url(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def thumbprint(certificate: x509.Certificate) -> str:
    """Return what `kid` says: the SHA-256 of a certificate's DER."""
    return sha256(certificate.public_bytes(serialization.Encoding.DER))


def sign(payload: dict[str, Any], key: ec.EllipticCurvePrivateKey, kid: str) -> str:
    """Return a compact JWS, ES256."""
    parts = ({"alg": "ES256", "kid": kid}, payload)
    said = ".".join(base64url(json.dumps(p, separators=(",", ":")).encode()) for p in parts)
    r, s = utils.decode_dss_signature(key.sign(said.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{said}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def verify(statement: str, certificate: x509.Certificate) -> dict[str, Any]:
    """Return the payload of a JWS; raises unless the certificate's key has signed it."""
    head, body, signature = statement.split(".")
    raw = [base64.urlsafe_b64decode(part + "==") for part in (head, body, signature)]
    header = json.loads(raw[0])
    if header != {"alg": "ES256", "kid": thumbprint(certificate)} or len(raw[2]) != 64:
        raise ValueError("a JWS of somebody else")
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("the signing key is not of P-256")
    numbers = (int.from_bytes(half, "big") for half in (raw[2][:32], raw[2][32:]))
    der = utils.encode_dss_signature(*numbers)
    key.verify(der, f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
    return dict(json.loads(raw[1]))


def merkle_root(leaves: list[bytes]) -> str:
    """Return the Merkle root of RFC 6962 section 2.1 over SHA-256 values."""
    row = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
    while len(row) > 1:
        pairs = zip(row[::2], row[1::2], strict=False)
        lone = row[-1:] if len(row) % 2 else []
        row = [hashlib.sha256(b"\1" + a + b).digest() for a, b in pairs] + lone
    return row[0].hex()


class Level:
    """One level of the slide: its header, its frames and where each byte will lie."""

    def __init__(self, path: Path) -> None:
        ds = pydicom.dcmread(path)
        self.syntax = str(ds.file_meta.TransferSyntaxUID)
        found = generate_frames(ds.PixelData, number_of_frames=int(ds.NumberOfFrames))
        self.frames = [f[:-1] if f.endswith(b"\xff\xd9\0") else f for f in found]
        for tag in [tag for tag in ds if tag.tag.group == 0x7FE0]:
            del ds[tag.tag]
        self.ds, file = ds, DicomBytesIO()
        file.is_little_endian, file.is_implicit_VR = True, False
        write_dataset(file, ds)
        self.header = file.getvalue()
        self.leaves = [hashlib.sha256(frame).digest() for frame in self.frames]

    def slot(self) -> dict[str, Any]:
        """Return what the opening says of it; frames are sent whole, so the prefix is empty."""
        return {
            "uid": str(self.ds.SOPInstanceUID),
            "sop_class": str(self.ds.SOPClassUID),
            "transfer_syntax": self.syntax,
            "series": str(self.ds.SeriesInstanceUID),
            "number": int(self.ds.InstanceNumber),
            "frames": len(self.frames),
            "header": base64.b64encode(self.header).decode(),
        }

    def digest(self) -> dict[str, Any]:
        """Return what the closing says of it: the data set as the receiver lays it out."""
        items, offsets, at = [], [], 0
        for frame in self.frames:
            fragment = frame + b"\0" * (len(frame) & 1)
            offsets.append(at)
            items.append(struct.pack("<HHI", 0xFFFE, 0xE000, len(fragment)) + fragment)
            at += len(items[-1])
        table = struct.pack(f"<{len(offsets)}I", *offsets)
        parts = [
            self.header,
            struct.pack("<HH2sxxI", 0x7FE0, 0x0010, b"OB", 0xFFFFFFFF),
            struct.pack("<HHI", 0xFFFE, 0xE000, len(table)) + table,
            *items,
            struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
        ]
        length, root = sum(map(len, parts)), merkle_root(self.leaves)
        d1 = sha256(*parts)
        return {"uid": str(self.ds.SOPInstanceUID), "length": length, "d1": d1, "root": root}


class Link:
    """One connection to the receiver."""

    def __init__(self, address: str, ca: Path, cert: Path, key: Path) -> None:
        tls = ssl.create_default_context(cafile=str(ca))
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        tls.load_cert_chain(cert, key)
        self._http = http.client.HTTPSConnection(address, context=tls, timeout=60)

    def ask(self, method: str, path: str, body: bytes | str | None = None) -> tuple[int, Any]:
        """Return status and words of an answer."""
        self._http.request(method, f"/link/v1{path}", body)
        answer = self._http.getresponse()
        return answer.status, json.loads(answer.read() or b"null")

    def must(self, method: str, path: str, body: bytes | str | None = None) -> Any:
        """Return the words of an answer that has to be good."""
        status, words = self.ask(method, path, body)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {words}")
        return words


def send(link: Link, levels: list[Level], sign_with: Any, sender: str, receiver: str) -> Any:
    """Open, send what is missing, close; return transfer, closing and the receipt's JWS."""
    transfer, of = secrets.token_hex(16), levels[0].ds
    patient = pydicom.Dataset()
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID"):
        if keyword in of:
            patient[keyword] = of[keyword]
    opening = {
        "type": "opening", "version": 1, "transfer": transfer, "kind": "slide",
        "sender": sender, "receiver": receiver, "study": str(of.StudyInstanceUID),
        "attributes": patient.to_json_dict(), "instances": [level.slot() for level in levels],
    }  # fmt: skip
    link.must("POST", "/transfers", sign_with(opening))
    path = f"/transfers/{transfer}"
    for place, bitmap in link.must("GET", f"{path}/missing")["levels"].items():
        level, bits = levels[int(place)], base64.b64decode(bitmap)
        lengths = struct.pack(f"<{len(level.frames)}I", *map(len, level.frames))
        link.must("PUT", f"{path}/lengths/{place}", lengths)
        batch = b""
        for i, frame in enumerate(level.frames):
            if not bits[i // 8] >> i % 8 & 1:
                batch += struct.pack("<HII32s", int(place), i, len(frame), level.leaves[i]) + frame
            if len(batch) > BATCH or (batch and i == len(level.frames) - 1):
                link.must("POST", f"{path}/frames", batch)
                batch = b""
    instances = [level.digest() for level in levels]
    closing = sign_with(
        {"type": "closing", "version": 1, "transfer": transfer, "instances": instances}
    )
    receipt = link.must("POST", f"{path}/complete", closing)["receipt"]
    while receipt is None:  # it is being read back from the disk
        receipt = link.must("GET", f"{path}/receipt")["receipt"]
    return transfer, closing, receipt


def main() -> None:
    """Send the files that the command line names and print the verified receipt."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("link", "sender", "receiver"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("ca", "cert", "key", "signing-cert", "signing-key", "receiver-signing-cert"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    parser.add_argument("files", nargs="+", type=Path)
    said = parser.parse_args()
    own = x509.load_pem_x509_certificate(said.signing_cert.read_bytes())
    theirs = x509.load_pem_x509_certificate(said.receiver_signing_cert.read_bytes())
    key = serialization.load_pem_private_key(said.signing_key.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the signing key is not of P-256")
    levels = sorted(map(Level, said.files), key=lambda level: len(level.frames))
    link = Link(said.link, said.ca, said.cert, said.key)
    transfer, closing, signed = send(
        link, levels, lambda words: sign(words, key, thumbprint(own)), said.sender, said.receiver
    )
    receipt = verify(signed, theirs)
    named = [receipt[name] for name in ("type", "transfer", "sender", "receiver", "closing")]
    if named != ["receipt", transfer, said.sender, said.receiver, sha256(closing.encode())]:
        raise RuntimeError("a receipt of something else")
    ours = {
        one["uid"]: (one["length"], one["d1"], one["root"]) for one in map(Level.digest, levels)
    }
    read = {one["uid"]: (one["length"], one["d1"], one["root"]) for one in receipt["instances"]}
    if ours != read:
        raise RuntimeError("the receiver read other bytes back")
    print(json.dumps(receipt, ensure_ascii=False, indent=1))  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
