"""Signed statements: compact JWS (RFC 7515) with ES256 and nothing else.

The key is found by the caller, from what was pinned at pairing; the ``kid`` only
says early and clearly that a statement is from somebody else.

A statement on ten thousand instances has megabytes: it is encoded, hashed and
decoded piece by piece, so that no end holds it several times over.  What a header
may say is the library's to judge.
"""

from __future__ import annotations

import codecs
import hashlib
import itertools
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.util import urlsafe_b64decode

from common import entries
from common.errors import IntegrityError
from common.link import fields_of
from common.proof import certificates
from common.tls import fingerprint_of_pem

#: An opening lists every instance of a study, so it is larger than the library's usual.
LIMIT = 64 << 20  # bytes of a payload in base64
_PIECE = 3 << 14  # bytes encoded or characters decoded at a time: divides by 3 and by 4
_HALF = 32  # bytes of each number of an ES256 signature, RFC 7518 section 3.4
_BEYOND = re.compile("[^\x00-\x7f]+")
_OF_DIGEST = ec.ECDSA(Prehashed(hashes.SHA256()))


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
        JSON; a dataclass in it is the object of its fields.  Keys are sorted, so equal
        statements have equal bytes.
    node : Signer

    Returns
    -------
    str
        Compact JWS; ``kid`` is the SHA-256 of the signing certificate.
    """
    header = _json({"alg": "ES256", "kid": node.signing_fingerprint})
    digest = hashlib.sha256()
    said = ""  # grows where it stands; a join would need the room twice
    for piece in itertools.chain(_base64([header]), ["."], _base64(_encoded(payload))):
        digest.update(piece.encode("ascii"))
        said += piece
    numbers = decode_dss_signature(node.signing_key.sign(digest.digest(), _OF_DIGEST))
    signature = b"".join(number.to_bytes(_HALF) for number in numbers)
    said += "."
    said += "".join(_base64([signature]))
    return said


def _encoded(payload: dict[str, Any]) -> Iterator[bytes]:
    """Yield the payload's JSON in UTF-8, long lists part by part."""
    between = b"{"
    for key, value in sorted(payload.items()):
        yield between + _json(key) + b":"
        between = b","
        if isinstance(value, list | tuple) and value:
            opening = b"["
            for one in value:
                yield opening + _json(one)
                opening = b","
            yield b"]"
        else:
            yield _json(value)
    yield b"}" if payload else b"{}"


_json_text = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=fields_of
).encode


def _json(value: Any) -> bytes:
    return _json_text(value).encode()


def _base64(parts: Iterable[bytes]) -> Iterator[str]:
    """Yield base64url without padding (RFC 7515 section 2) of the parts together."""
    held = bytearray()
    for part in parts:
        held += part
        while len(held) >= _PIECE:
            yield urlsafe_b64encode(held[:_PIECE]).decode("ascii")
            del held[:_PIECE]
    yield urlsafe_b64encode(held).decode("ascii").rstrip("=")


def name(statement: str) -> str:
    """Return what an answer calls a statement: its SHA-256 in hex."""
    digest = hashlib.sha256()
    for start in range(0, len(statement), _PIECE):
        digest.update(statement[start : start + _PIECE].encode())
    return digest.hexdigest()


def verify(
    statement: str, certificate: str, entry: Callable[[Any], Any] = lambda one: one
) -> dict[str, Any]:
    """Return the payload of a statement signed under `certificate`.

    Parameters
    ----------
    statement : str
        Compact JWS.
    certificate : str
        PEM, pinned at pairing or given by the auditor; never out of the record.
    entry : callable
        Gives what is kept of each entry of a list, see :func:`common.entries.read`.

    Raises
    ------
    IntegrityError
        Not signed by this certificate's key, or altered.
    """
    trusted = certificates.from_pem(certificate).public_key()
    if not isinstance(trusted, ec.EllipticCurvePublicKey) or trusted.curve.name != "secp256r1":
        raise IntegrityError(cause="JWS: key")
    try:
        kid, text = _checked(statement, trusted)
        found = entries.read(text, entry)
    except InvalidSignature as failure:
        raise IntegrityError(cause="JWS: signature") from failure
    except (JoseError, ValueError, TypeError, RecursionError) as failure:  # TypeError: in a header
        raise IntegrityError(cause=f"JWS: {failure}") from failure
    if kid != fingerprint_of_pem(certificate):
        raise IntegrityError(cause="JWS: kid")
    if not isinstance(found, dict):
        raise IntegrityError(cause="JWS: payload")
    return found


def payload(statement: str, entry: Callable[[Any], Any] = lambda one: one) -> dict[str, Any]:
    """Return what a statement says that was checked before it was kept.

    Parameters
    ----------
    statement : str
        Compact JWS out of our own index, outbox or files.
    entry : callable
        As :func:`verify` takes it.
    """
    text = _text(statement, statement.find(".") + 1, statement.rfind("."), lambda _piece: None)
    found: dict[str, Any] = entries.read(text, entry)
    return found


def _escaped(text: str) -> str:
    """Return JSON with its letters beyond ASCII escaped: one of them doubles the whole text."""
    return text if text.isascii() else _BEYOND.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _checked(statement: str, key: ec.EllipticCurvePublicKey) -> tuple[Any, str]:
    """Return ``kid`` and payload of a statement whose signature holds."""
    first, last = statement.find("."), statement.rfind(".")
    if statement.count(".") != 2 or last - first > LIMIT:
        raise ValueError("not three parts, or too long")
    empty = f"{statement[:first]}.{statement[last:]}".encode("ascii")
    signed = jws.extract_compact(empty, registry=_ES256)
    header = signed.headers()
    if not isinstance(header, dict) or header.get("b64", True) is not True:
        raise ValueError("header")
    _ES256.check_header(header)
    _ES256.get_alg(header["alg"])
    signature = urlsafe_b64decode(signed.segments["signature"])
    if len(signature) != 2 * _HALF:
        raise ValueError("signature")
    digest = hashlib.sha256(empty[: first + 1])
    text = _text(statement, first + 1, last, digest.update)
    r, s = (int.from_bytes(half) for half in (signature[:_HALF], signature[_HALF:]))
    key.verify(encode_dss_signature(r, s), digest.digest(), _OF_DIGEST)
    return header.get("kid"), text


def _text(statement: str, first: int, last: int, seen: Callable[[bytes], None]) -> str:
    """Decode a payload that lies between two places; each piece is shown as it was signed."""
    text, utf8 = "", codecs.getincrementaldecoder("utf-8")()
    for start in range(first, last, _PIECE):
        piece = statement[start : min(start + _PIECE, last)].encode("ascii")
        seen(piece)
        text += _escaped(utf8.decode(urlsafe_b64decode(piece)))
    return text + utf8.decode(b"", final=True)
