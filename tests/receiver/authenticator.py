"""An authenticator in software (Web Authentication section 6) that also signs what none would."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT_AND_VERIFIED, ATTESTED = 0x05, 0x40


def _text(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode("ascii")


@dataclass
class Authenticator:
    """One passkey.

    Attributes
    ----------
    origin, rp_id : str
        What it believes to be asked by.
    counter : int
        Of its signatures.
    """

    origin: str
    rp_id: str = "localhost"
    counter: int = 1
    flags: int = PRESENT_AND_VERIFIED
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """Make the passkey (section 6.3.2), without attestation."""
        public = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32), -3: public.y.to_bytes(32)}
        attested = bytes(16) + struct.pack(">H", len(self.id)) + self.id + cbor2.dumps(cose)
        data = self._data(self.flags | ATTESTED) + attested
        made = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", options)
        return self._credential({"clientDataJSON": client, "attestationObject": made})

    def sign(self, options: dict[str, Any], kind: str = "webauthn.get") -> dict[str, Any]:
        """Sign what is asked (section 6.3.3)."""
        client, data = self._client(kind, options), self._data(self.flags)
        signed = data + hashlib.sha256(client).digest()
        signature = self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        parts = {"clientDataJSON": client, "authenticatorData": data, "signature": signature}
        return self._credential(parts)

    def _client(self, kind: str, options: dict[str, Any]) -> bytes:
        said = {"type": kind, "challenge": options["challenge"], "origin": self.origin}
        return json.dumps(said | {"crossOrigin": False}).encode()

    def _data(self, flags: int) -> bytes:
        of = hashlib.sha256(self.rp_id.encode()).digest()
        return of + bytes([flags]) + struct.pack(">I", self.counter)

    def _credential(self, parts: dict[str, bytes]) -> dict[str, Any]:
        name = _text(self.id)
        response = {key: _text(part) for key, part in parts.items()}
        return {"id": name, "rawId": name, "type": "public-key", "response": response}
