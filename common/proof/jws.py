"""Signed statements: compact JWS (RFC 7515) with ES256 and nothing else.

The key is found by the caller, from what was pinned at pairing; the ``kid`` only
says early and clearly that a statement is from somebody else.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from cryptography.hazmat.primitives import serialization
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from common.errors import IntegrityError
from common.proof import certificates
from common.tls import fingerprint_of_pem

#: An opening lists every instance of a study, so it is larger than the library's usual.
LIMIT = 64 << 20  # bytes of a payload


class _Registry(jws.JWSRegistry):
    max_payload_length = LIMIT


_ES256 = _Registry(algorithms=["ES256"])


class Signer(Protocol):
    """What signing needs of a :class:`common.proof.identity.Node`."""

    @property
    def signing_key(self) -> certificates.Key:
        """The node's own long-lived key."""

    @property
    def signing_fingerprint(self) -> str:
        """SHA-256 of the certificate that partners pinned."""


def sign(payload: dict[str, Any], node: Signer) -> str:
    """Return `payload` signed by `node`.

    Parameters
    ----------
    payload : dict
        JSON; keys are sorted, so equal statements have equal bytes.
    node : Signer

    Returns
    -------
    str
        Compact JWS; ``kid`` is the SHA-256 of the signing certificate.
    """
    body = _encoded(payload)
    key = ECKey.import_key(certificates.key_to_pem(node.signing_key))
    header = {"alg": "ES256", "kid": node.signing_fingerprint}
    return jws.serialize_compact(header, body, key, registry=_ES256)


def _encoded(payload: dict[str, Any]) -> bytes:
    """Return the payload's JSON in UTF-8, long lists piece by piece.

    The encoder keeps some hundred bytes for each part until it has the whole: several
    times the text of a statement on ten thousand instances.
    """
    body = bytearray()
    for key, value in sorted(payload.items()):
        body += b"," if body else b"{"
        body += _json(key) + b":"
        if isinstance(value, list | tuple) and value:
            opening = b"["
            for one in value:
                body += opening + _json(one)
                opening = b","
            body += b"]"
        else:
            body += _json(value)
    return bytes(body or b"{") + b"}"


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def verify(statement: str, certificate: str) -> dict[str, Any]:
    """Return the payload of a statement signed under `certificate`.

    Parameters
    ----------
    statement : str
        Compact JWS.
    certificate : str
        PEM, pinned at pairing or given by the auditor; never out of the record.

    Raises
    ------
    IntegrityError
        Not signed by this certificate's key, or altered.
    """
    trusted = certificates.from_pem(certificate)
    spki = trusted.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        found = jws.deserialize_compact(statement, ECKey.import_key(spki), registry=_ES256)
        payload = json.loads(found.payload)
    except (JoseError, ValueError, RecursionError) as failure:
        raise IntegrityError(cause=f"JWS: {failure}") from failure
    if found.headers().get("kid") != fingerprint_of_pem(certificate):
        raise IntegrityError(cause="JWS: kid")
    if not isinstance(payload, dict):
        raise IntegrityError(cause="JWS: payload")
    return payload
