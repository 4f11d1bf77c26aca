"""Telling from the first bytes, or from a failed handshake, what the other end speaks.

A wrong port number is the commonest fault of an installation, and without
this it shows as "PDU too large" or as a handshake failure that names nothing.
"""

from __future__ import annotations

import ssl

_HTTP = (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"DELE", b"PATC", b"CONN", b"HTTP", b"PRI ")

HTTP_HINT = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Connection: close\r\n\r\n"
    + "これはDICOMのポートです。番号を確かめてください / This is a DICOM port\r\n".encode()
)

#: Fatal alert unexpected_message (RFC 8446 section 6.2) in a record of its own: to who spoke
#: no TLS it says that here is TLS.
TLS_HINT = b"\x15\x03\x01\0\x02\x02\x0a"
#: A-ABORT, unrecognized PDU (PS3.8 table 9-26): to who spoke TLS, that here is plain DICOM.
DICOM_HINT = b"\x07\0\0\0\0\x04\0\0\x02\x01"

SILENT = "接続後に何も届きません / nothing came after the connection"
CLOSED = "何も送らずに切れました / closed without a word"
CUT = "途中で切れました / closed in the middle"
SLOW = "握手が時間内に終わりません / handshake not done in time"
NOT_READY = "TLSの用意がありません / TLS is not ready here"
GAVE_WAY = "新しい接続に席を譲りました / gave way to newer connections"
TLS_ON_PLAIN = "平文のポートにTLSで接続されました / TLS hello on a plain port"
DICOM_ON_TLS = "TLSのポートに平文のDICOMで接続されました / plain DICOM on a TLS port"
HTTP_HERE = "DICOMのポートにHTTPで接続されました / HTTP on a DICOM port"
FULL = "接続数の上限です / too many associations"
PARTNER_FULL = "この相手の接続数の上限です / too many associations of this partner"
TOO_SLOW = "届くのが遅すぎます / comes too slowly"
TOO_SILENT = "途中で何も届かなくなりました / silent for too long"
DICOM_ON_HTTP = "HTTPのポートにDICOMで接続されました / DICOM on an HTTP port"
HTTP_ON_TLS = "HTTPSのポートに平文のHTTPで接続されました / plain HTTP on an HTTPS port"
TLS_ON_HTTP = "平文のHTTPのポートにTLSで接続されました / TLS hello on a plain HTTP port"
NOT_HTTP = "HTTPではありません / not HTTP"
HTTP_THERE = "相手のポートはHTTPです / the peer's port speaks HTTP"
TLS_THERE = "相手のポートはTLSです / the peer's port speaks TLS"
DICOM_THERE = "相手のポートはDICOMです / the peer's port speaks DICOM"
NOT_LINK = "相手のポートはリンクではありません / the peer's port is not the link"
NOT_DICOM = "DICOMではありません / not DICOM"
NOT_TLS = "TLSではありません / not TLS"


def is_http(first: bytes) -> bool:
    """Tell whether the bytes begin an HTTP request or answer."""
    return first[:4] in _HTTP


def is_tls(first: bytes) -> bool:
    """Tell whether the bytes begin a TLS handshake or alert record."""
    return len(first) >= 2 and first[0] in (0x15, 0x16) and first[1] == 3


def stranger(first: bytes, *, tls: bool) -> str | None:
    """Name a speaker of something else than the port is for, from its first bytes.

    Parameters
    ----------
    first : bytes
        What came first, as it was on the wire.
    tls : bool
        Whether the port speaks TLS.

    Returns
    -------
    str or None
        The cause in both languages; None for the right speaker.
    """
    if is_http(first):
        return HTTP_HERE
    if tls:
        if first[:1] == b"\x16":
            return None
        return DICOM_ON_TLS if first[:1] == b"\x01" else NOT_TLS
    if is_tls(first):
        return TLS_ON_PLAIN
    return None if first[:1] == b"\x01" else NOT_DICOM


def hint(first: bytes, *, tls: bool) -> bytes:
    """Return what tells a stranger, in its own words or ours, that the port is another's.

    Parameters
    ----------
    first : bytes
        Of :func:`stranger`, which named a cause.
    tls : bool
        Whether the port speaks TLS.
    """
    if is_http(first):
        return HTTP_HINT
    if tls:
        return TLS_HINT
    return DICOM_HINT if is_tls(first) else b""


_REASONS = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "証明書が示されません / no certificate was shown",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "証明書を求められました / our certificate is asked for",
    "WRONG_VERSION_NUMBER": NOT_TLS,
    "UNSUPPORTED_PROTOCOL": "TLSの版が古すぎます / TLS version too old",
    "TLSV1_ALERT_PROTOCOL_VERSION": "TLSの版が合いません / TLS versions do not meet",
    "NO_SHARED_CIPHER": "暗号の組が合いません / no cipher in common",
    "TLSV1_ALERT_UNKNOWN_CA": "相手が当方の証明書を認めません / our certificate is unknown there",
    "SSLV3_ALERT_BAD_CERTIFICATE": "相手が当方の証明書を認めません / our certificate is bad there",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "当方の証明書が期限切れです / our certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "当方の証明書は失効しています / our certificate is revoked",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "相手が証明書を認めません / our certificate is refused",
}


def handshake_cause(failure: OSError) -> str:
    """Return why a handshake failed, in both languages where it is a known reason."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        why = failure.verify_message
        return f"証明書を確認できません / certificate not accepted: {why}"
    if isinstance(failure, ssl.SSLEOFError | ConnectionError):
        return "握手の途中で切れました / closed during the handshake"
    reason = getattr(failure, "reason", None) or ""
    known = _REASONS.get(reason)
    return known or f"握手に失敗しました / handshake failed: {reason or type(failure).__name__}"


def is_about_certificate(failure: OSError) -> bool:
    """Tell whether a TLS failure is the refusal of a certificate, ours or the peer's."""
    if isinstance(failure, ssl.SSLCertVerificationError):
        return True
    reason = getattr(failure, "reason", None) or ""
    return "CERTIFICATE" in reason or "UNKNOWN_CA" in reason
