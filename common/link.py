"""The words of ``/link/v1``: what opens a transfer, carries frames and closes it.

Sentences are JSON; opening, closing and receipt travel signed (JWS, RFC 7515).
Frames travel in batches, each frame behind a fixed header; see
``docs/reference/link.md``.  What a peer says is checked here, before a room acts on it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from common import request
from common.bitmap import pack_bits as pack_bits
from common.bitmap import unpack_bits as unpack_bits
from common.errors import IntegrityError, ProtocolError

VERSION = 1
ROOT = f"/link/v{VERSION}"
BATCH_LIMIT = 16 << 20  # bytes of one request with frames
WORDS_LIMIT = 64 << 20  # bytes of one JSON sentence
PREFIX_LIMIT = 1 << 16  # bytes in front of each frame of a level
FRAME_HEAD = struct.Struct("<HII32s")  # instance, frame, bytes on the wire, SHA-256 of the frame

PRIORITIES = ("urgent", "soon", "routine")
PURPOSES = ("diagnosis", "advice")
NATIVE = "1.2.840.10008.1.2.1"  # Explicit VR Little Endian
#: What native pixels may be sent in on the way: JPEG-LS and HTJ2K, both lossless.
COMPRESSED = frozenset({"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.201"})
_UID = re.compile(r"\d+(\.\d+)*", re.ASCII)
_ID = re.compile(r"[0-9a-f]{32}")
_SHA = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Slot:
    """One instance that the opening announces.

    Attributes
    ----------
    length : int
        Bytes of the data set; 0 for a slide level, whose length follows from its frames.
    frames : int
        Frames of a slide level, sent one by one; 0 where the data set is sent whole.
    header, prefix : str
        Base64: data set before group 7FE0, and the bytes in front of every frame
        (JPEG tables); slides only.
    offsets : bool
        Whether Pixel Data has a table of offsets, see :class:`common.dicom.layout.Layout`;
        said only where it has none.
    """

    uid: str
    sop_class: str
    transfer_syntax: str
    series: str
    number: int | None = None
    length: int = 0
    frames: int = 0
    header: str = ""
    prefix: str = ""
    offsets: bool = True

    def header_bytes(self) -> bytes:
        """Return the decoded header."""
        return base64.b64decode(self.header)

    def prefix_bytes(self) -> bytes:
        """Return the decoded prefix."""
        return base64.b64decode(self.prefix)


@dataclass(frozen=True, slots=True)
class Opening:
    """Who sends what to whom (DIR-01, UX-02).

    Attributes
    ----------
    declaration : dict
        What the sender's rules make of it (:mod:`sender.judging`); left out where empty,
        as of a sender before the rules.
    """

    transfer: str
    kind: str
    sender: str
    receiver: str
    study: str
    attributes: dict[str, Any]
    instances: tuple[Slot, ...]
    priority: str = "routine"
    purpose: str = "diagnosis"
    test: bool = False
    request: dict[str, Any] = field(default_factory=dict)
    opened_at: str = ""
    declaration: dict[str, Any] = field(default_factory=dict)
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Digest:
    """What one end found of one instance.

    For a slide level `d1` is the SHA-256 of its header and `root` the Merkle
    root of its frames; else `root` is empty.

    Attributes
    ----------
    syntax : str
        Where pixels may travel coded: the transfer syntax that the sender chose, or that
        the receiver holds.  All digests are those of each end's own bytes.
    rest : str
        With `syntax`: the digest of all but the pixel element.
    """

    uid: str
    length: int
    d1: str
    d2: str | None = None
    d3: str | None = None
    root: str = ""
    syntax: str = ""
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Closing:
    """What the sender found of every instance, taken from its source."""

    transfer: str
    instances: tuple[Digest, ...]
    source: dict[str, Any] = field(default_factory=dict)
    closed_at: str = ""
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the receiver read back from its disk, and which closing it answers."""

    transfer: str
    sender: str
    receiver: str
    closing: str
    instances: tuple[Digest, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    receipted_at: str = ""
    version: int = VERSION


def words(value: Opening | Closing | Receipt) -> dict[str, Any]:
    """Return the JSON object of a sentence; its instances are objects once they are written."""
    return {"type": type(value).__name__.lower(), **fields_of(value)}


def fields_of(value: Any) -> dict[str, Any]:
    """Return a dataclass's own fields: what JSON asks for when it meets one.

    What only instances have that may be compressed in flight is left out for the others,
    and so is what only slides of other makers have.
    """
    said = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Digest) and not value.syntax:
        del said["syntax"], said["rest"]
    if isinstance(value, Slot) and value.offsets:
        del said["offsets"]
    if isinstance(value, Opening) and not value.declaration:
        del said["declaration"]
    return said


def read_opening(payload: dict[str, Any]) -> Opening:
    """Check an opening from a peer.

    Raises
    ------
    ProtocolError
        Something is missing, of another type, or of an unknown version.
    """
    with _Checked("opening", payload) as said:
        opening = Opening(**{**said, "instances": tuple(map(_slot, said["instances"]))})
        _require(_ID.fullmatch(opening.transfer), "transfer")
        _require(opening.kind in {"dicom", "slide"}, "kind")
        _require(opening.priority in PRIORITIES, "priority")
        _require(opening.purpose in PURPOSES, "purpose")
        _require(isinstance(opening.attributes, dict), "attributes")
        request.check(opening.request)
        _require(isinstance(opening.test, bool), "test")
        _require(isinstance(opening.declaration, dict), "declaration")
        check_uid(opening.study)
        uids = {slot.uid for slot in opening.instances}
        _require(len(uids) == len(opening.instances), "equal SOP Instance UIDs")
        for slot in opening.instances:
            _check_slot(slot, opening.kind)
        return opening


def slots() -> Callable[[Any], Any]:
    """Return what makes slots of an opening's entries as they are read; else as they are.

    What thousands of them share they hold in common.
    """
    known: dict[Any, Any] = {}

    def entry(said: Any) -> Any:
        try:
            for name in ("sop_class", "transfer_syntax", "series"):
                said[name] = known.setdefault(said[name], said[name])
            return Slot(**said)
        except (TypeError, KeyError):
            return said  # read_opening says what is wrong

    return entry


def digests(known: Iterable[Digest] = ()) -> Callable[[Any], Any]:
    """Return what makes digests of a closing's or receipt's entries; else as they are.

    Parameters
    ----------
    known : iterable of Digest
        One that is equal is given instead: thousands are not held twice.
    """
    same = {digest: digest for digest in known}
    syntaxes: dict[str, str] = {}

    def entry(said: Any) -> Any:
        try:
            if "syntax" in said:
                said["syntax"] = syntaxes.setdefault(said["syntax"], said["syntax"])
            made = Digest(**said)
            return same.get(made, made)
        except TypeError:
            return said  # read_closing says what is wrong

    return entry


def _slot(said: Any) -> Slot:
    return said if isinstance(said, Slot) else Slot(**said)


def _check_slot(slot: Slot, kind: str) -> None:
    for uid in (slot.uid, slot.sop_class, slot.transfer_syntax, slot.series):
        check_uid(uid)
    for count in (slot.length, slot.frames):
        _require(type(count) is int and 0 <= count < 1 << 48, "a length")
    number = slot.number
    _require(number is None or (type(number) is int and abs(number) < 1 << 53), "number")
    _require((slot.frames > 0) == (kind == "slide"), "frames")
    _require(slot.frames <= 1 << 24, "frames")
    _require(isinstance(slot.offsets, bool), "offsets")
    slot.header_bytes()
    # JPEG tables have some hundred bytes; it is hashed again with every frame
    _require(len(slot.prefix_bytes()) <= PREFIX_LIMIT, "prefix")


def read_closing(payload: dict[str, Any]) -> Closing:
    """Check a closing from a peer; raises as :func:`read_opening`."""
    with _Checked("closing", payload) as said:
        return Closing(**{**said, "instances": _digests(said["instances"])})


def read_receipt(payload: dict[str, Any]) -> Receipt:
    """Check a receipt from a peer; raises as :func:`read_opening`."""
    with _Checked("receipt", payload) as said:
        return Receipt(**{**said, "instances": _digests(said["instances"])})


def _digests(said: Iterable[Any]) -> tuple[Digest, ...]:
    found = tuple(one if isinstance(one, Digest) else Digest(**one) for one in said)
    for digest in found:
        check_uid(digest.uid)
        _require(type(digest.length) is int, "length")
        for value in (digest.d1, digest.d2, digest.d3, digest.root or None, digest.rest or None):
            _require(value is None or _SHA.fullmatch(value), "a digest")
        _require(digest.syntax in {"", NATIVE, *COMPRESSED}, "a transfer syntax")
        _require(bool(digest.syntax) == bool(digest.rest), "a rest")
    return found


def read_uids(text: str) -> list[str]:
    """Read the UIDs of ``{"instances": [uid]}``; raises as :func:`read_opening`."""
    try:
        return [check_uid(uid) for uid in json.loads(text)["instances"]]
    except (TypeError, KeyError, ValueError, RecursionError) as failure:
        raise ProtocolError(cause="instances") from failure


def check_uid(uid: Any) -> str:
    """Return `uid` if it has the form of one (PS3.5 section 9.1).

    Components with a leading zero are let through: devices make them, and no
    name or path is made from a UID.

    Raises
    ------
    ProtocolError
        It is none.
    """
    _require(isinstance(uid, str) and len(uid) <= 64 and _UID.fullmatch(uid), "a UID")
    return str(uid)


def _require(holds: object, what: str) -> None:
    if not holds:
        raise ProtocolError(cause=what)


class _Checked:
    """Opens a payload of a type and turns any misfit into a ProtocolError."""

    def __init__(self, kind: str, payload: Any) -> None:
        self.kind, self.payload = kind, payload

    def __enter__(self) -> dict[str, Any]:
        _require(isinstance(self.payload, dict), self.kind)
        said = dict(self.payload)
        _require(said.pop("type", None) == self.kind, f"no {self.kind}")
        _require(said.get("version") == VERSION, f"version {said.get('version')}")
        return said

    def __exit__(self, kind: object, failure: BaseException | None, _trace: object) -> None:
        if isinstance(failure, (TypeError, KeyError, ValueError, AttributeError)):
            # its message may repeat what the peer said
            raise ProtocolError(cause=f"{self.kind}: {type(failure).__name__}") from failure


def compare(sent: Iterable[Digest], held: Iterable[Digest]) -> list[str]:
    """Return the UIDs of instances on which the two ends do not agree, sorted.

    The bytes are equal: D2 and D3 count where both ends have them.  Or the source is
    native, and the receiver holds it losslessly coded, with the same samples (D3) and
    the same bytes outside the pixel element.  In which coding may differ from what the
    sender chose now: the same instance may be there from before.

    Parameters
    ----------
    sent, held : iterable of Digest
        What the sender found in its source, and the receiver on its disk.
    """
    left = {digest.uid: digest for digest in sent}
    right = {digest.uid: digest for digest in held}
    unequal = set(left) ^ set(right)
    for uid in set(left) & set(right):
        if not (_bytes_equal(left[uid], right[uid]) or _samples_equal(left[uid], right[uid])):
            unequal.add(uid)
    return sorted(unequal)


def _bytes_equal(a: Digest, b: Digest) -> bool:
    same = (a.length, a.d1, a.root) == (b.length, b.d1, b.root)
    for x, y in ((a.d2, b.d2), (a.d3, b.d3)):
        same = same and (x is None or y is None or x == y)
    return same


def _samples_equal(sent: Digest, held: Digest) -> bool:
    if sent.syntax not in {NATIVE, *COMPRESSED} or held.syntax not in COMPRESSED:
        return False
    if sent.root or held.root or not (sent.d3 and sent.rest):
        return False  # two digests that are not there prove nothing
    return (sent.d3, sent.rest) == (held.d3, held.rest)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a batch.

    Attributes
    ----------
    instance, frame : int
        Place in the opening, and 0-based frame number.
    data : memoryview
        The frame without the level's prefix.
    digest : bytes
        SHA-256 of prefix and data, padding not included.
    """

    instance: int
    frame: int
    data: memoryview
    digest: bytes


def pack_frame(instance: int, frame: int, data: bytes, digest: bytes) -> bytes:
    """Return one frame as it stands in a batch."""
    return frame_head(instance, frame, len(data), digest) + data


def frame_head(instance: int, frame: int, length: int, digest: bytes) -> bytes:
    """Return what stands before `length` bytes of a frame in a batch."""
    return FRAME_HEAD.pack(instance, frame, length, digest)


def unpack_frames(batch: bytes | bytearray) -> Iterator[Frame]:
    """Read a batch of frames.

    Raises
    ------
    ProtocolError
        A frame is cut, or bytes are left over.
    """
    view = memoryview(batch)
    at = 0
    while at < len(view):
        if at + FRAME_HEAD.size > len(view):
            raise ProtocolError(cause="a frame header is cut")
        instance, frame, length, digest = FRAME_HEAD.unpack_from(view, at)
        at += FRAME_HEAD.size
        if at + length > len(view):
            raise ProtocolError(cause="a frame is cut")
        yield Frame(instance, frame, view[at : at + length], digest)
        at += length


def check_frame(frame: Frame, prefix: bytes) -> None:
    """Compare a frame with its own digest.

    Raises
    ------
    IntegrityError
        They differ; nothing of the batch is to be kept.
    """
    digest = hashlib.sha256(prefix)
    digest.update(frame.data)
    if digest.digest() != frame.digest:
        raise IntegrityError(cause=f"frame {frame.frame}")


def dumps(value: Any) -> bytes:
    """Return JSON in UTF-8, without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=fields_of).encode()
