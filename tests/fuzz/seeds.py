"""What the mutations of a fuzzer begin with: sound bytes of every kind, all of them made up."""

from __future__ import annotations

import atexit
import base64
import json
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset

from common import link
from common.dicom import negotiation, uids
from common.dicom.commands import C_ECHO_RQ, C_STORE_RQ, N_ACTION_RQ, RESPONSE, Command
from common.dicom.dataset import DEFLATED, file_prefix
from common.dicom.negotiation import Acceptance, Proposal, Request, Result, Role, UserInformation
from common.dicom.pdu_stream import command_pdus, data_pdus
from common.link import Closing, Digest, Opening, Receipt, Slot
from common.proof import jws
from common.proof.identity import Institution, Node
from common.proof.invitation import Invitation
from common.proof.role import Role as NodeRole
from sender.slides import SlideCase
from tests.sender.slides.vendor_files import CASE, Svs, abbreviated, aperio_tags, tiff_bytes, tissue
from tests.system import synthetic

SHA = "ab" * 32
SENDER, RECEIVER = Institution("北見依頼病院", "0119876543"), Institution("支援", "0110123456")
SLOT = Slot("1.2.3", synthetic.CT, synthetic.EXPLICIT, "1.2.4", 1, 1000)
LEVEL = Slot("1.2.5", synthetic.SLIDE, "1.2.840.10008.1.2.4.50", "1.2.4", 1, 0, 3, "", "//4=")
_ATTRIBUTES = {
    "00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B", "Ideographic": "山田^太郎"}]},
    "00100020": {"vr": "LO", "Value": ["1"]},
    "0020000D": {"vr": "UI", "Value": ["1.2.9"]},
}


def dataset() -> Iterator[bytes]:
    """Part 10 files: every transfer syntax, an image of several frames, a report, a bomb."""
    with tempfile.TemporaryDirectory() as made:
        paths = synthetic.write_syntaxes(Path(made) / "a", 1, side=4)
        paths += synthetic.write_classes(
            Path(made) / "b", 2, [synthetic.BASIC_SR, synthetic.PDF, synthetic.SLIDE], side=4
        )
        for path in paths:
            yield path.read_bytes()
    (deflated,) = DEFLATED
    packed = zlib.compressobj(9, wbits=-15)
    zeros = packed.compress(bytes(1 << 18)) + packed.flush()
    yield file_prefix(synthetic.CT, "1.2.3", deflated) + zeros
    # what a length, a nesting and a number can be at worst
    head = file_prefix(synthetic.CT, "1.2.3", synthetic.EXPLICIT)
    yield head + struct.pack("<HH2sHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF) * 40
    yield head + struct.pack("<HH2sH4s", 0x20, 0x13, b"IS", 4, b"1e99")


def pdu() -> Iterator[bytes]:
    """Streams of PDUs; the first byte says in what pieces they come."""
    user = UserInformation(16384, window=(32, 1), roles=(Role(synthetic.CT, scu=True, scp=False),))
    proposals = (Proposal(1, synthetic.CT, (synthetic.EXPLICIT, synthetic.IMPLICIT)),)
    request = negotiation.encode_request(Request("A", "B", proposals, user))
    accepted = (Result(1, 0, synthetic.EXPLICIT), Result(3, 3, synthetic.EXPLICIT))
    yield b"\0" + request
    yield b"\7" + negotiation.encode_acceptance(Acceptance(accepted, user, "A", "B"))
    yield b"\1" + negotiation.encode_rejection(1, 1, 7) + negotiation.encode_abort(2, 6)
    yield b"\0" + negotiation.encode_release(reply=False) + negotiation.encode_release(reply=True)
    store = Command(C_STORE_RQ, 1, synthetic.CT, "1.2.3", has_data_set=True).encode()
    echo = Command(C_ECHO_RQ, 2, "1.2.840.10008.1.1").encode()
    asked = Command(N_ACTION_RQ, 3, "1.2.840.10008.1.20.1", "1.2", type_id=1).encode()
    answer = Command(C_STORE_RQ | RESPONSE, 1, synthetic.CT, "1.2.3", status=0xA700, comment="full")
    values = data_pdus(1, bytes(300), 128)
    for command in (store, echo, asked, answer.encode()):
        yield b"\5" + command_pdus(1, command, 128) + values
    yield b"\2" + request + command_pdus(1, store, 4096) + values


def commands() -> Iterator[bytes]:
    """Command sets without their PDUs."""
    for field in (C_STORE_RQ, C_ECHO_RQ, C_STORE_RQ | RESPONSE, N_ACTION_RQ | RESPONSE):
        yield Command(field, 7, synthetic.CT, "1.2.3", comment="ok", has_data_set=True).encode()


def frames() -> Iterator[bytes]:
    """Batches of frames, frame lengths and bitmaps; the first byte says which."""
    packed = link.pack_frame(0, 0, b"frame", bytes(32)) + link.pack_frame(1, 9, b"", bytes(32))
    yield b"\0" + packed
    yield b"\1" + np.array([5, 6, 7], "<u4").tobytes()
    yield b"\2" + link.pack_bits({1, 5}, 25).encode()


def words() -> Iterator[bytes]:
    """Openings, closings, receipts as JSON."""
    one = Opening(
        "0" * 32, "dicom", SENDER.code, RECEIVER.code, "1.2.9", _ATTRIBUTES, (SLOT,),
        request={"released": {"by": "X"}}, opened_at="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    digests = (
        Digest("1.2.3", 1000, SHA, SHA, None),
        Digest("1.2.4", 9, SHA, SHA, SHA, syntax=link.NATIVE, rest=SHA),
    )
    said: list[Opening | Closing | Receipt] = [
        one,
        Opening("1" * 32, "slide", SENDER.code, RECEIVER.code, "1.2.9", {}, (_level(),)),
        Closing("0" * 32, digests, {"files": 1}),
        Receipt("0" * 32, SENDER.code, RECEIVER.code, SHA, digests),
    ]
    return (link.dumps(link.words(value)) for value in said)


def _level() -> Slot:
    """A level as the sender announces it, with the header it makes."""
    header = synthetic.encoded(_header(), synthetic.EXPLICIT)
    return replace(LEVEL, header=base64.b64encode(header).decode())


def _header() -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = synthetic.SLIDE, "1.2.5"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = "1.2.9", "1.2.4"
    ds.PatientName, ds.PatientID = "A^B=山田^太郎", "1"
    ds.TotalPixelMatrixColumns = ds.TotalPixelMatrixRows = 512
    return ds


@cache
def node() -> Node:
    """A sender's keys, made once for a run."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Node.create(Path(folder), SENDER, NodeRole.REQUESTER)


def statement() -> Iterator[bytes]:
    """Signed statements, and their three parts with other contents."""
    for payload in ({"a": "山", "b": [1, None, {"c": 0.5}]}, {}, {"instances": [{"uid": "1.2"}]}):
        yield jws.sign(payload, node()).encode()
    first, middle, last = jws.sign({}, node()).split(".")
    yield f"{first}.{middle * 2}.{last}".encode()
    yield b"eyJhbGciOiJub25lIn0.e30."


def invitation() -> Iterator[bytes]:
    """An invitation file."""
    made = Invitation.make(
        SENDER, RECEIVER, addresses=("10.0.0.5", "h.example"), host="h.example",
        pairing_port=8444, ca_sha256=SHA, hours=72, now=datetime(2026, 4, 1, tzinfo=UTC),
    )  # fmt: skip
    yield json.dumps(made.as_json(), ensure_ascii=False).encode()


def _tile(*, rgb: bool) -> tuple[bytes, bytes]:
    return abbreviated(np.ascontiguousarray(tissue(16, 16)), rgb=rgb, chroma="444")


def tiff() -> Iterator[bytes]:
    """Small slides, little endian and big, and one that a library wrote."""
    for big in (False, True):
        tables, tile = _tile(rgb=True)
        offsets = np.full(1, 2048, np.uint64)
        tags = aperio_tags(16, 16, 16, offsets, np.full(1, len(tile), np.uint64))
        tags[347] = (7, len(tables), tables)
        yield tiff_bytes(tags, big=big).ljust(2048, b"\0") + tile
    with tempfile.TemporaryDirectory() as made:
        slide = Svs(width=64, height=48, tile=32, factors=(1, 2), label=False, macro=False)
        yield slide.write(Path(made) / "a.svs").read_bytes()


def jpeg() -> Iterator[bytes]:
    """Tables and tiles."""
    for rgb in (False, True):
        tables, tile = _tile(rgb=rgb)
        yield from (tables, tile, tables[:-2] + tile[2:])
    yield bytes(imagecodecs.jpeg8_encode(tissue(16, 16), optimize=True))


def case() -> SlideCase:
    """The request that a slide belongs to."""
    return CASE


def syntaxes() -> tuple[str, ...]:
    """Every transfer syntax of the table, and one that is none."""
    return (*uids.TRANSFER_SYNTAXES, "1.2.3")
