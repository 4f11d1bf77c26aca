"""Interoperation over mutual TLS with the certificates of pairing, on real files.

Into our receiver: what it stores equals what a recorder saw on the wire.  Out of
our sender: what the other product stored equals the source.  No file of the
folders is left out: each is there, or a reason is told.
"""

from __future__ import annotations

import io
import itertools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pynetdicom
import pytest
from pydicom import Dataset, config
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import AE, evt
from sqlalchemy import select

from common import tls
from common.dicom import uids
from common.dicom.dataset import file_prefix
from common.free_ports import free_ports
from common.proof.identity import Node
from common.proof.role import Role
from receiver import index
from tests.system import peers
from tests.system.ends import Ends, command, must, start, until
from tests.system.interop_table import PAGE, Table
from tests.system.objects import DEFLATED, Object, causes, differences
from tests.system.peers import NO_CONTEXT, Attempt, Identity, client_context
from tests.system.series import write_series
from tests.system.wire import Recorder, Store

PATIENCE = 120  # seconds for all files through one product, on a busy machine
pytestmark = [
    pytest.mark.system,
    pytest.mark.peer,
    pytest.mark.timeout(2 * PATIENCE),
    # files that break rules are part of the matter
    pytest.mark.filterwarnings("ignore:::pydicom", "ignore:::pynetdicom"),
]

#: Together they hold every transfer syntax of the real files; the page tells of them.
FOLDERS = (
    *("cornerstone3D", "dcmqi", "dicomParser", "highdicom", "mr_enhanced"),
    *("nm_spect", "pydicom", "pydicom-data", "wg04"),
)
AET = "TODOKE"
CT = "1.2.840.10008.5.1.4.1.1.2"
#: Why our sender keeps a file back, by the number of its error.
KEPT_BACK = {
    "E-2000": "an element of odd length",
    "E-2001": "not readable as a DICOM image",
    "E-2008": "SOP class or transfer syntax not carried",
    "E-2006": "same instance as another file",
    "E-2007": "same UID, other content",
    "E-2014": "cut short",
    "E-2015": "not built as DICOM says",
}
PADDED = "elements + D2 (with the NULL of PS3.5 A.5 that the source lacks)"
#: What the plain products write anew even where every length is defined; it says nothing.
SAYS_NOTHING = {"deflated anew", "group lengths", "padding of values", "trailing padding"}


@pytest.fixture(scope="module", params=["FOLDERS", pytest.param("rest", marks=pytest.mark.slow)])
def folders(real_data: Path, request: pytest.FixtureRequest) -> list[Path]:
    """The folders of real files, in two parts: long series of one kind take their time."""
    found = sorted(path for path in (real_data / "dicom").iterdir() if path.is_dir())
    return [path for path in found if (path.name in FOLDERS) == (request.param == "FOLDERS")]


@pytest.fixture(scope="module")
def sources(folders: list[Path]) -> Iterator[dict[Path, Object]]:
    """Every storage object of the folders, by its path."""
    found = {}
    with config.disable_value_validation():
        for path in files_below(folders):
            one = Object.read(path)
            if one is not None and one.sop_class in uids.STORAGE_CLASSES:
                found[path] = one
        yield found


@pytest.fixture(scope="module")
def table(folders: list[Path]) -> Iterator[Table]:
    """The table of these folders; what it holds in the end is kept as an artefact."""
    made = Table(folders[0].parent)
    yield made
    if made.rows:
        made.save("interop" if folders[0].name in FOLDERS else "interop-rest")


def files_below(folders: Iterable[Path]) -> list[Path]:
    return [path for one in folders for path in sorted(one.rglob("*")) if path.is_file()]


def contexts(objects: Iterable[Object]) -> list[tuple[str, str]]:
    pairs = list(dict.fromkeys((one.sop_class, one.syntax) for one in objects))
    assert len(pairs) <= peers.CONTEXTS
    return pairs


# -- into our receiver ------------------------------------------------------


def enter_product(ends: Ends, aet: str, code: str) -> Identity:
    """Let a product send to the receiver, with a certificate of the receiver's CA."""
    folder = ends.folder / aet
    must(
        *("receiver", "partner", "add", aet, "--aet", aet, "--code", code),
        *("--issue", folder, "--data", ends.receiver),
    )
    return Identity(folder / f"{code}.key", folder / f"{code}.crt", folder / "ca.crt")


def recorder(ends: Ends, product: Identity) -> Recorder:
    """A recorder that is the receiver to a product, and the product to the receiver."""
    node = Node.load(ends.receiver, Role.SUPPORTER)
    inward = tls.server_context(node.credentials, [node.ca])
    return Recorder(inward, client_context(product), ends.ports["dicom"])


def stored(ends: Ends, code: str) -> dict[str, tuple[str, bytes]]:
    """Transfer syntax and data set of what the receiver holds of an institution."""
    table = index.instances
    with ends.index() as known, known.read() as db:
        rows = db.execute(select(table).where(table.c.institution == code)).all()
    held = {}
    for row in rows:
        file = (ends.receiver / "store" / row.path).read_bytes()
        held[row.sop_uid] = row.transfer_syntax, file[row.prefix_length :]
    return held


def why_refused(source: Object, store: Store, held: dict[str, tuple[str, bytes]]) -> str:
    """Reason for which our receiver must refuse what came; none is an error of ours."""
    if (store.sop_class, store.sop_uid) != (source.sop_class, source.sop_uid):
        return "command and data set name different instances"
    above = (source.dataset.get(k, "") for k in ("StudyInstanceUID", "SeriesInstanceUID"))
    if not all(UID(str(uid)).is_valid for uid in above):
        return "no sound Study or Series Instance UID"
    if store.sop_uid in held and held[store.sop_uid][1] != store.data:
        return KEPT_BACK["E-2007"]
    raise AssertionError(f"{source.path}: status {store.status} without a reason")


def what_was_taken(held: tuple[str, bytes], store: Store) -> str:
    """Say what of a success is here: its bytes, or the same image in another lossless coding."""
    if held == (store.transfer_syntax, store.data):
        return "bytes"
    here, came = (_decoded(*one) for one in (held, (store.transfer_syntax, store.data)))
    assert np.array_equal(here.pixel_array, came.pixel_array)
    for one in (here, came):
        del one.PixelData
    assert here == came
    return "samples"


def _decoded(syntax: str, data: bytes) -> Dataset:
    file = io.BytesIO(file_prefix("1.2", "1.2.3", syntax) + data)
    return pydicom.dcmread(file)


@pytest.mark.requirement("DCM-11", "DCM-02", "DCM-04", "NET-01")
@pytest.mark.parametrize(
    "product", ["storescu", pytest.param("pynetdicom", marks=pytest.mark.slow)]
)
def test_what_we_store_is_what_was_on_the_wire(
    ends: Ends,
    folders: list[Path],
    sources: dict[Path, Object],
    table: Table,
    tmp_path: Path,
    product: str,
) -> None:
    known: dict[str, tuple[Callable[..., list[Attempt]], str, str]] = {
        "storescu": (peers.storescu, "0112345678", peers.version("storescu")),
        "pynetdicom": (
            peers.pynetdicom_sends,
            "0112345686",
            f"pynetdicom {pynetdicom.__version__}",
        ),
    }
    sends, code, version = known[product]
    if folders[0].name not in FOLDERS:
        code = code[:-3] + "9" + code[-2:]
    peer = f"{product} → todoke"
    table.versions[peer] = version
    title = f"{product[:10].upper()}{code[-4:]}"
    identity = enter_product(ends, title, code)
    with recorder(ends, identity) as wire:
        proposed = contexts(sources.values())
        titles = title, AET
        attempts = sends(tmp_path, wire.port, identity, titles, proposed, list(sources))
    assert wire.versions == {"TLSv1.3"}
    tried = {attempt.path: attempt for attempt in attempts}
    held, passed = stored(ends, code), iter(wire.stores)
    for path, source in sources.items():
        attempt = tried.get(path, Attempt(path, said="file not read"))
        outcome = f"not sent ({attempt.said})"
        if attempt.sent:
            store = next(passed)
            if store.status == 0:
                outcome = what_was_taken(held[store.sop_uid], store)
            else:
                outcome = f"refused ({why_refused(source, store, held)})"
        else:
            assert attempt.said, path
        table.add(peer, path, source.syntax, outcome)
    assert next(passed, None) is None, "more was on the wire than files"
    assert held.keys() == {s.sop_uid for s in wire.stores if s.status == 0}


@pytest.mark.requirement("DCM-11", "NET-01")
@pytest.mark.parametrize(
    ("sends", "code"),
    [(peers.storescu, "0112345694"), (peers.pynetdicom_sends, "0112345702")],
    ids=["storescu", "pynetdicom"],
)
def test_a_product_reaches_our_own_door(
    ends: Ends, tmp_path: Path, sends: Callable[..., list[Attempt]], code: str
) -> None:
    """No recorder between: the TLS that the product meets is the receiver's."""
    files = write_series(tmp_path / "ct", seed=int(code), slices=3)
    objects = [one for path in files if (one := Object.read(path))]
    product = enter_product(ends, f"DIRECT{code[-4:]}", code)
    titles = f"DIRECT{code[-4:]}", AET
    attempts = sends(tmp_path, ends.ports["dicom"], product, titles, contexts(objects), files)
    assert [a.sent for a in attempts] == [True] * 3
    assert stored(ends, code) == {o.sop_uid: (o.syntax, o.data) for o in objects}


# -- out of our sender ------------------------------------------------------


def enter_receiver(ends: Ends, name: str, folder: Path) -> tuple[int, Identity]:
    """Enter a product that our sender sends to; each believes the other's CA."""
    own = peers.own_identity(folder)
    (port,) = free_ports(1)
    added = must(
        *("sender", "partner", "add", name, "--address", f"localhost:{port}"),
        *("--aet", "PEER", "--ca", own.ca, "--data", ends.sender),
    )
    return port, replace(own, ca=Path(added["file"]).with_suffix(".ca.crt"))


def send(
    ends: Ends, name: str, files: Iterable[Path]
) -> tuple[dict[str, Any], dict[Path, tuple[bool, Any]]]:
    """Send with our sender; give its words, and by path (acknowledged, error) of what it owed."""
    line = command("sender", "send", *files, "--to", name, "--data", ends.sender, "--json")
    sending = start(line, ends.folder / "sender.log")
    try:
        said = json.loads(sending.communicate(timeout=PATIENCE)[0])
    finally:
        sending.kill()  # one that tries again for ever must not outlive the test
        sending.communicate()
    ends.let_go(frozenset({"delivered", "failed", "receipted"}))  # captures, projections, others
    owed: dict[Path, tuple[bool, Any]] = {}
    with ends.outbox() as box:
        for transfer in box.transfers(said["job"]):
            assert str(transfer.state) == ("failed" if transfer.error else "delivered")
            for one in box.instances(transfer.id):
                owed[Path(one.path)] = bool(one.acked), transfer.error
    return said, owed


@pytest.mark.requirement("DCM-11", "DCM-02", "DCM-04", "NET-01")
@pytest.mark.parametrize(
    "product", [pytest.param("storescp +B", marks=pytest.mark.slow), "storescp", "Orthanc"]
)
def test_what_a_product_stores_is_what_we_read(
    ends: Ends,
    folders: list[Path],
    sources: dict[Path, Object],
    table: Table,
    tmp_path: Path,
    product: str,
) -> None:
    peer, name = f"todoke → {product}", f"{product.replace(' +', '-')}-{len(sources)}"
    table.versions[peer] = peers.version(product.removesuffix(" +B"))
    port, identity = enter_receiver(ends, name, tmp_path)
    if product == "Orthanc":
        with peers.orthanc(tmp_path, port, identity, "PEER") as client:
            said, owed = send(ends, name, folders)
            kept = [client.get(f"/instances/{i}/file") for i in client.get("/instances").json()]
            came = [Object.parse(tmp_path, one.content) for one in kept]
    else:
        exact = ["+B"] if product.endswith("+B") else []
        proposed = contexts(sources.values())
        with peers.storescp(tmp_path, port, identity, proposed, *exact) as out:
            said, owed = send(ends, name, folders)
            came = [Object.read(path) for path in out.iterdir()]
    held = {one.sop_uid: one for one in came if one is not None}
    assert len(held) == len(came), "an instance is there once"
    refused = {Path(row["path"]): row for row in said["refused"]}
    assert said["files"] == len(files_below(folders)) == len(owed) + len(refused)
    for path, source in sources.items():
        row = refused.get(path)
        outcome = (
            f"not sent ({KEPT_BACK[row['number']]})"
            if row is not None
            else what_held(source, *owed[path], held)
        )
        if product.endswith("+B"):
            assert not outcome.startswith("elements") or outcome == PADDED, path
        table.add(peer, path, source.syntax, outcome)
    table.others |= {p: r["en"] for p, r in refused.items() if p not in sources}


def what_held(source: Object, acknowledged: bool, error: Any, held: dict[str, Object]) -> str:
    """Compare what the other end stored with the source; differences are an error."""
    if not acknowledged:
        if error["number"] in KEPT_BACK:
            return f"not sent ({KEPT_BACK[error['number']]})"
        if error["number"] == "E-6007":
            assert source.syntax in peers.STRANGE_TO_DCMTK, error
            return f"refused ({NO_CONTEXT})"
        assert error["number"] == "E-6008", error
        return f"refused ({error['en'].partition('(')[2].partition(')')[0]})"
    other = held[source.sop_uid]
    if other.data == source.data:
        return "bytes"
    assert not differences(source, other), source.path
    if source.syntax in DEFLATED and other.data == source.data + b"\0":
        return PADDED
    found = causes(source, other)
    assert not source.defined or found <= SAYS_NOTHING, (source.path, found)
    return f"elements + D2 ({', '.join(sorted(found))})"


@pytest.mark.requirement("DCM-11")
def test_an_odd_data_set_does_not_break_the_line(ends: Ends, tmp_path: Path) -> None:
    """DCMTK and Orthanc abort the association at a fragment of odd length."""
    sound, deflated, broken = write_series(tmp_path / "ct", seed=3, slices=3)
    _deflate(deflated)
    _drop_last_byte(broken)
    objects = [one for path in (sound, deflated, broken) if (one := Object.read(path))]
    assert [len(one.data) % 2 for one in objects] == [0, 1, 1]
    port, identity = enter_receiver(ends, "odd", tmp_path)
    with peers.storescp(tmp_path, port, identity, contexts(objects), "+B") as out:
        _, owed = send(ends, "odd", [tmp_path / "ct"])
        came = [one for path in out.iterdir() if (one := Object.read(path))]
    held = {one.sop_uid: one for one in came}
    outcomes = [what_held(one, *owed[one.path], held) for one in objects]
    assert outcomes == ["bytes", PADDED, "not sent (an element of odd length)"]
    assert len(held) == 2


@pytest.mark.requirement("DCM-11")
def test_an_object_at_which_a_peer_breaks_off_holds_up_no_other(ends: Ends, tmp_path: Path) -> None:
    objects = [Object.read(path) for path in write_series(tmp_path / "ct", seed=4, slices=4)]
    first, *others = [one.sop_uid for one in objects if one is not None]
    port, identity = enter_receiver(ends, "abrupt", tmp_path)
    came: set[str] = set()

    def on_store(event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        if uid == first:
            event.assoc.abort()
        came.add(uid)
        return 0

    ae = AE("PEER")
    ae.add_supported_context(UID(CT), ExplicitVRLittleEndian)
    own = tls.Credentials(identity.key, identity.certificate)
    context = tls.server_context(own, [identity.ca.read_text("ascii")])
    handlers: Any = [(evt.EVT_C_STORE, on_store)]
    server: Any = ae.start_server(
        ("127.0.0.1", port), block=False, ssl_context=context, evt_handlers=handlers
    )
    line = command("sender", "send", tmp_path / "ct", "--to", "abrupt", "--data", ends.sender)
    sending = start(line, ends.folder / "sender.log")
    try:
        until(lambda: came >= set(others), "all but the one are there")
    finally:
        sending.terminate()
        sending.communicate(timeout=30)
        server.shutdown()


def _deflate(path: Path) -> None:
    """Write a file anew as a deflated stream of odd length, without the NULL it should have."""
    one = Object.read(path)
    assert one is not None
    for level, memory in itertools.product(range(9, -1, -1), range(9, 0, -1)):
        deflate = zlib.compressobj(level, wbits=-15, memLevel=memory)
        stream = deflate.compress(one.data) + deflate.flush()
        if len(stream) % 2:
            break
    (syntax,) = DEFLATED
    path.write_bytes(file_prefix(one.sop_class, one.sop_uid, syntax) + stream)


def _drop_last_byte(path: Path) -> None:
    """Make Pixel Data, the last element, a byte shorter."""
    file = bytearray(path.read_bytes())
    at = file.index(b"\xe0\x7f\x10\x00OW\0\0") + 8
    length = int.from_bytes(file[at : at + 4], "little")
    file[at : at + 4] = (length - 1).to_bytes(4, "little")
    path.write_bytes(file[:-1])


def test_the_page_says_what_held(folders: list[Path], table: Table) -> None:
    if folders[0].name not in FOLDERS:
        return
    if len(table.versions) < 5:
        pytest.skip("not every product was there")
    page = PAGE.read_text("utf-8")
    if not all(f"| {peer} | {version} |" in page for peer, version in table.versions.items()):
        pytest.skip("the page tells of other versions of the products")
    assert table.page() == page, "copy artifacts/interop-page.md to docs/reference/interop.md"
