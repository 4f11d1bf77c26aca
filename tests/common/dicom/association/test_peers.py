"""Both roles against DCMTK and pynetdicom, over mutual TLS."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID
from pynetdicom import AE, evt

from common.dicom import uids
from common.dicom.association import Outgoing, Pieces
from common.errors import AssociationRejected, DiskFull
from common.free_ports import free_ports
from tests.common.dicom.association.rig import (
    CT,
    DEADLINE,
    EXPLICIT,
    HOST,
    Pki,
    Shelf,
    accepting,
    calling,
)

pytestmark = pytest.mark.peer

_PATH = os.pathsep.join(
    # pynetdicom puts tools of the same names beside Python
    folder
    for folder in os.environ.get("PATH", "").split(os.pathsep)
    if not (Path(folder) / "python").exists() or folder in {"/usr/bin", "/bin"}
)


def dcmtk(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    if found is None:
        pytest.skip(f"no DCMTK {name}")
    return found


def ct(number: int, size: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = UID(CT)
    uid = UID(uids.new_uid())
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
    dataset.PatientID = "TEST"
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = UID("2.25.1")
    dataset.InstanceNumber = number
    dataset.Rows = dataset.Columns = size
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = random.Random(number).randbytes(2 * size * size)
    return dataset


def encoded(path: Path) -> bytes:
    """The data set of a Part 10 file, without preamble and group 0002."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[140:144], "little")
    return raw[144 + length :]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("ct")
    paths = []
    for number, size in enumerate([8, 64, 64, 64, 256, 700]):
        path = folder / f"{number}.dcm"
        ct(number, size).save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def instances(files: Sequence[Path]) -> list[Outgoing]:
    def one(path: Path) -> Outgoing:
        data = encoded(path)
        uid = str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        return Outgoing(CT, uid, EXPLICIT, len(data), lambda: Pieces(len(data), [data]))

    return [one(path) for path in files]


def digests(files: Sequence[Path]) -> set[str]:
    return {hashlib.sha256(encoded(path)).hexdigest() for path in files}


@contextmanager
def storescp(pki: Pki, folder: Path, *options: str) -> Iterator[tuple[str, int]]:
    """DCMTK's receiver, writing byte for byte what comes (+B)."""
    (port,) = free_ports(1)
    line = [dcmtk("storescp"), "+B", "-od", str(folder), *options]
    line += ["+tls", str(pki.receiver.key), str(pki.receiver.chain)]
    line += ["+cf", str(pki.folder / "ca.crt"), "-rc", str(port)]
    # without its own no-delay setting each response waits for our acknowledgement
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = threading.Event()
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            deadline.wait(0.05)
        yield "127.0.0.1", port
    finally:
        process.terminate()
        process.wait()


@pytest.mark.requirement("DCM-11", "DCM-02")
@pytest.mark.parametrize("max_pdu", ["4096", "131072"])
def test_storescp_keeps_every_byte(
    pki: Pki, tmp_path: Path, files: list[Path], max_pdu: str
) -> None:
    with (
        storescp(pki, tmp_path, "--max-pdu", max_pdu) as address,
        calling(address, pki.client()) as requestor,
    ):
        assert requestor.window == 1
        assert requestor.echo() == 0
        outcomes = list(requestor.store(instances(files)))
    assert [o.status for o in outcomes] == [0] * len(files)
    assert digests(list(tmp_path.iterdir())) == digests(files)


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="the system cannot")
def test_a_receiver_that_waits_for_our_acknowledgement_is_not_waited_for(
    pki: Pki, tmp_path: Path, files: list[Path]
) -> None:
    """As installed, DCMTK holds each response back until ours comes: 44 ms an instance."""
    with storescp(pki, tmp_path) as address, calling(address, pki.client()) as requestor:
        began = time.monotonic()
        assert len(list(requestor.store(instances(files[:1] * 100)))) == 100
        assert time.monotonic() - began < 3.0


def test_a_sender_as_installed_is_not_slowed_down(pki: Pki, files: list[Path]) -> None:
    """The same 44 ms, when our response would wait for the sender's acknowledgement."""
    with accepting(Shelf(), pki.server()) as acceptor:
        began = time.monotonic()
        run = tool(pki, "storescu", acceptor.address, *map(str, files[:1] * 100))
        assert time.monotonic() - began < 3.0
    assert run.returncode == 0, run.stderr


@pytest.mark.requirement("DCM-11")
def test_pynetdicom_receiver(pki: Pki, files: list[Path]) -> None:
    came: dict[str, str] = {}

    def on_store(event: Any) -> int:
        data = event.encoded_dataset(include_meta=False)
        came[str(event.request.AffectedSOPInstanceUID)] = hashlib.sha256(data).hexdigest()
        return 0xB007 if len(came) == 2 else 0

    ae = AE("TODOKE")
    ae.supported_contexts = []
    ae.add_supported_context(UID(CT), UID(EXPLICIT))
    ae.add_supported_context(UID(uids.VERIFICATION))
    server: Any = ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        ssl_context=pki.server(),
        evt_handlers=[(evt.EVT_C_STORE, on_store)],
    )
    try:
        port = server.socket.getsockname()[1]
        with calling(("127.0.0.1", port), pki.client()) as requestor:
            assert requestor.echo() == 0
            outcomes = list(requestor.store(instances(files)))
    finally:
        server.shutdown()
    # a warning is stored too
    assert [o.status for o in outcomes] == [0, 0xB007, 0, 0, 0, 0]
    assert not any(o.error for o in outcomes)
    assert set(came.values()) == digests(files)


@pytest.mark.requirement("DCM-06")
def test_a_rejection_of_pynetdicom_is_told(pki: Pki) -> None:
    ae = AE("OTHER")
    ae.require_called_aet = True
    ae.add_supported_context(UID(uids.VERIFICATION))
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, ssl_context=pki.server())
    try:
        port = server.socket.getsockname()[1]
        with pytest.raises(AssociationRejected, match="Called AE title"):
            calling(("127.0.0.1", port), pki.client())
    finally:
        server.shutdown()


@pytest.mark.requirement("DCM-11", "DCM-02", "NET-01")
@pytest.mark.parametrize("propose", ["-xe", "-x="])
def test_storescu_of_dcmtk(pki: Pki, files: list[Path], propose: str) -> None:
    shelf = Shelf()
    with accepting(shelf, pki.server()) as acceptor:
        run = tool(pki, "storescu", acceptor.address, propose, *map(str, files))
    assert run.returncode == 0, run.stderr
    assert {hashlib.sha256(data).hexdigest() for data in shelf.stored.values()} == digests(files)
    assert shelf.began[0].peer.tls_version == "TLSv1.3"


def tool(
    pki: Pki, name: str, address: tuple[str, int], *words: str
) -> subprocess.CompletedProcess[str]:
    line = [dcmtk(name), "-v", "-to", "10", "-aet", "MODALITY", "-aec", "TODOKE"]
    line += ["+tls", str(pki.sender.key), str(pki.sender.chain), "+cf", str(pki.folder / "ca.crt")]
    line += [address[0], str(address[1])]
    options = [word for word in words if word.startswith("-")]
    return subprocess.run(
        [*line[:1], *options, *line[1:], *(word for word in words if not word.startswith("-"))],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


@pytest.mark.requirement("DCM-11", "DCM-02")
def test_echoscu_of_dcmtk(pki: Pki) -> None:
    with accepting(Shelf(), pki.server()) as acceptor:
        run = tool(pki, "echoscu", acceptor.address)
    assert run.returncode == 0, run.stderr


@pytest.mark.requirement("DCM-06")
def test_storescu_of_dcmtk_reads_our_refusal(pki: Pki, files: list[Path]) -> None:
    shelf = Shelf(error=DiskFull(path="secret"))
    with accepting(shelf, pki.server()) as acceptor:
        run = tool(pki, "storescu", acceptor.address, *map(str, files[:1]))
    words = run.stdout + run.stderr
    assert "OutOfResources" in words
    assert "secret" not in words


@pytest.mark.requirement("DCM-11", "DCM-02")
@pytest.mark.parametrize("max_pdu", [0, 4096, 1 << 20])
def test_pynetdicom_sender(pki: Pki, files: list[Path], max_pdu: int) -> None:
    shelf = Shelf()
    ae = AE("SENDER")
    ae.dimse_timeout = 5
    ae.add_requested_context(UID(CT), UID(EXPLICIT))
    ae.add_requested_context(UID(uids.VERIFICATION))
    statuses: list[int | None] = []
    with accepting(shelf, pki.server(), max_pdu=max_pdu) as acceptor:
        # on a busy machine pynetdicom's reactor takes a response from its own caller
        # ("unexpected C-STORE service message"); an answer that it lost is asked for again
        for _ in range(3):
            association = ae.associate(
                *acceptor.address, ae_title="TODOKE", tls_args=(pki.client(), HOST), max_pdu=max_pdu
            )
            assert association.is_established
            assert association.send_c_echo().get("Status") in {0, None}
            statuses = []
            for path in files:
                statuses.append(association.send_c_store(path).get("Status"))
                if statuses[-1] is None:
                    break
            else:
                association.release()
                break
    assert statuses == [0] * len(files)
    assert {hashlib.sha256(data).hexdigest() for data in shelf.stored.values()} == digests(files)


@contextmanager
def orthanc(pki: Pki, folder: Path, receiver: tuple[str, int]) -> Iterator[tuple[int, int]]:
    """Orthanc with TLS on its DICOM port; knows `receiver`. Gives HTTP and DICOM port."""
    program = shutil.which("Orthanc", path=_PATH)
    if program is None:
        pytest.skip("no Orthanc")
    http, dicom = free_ports(2)
    settings = {
        "Name": "peer",
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "Plugins": [],
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "DicomAlwaysAllowStore": True,
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(pki.receiver.chain),
        "DicomTlsPrivateKey": str(pki.receiver.key),
        "DicomTlsTrustedCertificates": str(pki.folder / "ca.crt"),
        "AuthenticationEnabled": False,
        "RemoteAccessAllowed": False,
        "DicomModalities": {
            "todoke": {
                "AET": "TODOKE",
                "Host": receiver[0],
                "Port": receiver[1],
                "UseDicomTls": True,
            }
        },
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(path)], stdout=log, stderr=log)
        try:
            for _ in range(400):
                with contextlib.suppress(httpx.HTTPError):
                    httpx.get(f"http://127.0.0.1:{http}/system")
                    break
                threading.Event().wait(0.05)
            yield http, dicom
        finally:
            process.terminate()
            process.wait()


@pytest.mark.requirement("DCM-11", "DCM-02")
def test_orthanc_takes_and_gives_back(pki: Pki, tmp_path: Path, files: list[Path]) -> None:
    shelf = Shelf()
    with (
        accepting(shelf, pki.server()) as acceptor,
        orthanc(pki, tmp_path, acceptor.address) as (http, dicom),
    ):
        with calling(("127.0.0.1", dicom), pki.client(), called_aet="ORTHANC") as requestor:
            assert requestor.echo() == 0
            outcomes = list(requestor.store(instances(files)))
        base = f"http://127.0.0.1:{http}"
        names = httpx.get(f"{base}/instances").json()
        done = httpx.post(f"{base}/modalities/todoke/store", json=names, timeout=DEADLINE)
    assert [o.status for o in outcomes] == [0] * len(files)
    assert done.status_code == 200
    assert {hashlib.sha256(data).hexdigest() for data in shelf.stored.values()} == digests(files)
