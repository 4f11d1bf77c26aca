"""What a client accepts of DICOMweb, and multipart/related bodies (PS3.18 8.6, 8.7)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

#: Media type of a frame by transfer syntax (PS3.18 tables 8.7.3-2 and 8.7.3-5).
_MEDIA = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.92": "image/jpx",
    "1.2.840.10008.1.2.4.93": "image/jpx",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.4.110": "image/jxl",
    "1.2.840.10008.1.2.4.111": "image/jxl",
    "1.2.840.10008.1.2.4.112": "image/jxl",
    "1.2.840.10008.1.2.5": "image/x-dicom-rle",
    "1.2.840.10008.1.2.4.100": "video/mpeg2",
    "1.2.840.10008.1.2.4.101": "video/mpeg2",
    "1.2.840.10008.1.2.4.102": "video/mp4",
    "1.2.840.10008.1.2.4.103": "video/mp4",
}
OCTETS = "application/octet-stream"
_DEFLATED = {"1.2.840.10008.1.2.1.99"}
EXPLICIT_LE = "1.2.840.10008.1.2.1"


def media_type(transfer_syntax: str) -> str:
    """Return the media type of a frame as it is stored."""
    return _MEDIA.get(transfer_syntax, OCTETS)


def frame_syntax(transfer_syntax: str) -> str:
    """Return the transfer syntax of a frame once it stands alone."""
    return EXPLICIT_LE if transfer_syntax in _DEFLATED else transfer_syntax


@dataclass(frozen=True)
class Range:
    """One media range of an Accept header."""

    kind: str
    parameters: dict[str, str] = field(default_factory=dict)

    @property
    def part(self) -> str:
        """The media type asked for, inside multipart/related or alone."""
        return self.parameters.get("type", "*/*") if self.multipart else self.kind

    @property
    def multipart(self) -> bool:
        """Whether several parts may come."""
        return self.kind in {"multipart/related", "*/*"}

    def takes(self, media: str, transfer_syntax: str | None) -> bool:
        """Whether what is stored may be sent.

        ``application/octet-stream`` is taken for any frame: clients ask so for
        *the bytes as they are* and read what these are from the part's header.
        """
        wanted = self.parameters.get("transfer-syntax", "*")
        if wanted not in {"*", transfer_syntax}:
            return False
        major = media.partition("/")[0]
        return self.part in {"*/*", media, f"{major}/*", OCTETS}


def accepted(header: str | None) -> list[Range]:
    """Read an Accept header; an absent one takes anything."""
    ranges = []
    for said in (header or "*/*")[:2000].split(","):
        kind, *rest = (word.strip() for word in said.split(";"))
        pairs = (word.partition("=") for word in rest)
        parameters = {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}
        if kind and parameters.get("q") not in {"0", "0.0"}:
            ranges.append(Range(kind.lower(), parameters))
    return ranges


@dataclass(frozen=True)
class Part:
    """One part: the headers that describe it, and its bytes."""

    content_type: str
    body: Iterable[bytes]


class Multipart:
    """A multipart/related body (RFC 2387), made while it is sent."""

    def __init__(self, kind: str, parts: Iterable[Part]) -> None:
        self.boundary = f"todoke-{secrets.token_hex(12)}"
        self.content_type = f'multipart/related; type="{kind}"; boundary={self.boundary}'
        self.parts = parts

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            head = f"\r\n--{self.boundary}\r\nContent-Type: {part.content_type}\r\n\r\n"
            yield head.encode("ascii")
            yield from part.body
        yield f"\r\n--{self.boundary}--\r\n".encode("ascii")
