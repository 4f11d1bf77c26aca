"""Both roles against other products: every transfer syntax, any PDU size, window or not.

The objects are made by hand (:mod:`tests.system.synthetic`), so that a product
meets codings of which it has no codec.  What a product takes arrives byte for
byte; what it does not take it says so, and those are listed here.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydicom import config
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation

from common.dicom import uids
from common.dicom.association import Acceptor, Context, Outgoing, Pieces
from common.free_ports import free_ports
from tests.common.dicom.association.rig import (
    DEADLINE,
    HOST,
    Pki,
    Shelf,
    accepting,
    calling,
)
from tests.system import peers, synthetic
from tests.system.objects import Object, causes, differences
from tests.system.peers import STRANGE_TO_DCMTK, Identity

pytestmark = [
    pytest.mark.peer,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore:::pydicom", "ignore:::pynetdicom"),
]

SIZES = (4096, 1 << 14, 1 << 17, 1 << 20, 0)  # longest PDU; 0 is any
DCMTK_SIZES = (4096, 1 << 17)  # least and most that DCMTK, and so Orthanc, can be told
WINDOW = 32


def square(quick: Collection[tuple[int, int]]) -> pytest.MarkDecorator:
    """Every size of ours against every size of theirs; all but `quick` is for the long run."""
    cells = [
        pytest.param(*cell, marks=() if cell in quick else pytest.mark.slow)
        for cell in itertools.product(SIZES, SIZES)
    ]
    return pytest.mark.parametrize(("ours", "theirs"), cells)


every_size = square(list(zip(SIZES, reversed(SIZES), strict=True)))
least_and_most = square([(4096, 0), (0, 4096)])  # Orthanc takes seconds to start


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """Every transfer syntax, every kind of object, and one of several of the largest PDUs."""
    folder = tmp_path_factory.mktemp("objects")
    files = synthetic.write_syntaxes(folder / "syntaxes", seed=1)
    files += synthetic.write_classes(folder / "kinds", 2, synthetic.KINDS)
    files += synthetic.write_classes(folder / "large", 3, [synthetic.CT], side=1100)
    found = [one for path in files if (one := Object.read(path))]
    assert len(found) == len(files)
    assert {one.syntax for one in found} == uids.TRANSFER_SYNTAXES.keys()
    return found


def pairs(objects: Sequence[Object]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((one.sop_class, one.syntax) for one in objects))


def within(size: int) -> int:
    """The nearest size that DCMTK can be told."""
    return min(max(size or DCMTK_SIZES[1], DCMTK_SIZES[0]), DCMTK_SIZES[1])


def receiving(pki: Pki) -> Identity:
    return Identity(pki.receiver.key, pki.receiver.chain, pki.folder / "ca.crt")


def sending(pki: Pki) -> Identity:
    return Identity(pki.sender.key, pki.sender.chain, pki.folder / "ca.crt")


def as_outgoing(one: Object, uid: str) -> Outgoing:
    data = one.data
    return Outgoing(one.sop_class, uid, one.syntax, len(data), lambda: Pieces(len(data), [data]))


# -- real files -------------------------------------------------------------


@pytest.fixture(scope="module")
def real(real_data: Path) -> dict[str, Object]:
    """Every real instance by a UID of its own: among the files many share one."""
    found = {}
    with config.disable_value_validation():
        for path in sorted((real_data / "dicom").rglob("*")):
            one = Object.read(path) if path.is_file() else None
            if one is not None and one.sop_class in uids.STORAGE_CLASSES:
                found[uids.new_uid()] = one
    assert len(found) > 500
    return found


def all_sent(pki: Pki, address: tuple[str, int], real: dict[str, Object], window: int) -> set[str]:
    """Send real files over one association, all of which must be taken; give their UIDs."""
    contexts = [Context(*pair) for pair in pairs(list(real.values()))]
    with calling(address, pki.client(), contexts, called_aet="PEER", window=window) as requestor:
        outcomes = list(requestor.store(as_outgoing(one, uid) for uid, one in real.items()))
    assert {outcome.status for outcome in outcomes} == {0}
    return {outcome.outgoing.sop_instance_uid for outcome in outcomes}


@pytest.mark.requirement("DCM-02", "DCM-04")
@pytest.mark.parametrize("window", [1, WINDOW])
def test_every_real_file_arrives_as_it_is(pki: Pki, real: dict[str, Object], window: int) -> None:
    shelf = Shelf()
    with accepting(shelf, pki.server(), window=window) as acceptor:
        assert all_sent(pki, acceptor.address, real, WINDOW) == real.keys()
    assert shelf.stored == {uid: one.data for uid, one in real.items()}


@pytest.mark.requirement("DCM-11", "DCM-02", "DCM-04")
def test_every_real_file_that_dcmtk_knows_arrives_there_as_it_is(
    pki: Pki, tmp_path: Path, real: dict[str, Object]
) -> None:
    # it breaks off at a fragment of odd length, see test_an_odd_data_set_does_not_break_the_line
    known = {u: o for u, o in real.items() if o.syntax not in STRANGE_TO_DCMTK}
    known = {uid: one for uid, one in known.items() if len(one.data) % 2 == 0}
    assert len(known) > len(real) - 15
    (port,) = free_ports(1)
    taken = pairs(list(known.values()))
    with peers.storescp(tmp_path, port, receiving(pki), taken, "+B") as out:
        assert all_sent(pki, ("127.0.0.1", port), known, WINDOW) == known.keys()
        came = {
            str(read_file_meta_info(path).MediaStorageSOPInstanceUID): path
            for path in out.iterdir()
        }
        for uid, one in known.items():
            file = came.pop(uid).read_bytes()
            assert file[144 + int.from_bytes(file[140:144], "little") :] == one.data, one.path
        assert not came


# -- as requestor -----------------------------------------------------------


def sent(
    pki: Pki, address: tuple[str, int], objects: Sequence[Object], ours: int, window: int
) -> dict[str, bytes]:
    """Send all over one association; give what the peer acknowledged, by instance."""
    instances = [as_outgoing(one, one.sop_uid) for one in objects]
    contexts = [Context(*pair) for pair in pairs(objects)]
    with calling(
        address, pki.client(), contexts, called_aet="PEER", max_pdu=ours, window=window
    ) as requestor:
        assert requestor.window == 1  # none of the products answers the item
        outcomes = list(requestor.store(instances))
    assert len(outcomes) == len(objects)
    data = {one.sop_uid: one.data for one in objects}
    stored = {o.outgoing.sop_instance_uid for o in outcomes if o.error is None}
    assert {o.status for o in outcomes if o.error is None} <= {0}
    refused = {o.outgoing.transfer_syntax_uid for o in outcomes if o.error is not None}
    assert refused <= STRANGE_TO_DCMTK
    return {uid: data[uid] for uid in stored}


@pytest.mark.requirement("DCM-11", "DCM-02", "DCM-04")
@every_size
def test_storescp_takes_what_we_send(
    pki: Pki, tmp_path: Path, objects: list[Object], ours: int, theirs: int
) -> None:
    (port,) = free_ports(1)
    options = ["+B", "--max-pdu", str(within(theirs))]
    with peers.storescp(tmp_path, port, receiving(pki), pairs(objects), *options) as out:
        for window in (1, WINDOW):
            wanted = sent(pki, ("127.0.0.1", port), objects, ours, window)
            came = [one for path in out.iterdir() if (one := Object.read(path))]
            assert {one.sop_uid: one.data for one in came} == wanted
            for path in out.iterdir():
                path.unlink()


@pytest.mark.requirement("DCM-11", "DCM-02", "DCM-04")
@least_and_most
def test_orthanc_takes_what_we_send(
    pki: Pki, tmp_path: Path, objects: list[Object], ours: int, theirs: int
) -> None:
    (port,) = free_ports(1)
    limit: dict[str, Any] = {"MaximumPduLength": within(theirs)}
    with peers.orthanc(tmp_path, port, receiving(pki), "PEER", **limit) as client:
        for window in (1, WINDOW):
            wanted = sent(pki, ("127.0.0.1", port), objects, ours, window)
            names = client.get("/instances").json()
            kept = [client.get(f"/instances/{name}/file").content for name in names]
            came = {o.sop_uid: o for file in kept if (o := Object.parse(tmp_path, file))}
            assert came.keys() == wanted.keys()
            for one in (one for one in objects if one.sop_uid in wanted):
                there = came[one.sop_uid]
                assert there.data == one.data or not differences(one, there)
                assert there.data == one.data or causes(one, there) == {"deflated anew"}
            for patient in client.get("/patients").json():
                assert client.delete(f"/patients/{patient}").status_code == 200


@pytest.mark.requirement("DCM-11", "DCM-02", "DCM-04")
@every_size
def test_pynetdicom_takes_what_we_send(
    pki: Pki, objects: list[Object], ours: int, theirs: int
) -> None:
    came: dict[str, bytes] = {}
    offered: list[Any] = []
    lengths: list[int] = []

    def on_store(event: Any) -> int:
        came[str(event.request.AffectedSOPInstanceUID)] = event.encoded_dataset(include_meta=False)
        return 0

    def on_pdu(event: Any) -> None:
        if event.pdu.pdu_type == 0x04:
            lengths.append(event.pdu.pdu_length)

    ae = AE("PEER")
    ae.maximum_pdu_size = theirs
    for sop_class, syntax in pairs(objects):
        ae.add_supported_context(UID(sop_class), UID(syntax))
    handlers: list[Any] = [
        (evt.EVT_C_STORE, on_store),
        (evt.EVT_PDU_RECV, on_pdu),
        (evt.EVT_REQUESTED, lambda e: offered.append(e.assoc.requestor.asynchronous_operations)),
    ]
    server: Any = ae.start_server(
        ("127.0.0.1", 0), block=False, ssl_context=pki.server(), evt_handlers=handlers
    )
    try:
        for window in (1, WINDOW):
            wanted = sent(pki, server.socket.getsockname()[:2], objects, ours, window)
            assert came == wanted
            assert len(wanted) == len(objects)
            came.clear()
    finally:
        server.shutdown()
    assert offered == [(1, 1), (WINDOW, 1)]
    limit = min(size or 1 << 20 for size in (ours, theirs))
    assert max(lengths) == limit  # filled, and not beyond


# -- as acceptor ------------------------------------------------------------


def kept(shelf: Shelf, objects: Sequence[Object], strange: Collection[str] = ()) -> None:
    """Compare what came with the files; what the product kept back is strange to it."""
    data = {one.sop_uid: one.data for one in objects}
    assert all(data[uid] == held for uid, held in shelf.stored.items())
    missing = {one.syntax for one in objects if one.sop_uid not in shelf.stored}
    assert missing <= set(strange)


@pytest.mark.requirement("DCM-11", "DCM-02", "DCM-04")
@every_size
def test_what_storescu_sends_is_kept(
    pki: Pki, tmp_path: Path, objects: list[Object], ours: int, theirs: int
) -> None:
    shelf = Shelf()
    with accepting(shelf, pki.server(), max_pdu=ours, window=WINDOW) as acceptor:
        attempts = peers.storescu(
            *(tmp_path, acceptor.address[1], sending(pki), ("PEER", "TODOKE")),
            *(pairs(objects), [one.path for one in objects]),
            *("--max-pdu", str(within(theirs))),
        )
    kept(shelf, objects, strange=STRANGE_TO_DCMTK)
    assert sum(attempt.sent for attempt in attempts) == len(shelf.stored)


@pytest.mark.requirement("DCM-11", "DCM-02", "DCM-04")
@least_and_most
def test_what_orthanc_sends_is_kept(
    pki: Pki, tmp_path: Path, objects: list[Object], ours: int, theirs: int
) -> None:
    (port,) = free_ports(1)
    limit: dict[str, Any] = {"MaximumPduLength": within(theirs)}
    known = [one for one in objects if one.syntax not in STRANGE_TO_DCMTK]
    with peers.orthanc(tmp_path, port, sending(pki), "PEER", **limit) as client:
        names = [client.post("/instances", content=one.file).json()["ID"] for one in known]
        shelf = Shelf()
        with accepting(shelf, pki.server(), max_pdu=ours, window=WINDOW) as acceptor:
            host, at = acceptor.address
            entry = {"AET": "TODOKE", "Host": host, "Port": at, "UseDicomTls": True}
            assert client.put("/modalities/todoke", json=entry).status_code == 200
            done = client.post("/modalities/todoke/store", json=names, timeout=DEADLINE)
            assert done.status_code == 200, done.text
    kept(shelf, known)


@pytest.fixture
def unread() -> Iterator[None]:
    """Let pynetdicom send files as they are: it decodes none and encodes none."""
    before = _config.STORE_SEND_CHUNKED_DATASET
    _config.STORE_SEND_CHUNKED_DATASET = True
    yield
    _config.STORE_SEND_CHUNKED_DATASET = before


@pytest.mark.requirement("DCM-11", "DCM-02", "DCM-04")
@pytest.mark.usefixtures("unread")
@every_size
def test_what_pynetdicom_sends_is_kept(
    pki: Pki, objects: list[Object], ours: int, theirs: int
) -> None:
    ae = AE("PEER")
    ae.dimse_timeout = 5
    for sop_class, syntax in pairs(objects):
        ae.add_requested_context(UID(sop_class), UID(syntax))
    for offered in (False, True):
        shelf = Shelf()
        with accepting(shelf, pki.server(), max_pdu=ours, window=WINDOW) as acceptor:
            left = list(objects)
            # an answer that pynetdicom's own reactor took from it is asked for again
            for _ in range(3):
                left = from_pynetdicom(pki, ae, acceptor, left, offered=offered, max_pdu=theirs)
                if not left:
                    break
        assert not left
        kept(shelf, objects)


def from_pynetdicom(
    pki: Pki,
    ae: Any,
    acceptor: Acceptor,
    objects: Sequence[Object],
    *,
    offered: bool,
    max_pdu: int,
) -> list[Object]:
    """Send objects over one association; give those that had no answer."""
    item = AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked = item.maximum_number_operations_performed = 3
    association = ae.associate(
        *acceptor.address,
        ae_title="TODOKE",
        tls_args=(pki.client(), HOST),
        max_pdu=max_pdu,
        ext_neg=[item] if offered else [],
    )
    assert association.is_established
    for at, one in enumerate(objects):
        status = association.send_c_store(one.path).get("Status")
        if status is None:
            with contextlib.suppress(RuntimeError):
                association.abort()
            return list(objects[at:])
        assert status == 0
    association.release()
    return []
