"""A timestamp of a record's root by an authority of the site's choice (RFC 3161, DAT-11).

The authority sees 32 bytes and nothing else.  Whether it is an accredited one is for the
auditor to judge, from certificates of his own; here it is only seen to that the answer
is one to our question.
"""

from __future__ import annotations

import base64
import hashlib

from common.errors import PeerRefused, PeerUnreachable, ProtocolError

TIMEOUT = 15.0  # seconds
LIMIT = 1 << 16  # bytes of an answer


def stamp(url: str, root: bytes) -> str:
    """Return an authority's token over a root: base64 of the DER of its TimeStampToken.

    Raises
    ------
    PeerUnreachable, PeerRefused
        No answer, or not granted.
    ProtocolError
        The answer is none, or to something else.
    """
    import httpx
    from rfc3161_client import (
        HashAlgorithm,
        PKIStatus,
        TimestampRequestBuilder,
        decode_timestamp_response,
    )

    asked = TimestampRequestBuilder(root, HashAlgorithm.SHA256, nonce=True, cert_req=True).build()
    headers = {"Content-Type": "application/timestamp-query"}
    try:
        answer = httpx.post(
            url, content=asked.as_bytes(), headers=headers, timeout=TIMEOUT, trust_env=False
        )
    except (httpx.HTTPError, httpx.InvalidURL) as failure:
        raise PeerUnreachable(peer=url, cause=type(failure).__name__) from failure
    if answer.status_code != 200 or len(answer.content) > LIMIT:
        raise PeerRefused(cause=f"HTTP {answer.status_code}")
    try:
        found = decode_timestamp_response(answer.content)
        imprint = hashlib.sha256(root).digest()
        granted = found.status in (PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS)
        if not granted:
            raise PeerRefused(cause=f"PKIStatus {found.status}")
        told = found.tst_info
        same = told.nonce == asked.nonce and told.message_imprint.message == imprint
    except ValueError as failure:
        raise ProtocolError(cause="RFC 3161") from failure
    if not same:
        raise ProtocolError(cause="RFC 3161: imprint")
    return base64.b64encode(found.time_stamp_token()).decode("ascii")
