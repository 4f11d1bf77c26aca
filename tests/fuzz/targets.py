"""What arbitrary bytes are fed to: every parser that a stranger, a partner or a file can reach.

A target takes bytes and returns, or raises an error of ``common/errors.py``.  Anything
else is a finding, and so is a process that hangs or swells.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pydicom.dataset import Dataset
from sqlalchemy import insert

from common import entries, link
from common.dicom import commands, dataset, elements, greeting, negotiation
from common.dicom.layout import Layout
from common.dicom.pdu_stream import ABORT, ASSOCIATE_AC, ASSOCIATE_RJ, ASSOCIATE_RQ, Pdu, PduReader
from common.errors import IntegrityError, InvitationError, NotDicom, ProtocolError, TodokeError
from common.logs import quiet_pydicom
from common.proof import jws
from common.proof.invitation import Invitation
from receiver import attributes, index, transfers
from receiver.index import Index
from sender import identity
from sender.slides import jpeg, open_slide
from tests.fuzz import seeds

quiet_pydicom()
Finding = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Target:
    """One parser.

    Attributes
    ----------
    longest : int
        Bytes of an input; longer ones find little and cost much.
    """

    name: str
    run: Finding
    seeds: Callable[[], Iterable[bytes]]
    longest: int = 1 << 14

    def feed(self, data: bytes) -> None:
        """Give one input; only what is no error of ours comes out."""
        with contextlib.suppress(TodokeError):
            self.run(data)


@contextlib.contextmanager
def _as_file(data: bytes) -> Iterator[Path]:
    """Give a file that holds these bytes and lies in memory."""
    fd = os.memfd_create("input")
    try:
        os.write(fd, data)
        yield Path(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


def _file(data: bytes) -> None:
    """As `sender send` reads a file, and the receiver what it stored."""
    with _as_file(data) as path:
        with contextlib.suppress(TodokeError):
            identity.read(str(path))
        attributes.of_file(path)
        part10 = dataset.read_part10(path)
        header, at = dataset.open_header(path)
    try:
        _pixels_of(data, part10, header, at)
    except (TodokeError, AssertionError):
        raise
    except Exception as failure:  # as the receiver does: pydicom reads values late
        raise NotDicom(cause=type(failure).__name__) from failure


def _pixels_of(data: bytes, part10: dataset.Part10, header: Dataset, at: int) -> None:
    attributes.study_attributes(header)
    pixels = dataset.pixels_in(
        lambda size, start: data[start : start + size], at, len(data), part10.transfer_syntax_uid
    )
    dataset.instance_number(header)
    if pixels is not None:
        for start, size in (*pixels.fragments, (pixels.offset, pixels.length or 0)):
            assert 0 <= start <= start + size <= len(data), "a span outside the file"
        dataset.frame_table(pixels, header, part10.offset)


def _elements(data: bytes) -> None:
    """One pass over a data set; where it gives values, a parser that takes longer agrees."""
    syntaxes = seeds.syntaxes()
    syntax = syntaxes[data[0] % len(syntaxes)] if data else ""
    found = elements.scan(data, 1, syntax, whole=True)
    if found is None:
        return
    at = len(data) if found.pixels_at is None else found.pixels_at
    assert 1 <= at <= len(data), "pixels outside the data set"
    dataset.frame_count(found)
    dataset.native_frame_length(found)
    dataset.instance_number(found)
    whole = dataset.file_prefix("1.2.3", "1.2.4", syntax) + data[1:at]
    with contextlib.suppress(TodokeError):
        header = dataset.read_header(io.BytesIO(whole))
        for keyword in ("SOPInstanceUID", "StudyInstanceUID", "PatientID"):
            said = str(header.get(keyword) or "")
            assert str(found.get(keyword) or "") == said, f"two readings of {keyword}"


def _stream(data: bytes) -> None:
    """As a door reads a connection: in pieces of any size."""
    size = 1 + data[0] * data[0] if data else 1
    greeting.stranger(data[1:9], tls=True)
    greeting.stranger(data[1:9], tls=False)
    reader, command = PduReader(1 << 14), bytearray()
    for start in range(1, len(data), size):
        for event in reader.feed(memoryview(data)[start : start + size]):
            if isinstance(event, Pdu):
                _whole(event)
            elif event.is_command:
                command += event.data
                if len(command) > commands.MAX_COMMAND:
                    raise ProtocolError(cause="a long command")
                if event.last:
                    _command(bytes(command))
                    command.clear()


def _whole(pdu: Pdu) -> None:
    if pdu.type == ASSOCIATE_RQ:
        asked = negotiation.decode_request(pdu.data)
        assert 0 < len(asked.proposals) <= 128
    elif pdu.type == ASSOCIATE_AC:
        negotiation.decode_acceptance(pdu.data)
    elif pdu.type == ASSOCIATE_RJ:
        negotiation.rejection_words(pdu.data)
    elif pdu.type == ABORT:
        negotiation.abort_words(pdu.data)


def _command(data: bytes) -> None:
    """What is read is answered, and an answer is read as it was said."""
    command = commands.decode(data)
    answer = command.answer(commands.SUCCESS, "done") if not command.is_response else b""
    assert not answer or commands.decode(answer).message_id == command.message_id


def _frames(data: bytes) -> None:
    """Bodies of the link that are no words."""
    kind, body = (data[0], data[1:]) if data else (0, b"")
    if kind % 3 == 0:
        whole = sum(link.FRAME_HEAD.size + len(f.data) for f in link.unpack_frames(body))
        assert whole == len(body), "bytes of a batch that are in no frame"
        for frame in link.unpack_frames(body):
            with contextlib.suppress(IntegrityError):
                link.check_frame(frame, b"prefix")
    elif kind % 3 == 1:
        lengths = [one for (one,) in struct.iter_unpack("<I", body[: len(body) // 4 * 4])]
        layout = Layout(b"head", lengths)
        last = layout.frames - 1
        end = layout.offset(last) + layout.frame_length(last)
        assert layout.length == end + end % 2 + len(layout.tail), "a hole in the layout"
        assert len(layout.frame_table()) == 16 * layout.frames
    else:
        count = len(body) * 3 // 4 * 8 + 1 - body[:1].count(b"=")
        assert all(0 <= bit < count for bit in link.unpack_bits(body.decode("latin-1"), count))


@cache
def _index() -> Index:
    """A receiver's index that knows one sender."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = Index.at(Path(folder))
    known = {"name": "A", "kind": "todoke", "aet": "A", "added_at": index.now()}
    with made.write() as db:
        db.execute(insert(index.partners).values(code=seeds.SENDER.code, **known))
    return made


class _Undo(Exception):
    """Nothing that is read stays."""


def _words(data: bytes) -> None:
    """What a partner signed: read, and opened in an index."""
    try:
        text = data.decode()
        made = entries.read(text, link.slots()), entries.read(text, link.digests())
    except (ValueError, RecursionError):  # as jws.verify turns them into IntegrityError
        return
    for read in (link.read_closing, link.read_receipt):
        with contextlib.suppress(TodokeError):
            said = read(made[1])
            assert link.compare(said.instances, said.instances) == [], "unequal to itself"
    opening = link.read_opening(made[0])
    if opening.sender != seeds.SENDER.code:
        raise ProtocolError(cause="sender")
    with contextlib.suppress(_Undo), _index().write() as db:
        transfers.open_transfer(db, opening.sender, opening, "signed")
        raise _Undo


def _statement(data: bytes) -> None:
    """A signed statement as it comes over the link."""
    jws.verify(data.decode("ascii", "replace"), seeds.node().signing_certificate, link.digests())


def _invitation(data: bytes) -> None:
    with _as_file(data) as path:
        made = Invitation.read(path)
    assert Invitation.from_json(made.as_json()) == made
    with contextlib.suppress(InvitationError):
        made.check_time(datetime(2026, 4, 1, tzinfo=UTC))
    assert len(made.digest) == 64


def _slide(data: bytes) -> None:
    """A vendor file, with every frame of the levels that it claims."""
    with _as_file(data) as path, contextlib.closing(open_slide(path, seeds.case())) as slide:
        for one in slide.instances:
            layout = Layout(one.header, one.lengths)
            for i in range(min(2, one.frames)):
                assert len(one.frame(i)) == layout.frame_length(i), "a frame of another length"


def _jpeg(data: bytes) -> None:
    with contextlib.suppress(TodokeError):
        jpeg.check_tables(data)
        jpeg.prefix(data, b"")
    with contextlib.suppress(TodokeError):
        for rgb in (False, True):
            jpeg.join([data, data], b"", 32, rgb=rgb)
    code = jpeg.look(data)
    assert 0 < code.frame_at < code.scan_at < code.data_at <= len(data)
    for rgb in (False, True):
        jpeg.colour_marker(code, rgb=rgb)


TARGETS = {
    target.name: target
    for target in (
        Target("file", _file, seeds.dataset),
        Target("elements", _elements, lambda: (_bare(one) for one in seeds.dataset())),
        Target("pdu", _stream, seeds.pdu),
        Target("command", _command, seeds.commands, 1 << 10),
        Target("frames", _frames, seeds.frames, 1 << 12),
        Target("words", _words, seeds.words),
        Target("statement", _statement, seeds.statement, 1 << 12),
        Target("invitation", _invitation, seeds.invitation, 1 << 12),
        Target("slide", _slide, seeds.tiff, 1 << 15),
        Target("jpeg", _jpeg, seeds.jpeg, 1 << 12),
    )
}


def _crash(data: bytes) -> None:
    assert data[:1] != b"!"


def _hang(data: bytes) -> None:
    while data[:1] == b"!":
        pass


def _swell(data: bytes) -> None:
    if data[:1] == b"!":
        _swollen.append(bytes(range(256)) * (1 << 20))


_swollen: list[bytes] = []
#: What a fuzzer that finds nothing would find nothing in either.
PLANTED = {
    run.__name__.strip("_"): Target(run.__name__.strip("_"), run, lambda: [b"!"], 4)
    for run in (_crash, _hang, _swell)
}


def _bare(file: bytes) -> bytes:
    """A data set behind the number of its transfer syntax."""
    part10 = dataset.part10_of(file, len(file))
    number = seeds.syntaxes().index(part10.transfer_syntax_uid)
    return bytes((number,)) + file[part10.offset :]
