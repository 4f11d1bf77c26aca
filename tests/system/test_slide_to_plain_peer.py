"""A slide over C-STORE, to ends that know nothing of the link: the same data sets."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest
from sqlalchemy import Row, select
from wsidicom import WsiDicom

from common.dicom import uids
from receiver import index, transfers
from sender import slides
from tests.sender.slides.vendor_files import Svs, abbreviated
from tests.system import peers
from tests.system.ends import Ends, command, must, start, until
from tests.system.line import Line
from tests.system.objects import Object, causes, differences
from tests.system.test_interop import enter_product, enter_receiver

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
WHO = ("--patient-id", "0012345", "--patient-name", "TAKAHASHI^HANAKO=髙橋^花子")
WSI = uids.WHOLE_SLIDE
JPEG, J2K = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"  # levels, label
CODE, TITLE = "0112345777", "SLIDES"
RATE = 3e6  # bytes a second


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(tmp_path_factory.mktemp("made"))
    return Svs(width=1500, height=1100).write(folder / "three-levels.svs")


@pytest.fixture(scope="module")
def ours(ends: Ends) -> str:
    """Our own receiver, entered as if it were any DICOM product."""
    product = enter_product(ends, TITLE, CODE)
    must(
        *("sender", "partner", "add", "ours", "--address", f"localhost:{ends.ports['dicom']}"),
        *("--aet", "TODOKE", "--ca", product.ca, "--calling", TITLE),
        *("--cert", product.certificate, "--key", product.key, "--data", ends.sender),
    )
    return "ours"


def _send(ends: Ends, to: str, *paths: Path) -> Any:
    line = ("sender", "send", *paths, "--to", to, *WHO, "--label", "--macro")
    (transfer,) = must(*line, "--data", ends.sender)["transfers"]
    assert transfer["state"] == "delivered"
    assert transfer["held"] == transfer["of"]
    return transfer


def _data_sets(ends: Ends, transfer: str) -> dict[str, bytes]:
    """What the slide of a transfer is, made of the source again, in the order of sending."""
    with ends.outbox() as box:
        kept = box.transfer(transfer)
        path = Path(box.instances(transfer)[0].path)
    case = slides.SlideCase.from_json(json.loads(kept.slide or ""))
    with slides.open_slide(path, case) as slide:
        return {
            one.sop_instance_uid: b"".join(one.layout.stream(one.frame)) for one in slide.instances
        }


def _rows(ends: Ends, study: str) -> list[Row[Any]]:
    with ends.index() as known, known.read() as db:
        table = index.instances
        query = select(table).where(table.c.study_uid == study, table.c.path.is_not(None))
        return list(db.execute(query.order_by(table.c.id)))


def _stored(ends: Ends, study: str) -> dict[str, bytes]:
    rows = _rows(ends, study)
    files = {row.sop_uid: (ends.receiver / "store" / row.path, row.prefix_length) for row in rows}
    return {uid: path.read_bytes()[start:] for uid, (path, start) in files.items()}


@pytest.mark.requirement("WSI-03", "DCM-02", "DCM-11")
def test_our_receiver_gets_the_same_through_either_door(
    ends: Ends, ours: str, source: Path
) -> None:
    plain = _send(ends, ours, source)
    expected = _data_sets(ends, plain["id"])
    assert _stored(ends, plain["study_uid"]) == expected
    lengths = [len(data) for data in expected.values()][3:]  # after the associated pictures
    assert lengths == sorted(lengths)
    said = must("sender", "send", source, "--to", "旭川支援病院", *WHO, "--data", ends.sender)
    (linked,) = said["transfers"]
    assert linked["state"] == "receipted"
    assert _stored(ends, linked["study_uid"]) == _data_sets(ends, linked["id"])
    folder = (ends.receiver / "store" / _rows(ends, plain["study_uid"])[0].path).parent
    was = openslide.OpenSlide(source)
    with WsiDicom.open(folder) as opened:
        sizes = [(level.size.width, level.size.height) for level in opened.pyramids[0]]
        assert sizes == list(was.level_dimensions)
    assert openslide.OpenSlide(min(folder.iterdir())).level_dimensions == was.level_dimensions


@pytest.mark.peer
@pytest.mark.requirement("WSI-03", "DCM-11")
def test_storescp_writes_the_same_bytes(ends: Ends, source: Path, tmp_path: Path) -> None:
    port, identity = enter_receiver(ends, "slides-dcmtk", tmp_path)
    taken = [(WSI, syntax) for syntax in (JPEG, J2K)]
    with peers.storescp(tmp_path, port, identity, taken, "+B") as out:
        transfer = _send(ends, "slides-dcmtk", source)
        came = [one for path in out.iterdir() if (one := Object.read(path))]
    assert {one.sop_uid: one.data for one in came} == _data_sets(ends, transfer["id"])


@pytest.mark.slow
@pytest.mark.peer
@pytest.mark.requirement("WSI-03", "DCM-11")
def test_orthanc_holds_the_same_elements(ends: Ends, source: Path, tmp_path: Path) -> None:
    port, identity = enter_receiver(ends, "slides-orthanc", tmp_path)
    with peers.orthanc(tmp_path, port, identity, "PEER") as client:
        transfer = _send(ends, "slides-orthanc", source)
        kept = [client.get(f"/instances/{i}/file") for i in client.get("/instances").json()]
        came = [one for file in kept if (one := Object.parse(tmp_path, file.content))]
    expected = _data_sets(ends, transfer["id"])
    assert {one.sop_uid for one in came} == expected.keys()
    for one in came:
        prefix = one.file[: len(one.file) - len(one.data)]
        was = Object.parse(tmp_path, prefix + expected[one.sop_uid])
        assert was is not None
        assert not differences(was, one), causes(was, one)


@pytest.mark.requirement("UX-06", "WSI-03")
@pytest.mark.parametrize("how", ["line cut", pytest.param("sender killed", marks=pytest.mark.slow)])
def test_what_breaks_off_goes_on_with_the_same_data_sets(
    ends: Ends, ours: str, tmp_path: Path, how: str
) -> None:
    source = Svs(width=2048, height=2048, tile=256).write(tmp_path / "cut.svs")
    (entry,) = (p for p in (ends.sender / "partners").glob("*.json") if p.stem == ours)
    before = entry.read_text("utf-8")
    with Line(ends.ports["dicom"], RATE) as line:
        entry.write_text(before.replace(str(ends.ports["dicom"]), str(line.port)), "utf-8")
        line.hold_after(source.stat().st_size // 2)
        sending = start(
            command("sender", "send", source, "--to", ours, *WHO, "--data", ends.sender),
            ends.folder / "sender.log",
        )
        until(line.holding.is_set, "half of it is on its way")
        until(lambda: _acknowledged(ends) > 0, "the first is acknowledged")
        (owed,) = _unfinished(ends)
        assert _acknowledged(ends) < len(_instances(ends, owed))
        if how == "sender killed":
            sending.kill()
        line.cut()
        line.go_on()
        sending.communicate(timeout=60)
        with ends.daemon() if how == "sender killed" else contextlib.nullcontext():
            until(lambda: not _unfinished(ends), "it is delivered")
    entry.write_text(before, "utf-8")
    with ends.outbox() as box:
        transfer = box.transfer(owed)
    assert str(transfer.state) == "delivered"
    assert _stored(ends, transfer.study) == _data_sets(ends, transfer.id)
    with ends.index() as known, known.read() as db:
        name = _rows(ends, transfer.study)[0].transfer
        # what was answered while nobody could hear it may come again, and nothing else
        assert transfers.known(db, name).repeats <= 1


def _unfinished(ends: Ends) -> list[str]:
    with ends.outbox() as box:
        return [one.id for one in box.transfers() if one.finished is None]


def _acknowledged(ends: Ends) -> int:
    (owed,) = _unfinished(ends)
    return sum(bool(one.acked) for one in _instances(ends, owed))


def _instances(ends: Ends, transfer: str) -> list[Any]:
    with ends.outbox() as box:
        return box.instances(transfer)


@contextlib.contextmanager
def _nobody_may_call() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.requirement("WSI-14")
def test_what_a_plain_peer_cannot_take_is_refused_in_words_before_sending(
    ends: Ends, tmp_path: Path
) -> None:
    source = _write_repeating(tmp_path / "large.svs", tiles_across=290)
    assert source.stat().st_size < 4 << 20
    own = peers.own_identity(tmp_path)
    with _nobody_may_call() as port:
        must(
            *("sender", "partner", "add", "small", "--address", f"localhost:{port}"),
            *("--aet", "PEER", "--ca", own.ca, "--data", ends.sender),
        )
        line = ("sender", "send", source, "--to", "small", *WHO, "--data", ends.sender, "--json")
        sending = start(command(*line), ends.folder / "sender.log")
        said, _ = sending.communicate(timeout=60)
    assert sending.returncode == 64
    (transfer,) = json.loads(said)["transfers"]
    assert transfer["state"] == "failed"
    assert transfer["error"]["number"] == "E-6013"
    assert "4 GiB" in transfer["error"]["ja"]


def _write_repeating(path: Path, tiles_across: int, tile: int = 256) -> Path:
    """Write a BigTIFF whose tiles are all the same bytes of the file, more than 4 GiB in all."""
    noise = np.random.default_rng(5).normal(200, 40, (tile, tile, 3))
    pixels = np.clip(noise, 0, 255).astype(np.uint8)
    tables, data = abbreviated(pixels, rgb=False, chroma="444")
    count, side = tiles_across**2, tiles_across * tile
    assert count * len(data) > 1 << 32
    words = f"Aperio Image Library v12.0.15\r\n{side}x{side} ({tile}x{tile})|AppMag = 40|MPP = 0.25"
    blocks = {
        258: (3, 3, struct.pack("<3H", 8, 8, 8)),
        270: (2, len(words) + 1, words.encode() + b"\0"),
        324: (16, count, struct.pack("<Q", 16) * count),
        325: (4, count, struct.pack("<I", len(data)) * count),
        347: (7, len(tables), tables),
        530: (3, 2, struct.pack("<2H", 1, 1)),
    }
    values = {256: side, 257: side, 259: 7, 262: 6, 277: 3, 284: 1, 322: tile, 323: tile}
    with path.open("wb") as file:
        file.write(bytes(16) + data)
        entries = {tag: (4, 1, struct.pack("<I", value)) for tag, value in values.items()}
        for tag, (kind, number, block) in blocks.items():
            where = struct.pack("<Q", file.tell()) if len(block) > 8 else block
            entries[tag] = kind, number, where
            file.write(block if len(block) > 8 else b"")
        at = file.tell()
        file.write(struct.pack("<Q", len(entries)))
        for tag, (kind, number, value) in sorted(entries.items()):
            file.write(struct.pack("<HHQ", tag, kind, number) + value.ljust(8, b"\0"))
        file.write(bytes(8))
        file.seek(0)
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, at))
    return path
