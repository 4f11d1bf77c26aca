"""Signed statements: what is not exactly as signed is refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws as library
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey

from common.errors import IntegrityError
from common.proof import certificates, jws
from common.proof.identity import Institution, Node
from common.proof.role import Role

HERE = Institution("髙橋病院", "1310000001")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    return Node.create(tmp_path_factory.mktemp("node"), HERE, Role.REQUESTER)


def test_a_statement_comes_back_as_it_was_signed(node: Node) -> None:
    payload = {"b": [1, None, 1.5], "a": "髙橋﨑𠮷", "n": {}}
    statement = jws.sign(payload, node)
    assert jws.verify(statement, node.signing_certificate) == payload
    header = json.loads(base64.urlsafe_b64decode(statement.split(".")[0] + "=="))
    assert header["alg"] == "ES256"
    assert header["kid"] == node.signing_fingerprint
    assert jws.sign(payload, node).split(".")[1] == statement.split(".")[1]


def library_says(statement: str, node: Node) -> Any:
    """Return the payload by the JOSE library alone, IntegrityError where it refuses."""
    registry = library.JWSRegistry(algorithms=["ES256"])
    registry.max_payload_length = jws.LIMIT
    public = certificates.from_pem(node.signing_certificate).public_key()
    try:
        key = ECKey.import_key(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        found = library.deserialize_compact(statement, key, registry=registry)
        payload = json.loads(found.payload)
    except (JoseError, ValueError, TypeError, RecursionError):
        return IntegrityError
    ours = found.headers().get("kid") == node.signing_fingerprint
    return payload if ours and isinstance(payload, dict) else IntegrityError


def we_say(statement: str, node: Node) -> Any:
    try:
        return jws.verify(statement, node.signing_certificate)
    except IntegrityError:
        return IntegrityError


def long_payload(count: int) -> dict[str, Any]:
    return {
        "name": "髙橋﨑𠮷",
        "rows": [{"uid": f"1.2.{n}", "é": '山\\"\n\u0000'} for n in range(count)],
    }


@pytest.mark.parametrize("count", [0, 1, 5_000])
def test_long_statements_are_those_of_the_library(node: Node, count: int) -> None:
    payload = long_payload(count)
    text = json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    header = {"alg": "ES256", "kid": node.signing_fingerprint}
    key = ECKey.import_key(certificates.key_to_pem(node.signing_key))
    registry = library.JWSRegistry(algorithms=["ES256"])
    theirs = library.serialize_compact(header, text.encode(), key, registry=registry)
    ours = jws.sign(payload, node)
    assert ours.rsplit(".", 1)[0] == theirs.rsplit(".", 1)[0]
    assert library_says(ours, node) == payload == we_say(theirs, node)


@given(st.data())
def test_what_is_altered_is_judged_as_the_library_judges_it(
    node: Node, data: st.DataObject
) -> None:
    statement = jws.sign(long_payload(data.draw(st.integers(0, 3))), node)
    at = data.draw(st.integers(0, len(statement)))
    letters = st.text("AQgw.=+/-_ é", max_size=2)
    other = statement[:at] + data.draw(letters) + statement[at + data.draw(st.integers(0, 2)) :]
    assert we_say(other, node) == library_says(other, node)


@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "x"]),
        st.sampled_from(["ES256", "none", "x", ["b64"], ["x"], 1, None]),
    )
)
def test_any_header_is_judged_as_the_library_judges_it(node: Node, header: dict[str, Any]) -> None:
    said = {"alg": "ES256", "kid": node.signing_fingerprint} | header
    signed = ".".join(_base64url(part) for part in (json.dumps(said).encode(), b'{"a":1}'))
    der = node.signing_key.sign(signed.encode(), ECDSA(SHA256()))
    numbers = b"".join(number.to_bytes(32) for number in decode_dss_signature(der))
    statement = f"{signed}.{_base64url(numbers)}"
    assert we_say(statement, node) == library_says(statement, node)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_every_altered_letter_is_refused(node: Node) -> None:
    statement = jws.sign({"state": "receipted"}, node)
    for at in range(len(statement)):
        other = "A" if statement[at] != "A" else "Q"
        with pytest.raises(IntegrityError):
            jws.verify(statement[:at] + other + statement[at + 1 :], node.signing_certificate)


@given(st.text(max_size=200))
def test_any_text_is_refused_in_words(node: Node, text: str) -> None:
    with pytest.raises(IntegrityError):
        jws.verify(text, node.signing_certificate)


def test_another_signer_is_refused_even_under_our_name(node: Node, tmp_path: Path) -> None:
    other = Node.create(tmp_path, HERE, Role.REQUESTER)
    with pytest.raises(IntegrityError):
        jws.verify(jws.sign({"a": 1}, other), node.signing_certificate)
    key = ECKey.import_key(certificates.key_to_pem(other.signing_key))
    header = {"alg": "ES256", "kid": node.signing_fingerprint}
    with pytest.raises(IntegrityError):
        jws.verify(library.serialize_compact(header, b"{}", key), node.signing_certificate)


def test_a_renewed_certificate_over_the_same_key_is_another_signer(node: Node) -> None:
    """The certificate is what was pinned, not its key alone."""
    again = certificates.to_pem(certificates.self_issued(node.signing_key, HERE.name, HERE.code))
    with pytest.raises(IntegrityError, match="kid"):
        jws.verify(jws.sign({"a": 1}, node), again)


@pytest.mark.parametrize("payload", [b"[]", b"1", b"no json", b"\xff"])
def test_a_payload_that_is_no_object_is_refused(node: Node, payload: bytes) -> None:
    key = ECKey.import_key(certificates.key_to_pem(node.signing_key))
    header = {"alg": "ES256", "kid": node.signing_fingerprint}
    with pytest.raises(IntegrityError):
        jws.verify(library.serialize_compact(header, payload, key), node.signing_certificate)


def test_weaker_algorithms_are_refused(node: Node) -> None:
    """``none``, and HMAC with the public key as secret, are the classical forgeries."""
    body = base64.urlsafe_b64encode(b'{"a":1}').rstrip(b"=").decode()
    none = {"alg": "none", "kid": node.signing_fingerprint}
    head = base64.urlsafe_b64encode(json.dumps(none).encode()).rstrip(b"=").decode()
    hmac = library.serialize_compact(
        {"alg": "HS256", "kid": node.signing_fingerprint},
        b'{"a":1}',
        OctKey.import_key(base64.b64encode(node.signing_certificate.encode())),
        algorithms=["HS256"],
    )
    for forged in (f"{head}.{body}.", hmac):
        with pytest.raises(IntegrityError):
            jws.verify(forged, node.signing_certificate)
