"""Other products under the same cuts: DCMTK's storescp and Orthanc, as they come."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from common.dicom.association import Requestor
from common.free_ports import free_ports
from tests.common.dicom.association.rig import CT, CT_CONTEXT, EXPLICIT, HOST, Pki
from tests.system import peers
from tests.system.powercut.hearing import UNDER_WAY, Heard, Taken, cut_at_random
from tests.system.powercut.pushing import Source, store, write_studies
from tests.system.powercut.receiver_doors import MOST_STORED, Run
from tests.system.powercut.verdict import Verdict

AET = "PEER"
Holds = Callable[[Source], bool]


def storescp(run: Run) -> Verdict:
    """Cut while DCMTK's receiver takes instances."""
    folder = run.disk.inner / "storescp"

    @contextlib.contextmanager
    def running(port: int, identity: peers.Identity) -> Iterator[None]:
        folder.mkdir()
        with peers.storescp(folder, port, identity, [(CT, EXPLICIT)]):
            yield

    def looking(_port: int, _identity: peers.Identity) -> contextlib.nullcontext[Holds]:
        files = {path.name.partition(".")[2]: path for path in (folder / "out").glob("*")}
        return contextlib.nullcontext(lambda source: _same(source, _bytes(files.get(source.uid))))

    return _foreign(run, peers.version("storescp"), running, looking)


def orthanc(run: Run) -> Verdict:
    """Cut while Orthanc takes instances; it is asked for them after a start on what is left."""
    folder = run.disk.inner / "orthanc"

    @contextlib.contextmanager
    def running(port: int, identity: peers.Identity) -> Iterator[None]:
        folder.mkdir()
        with peers.orthanc(folder, port, identity, AET):
            yield

    @contextlib.contextmanager
    def looking(port: int, identity: peers.Identity) -> Iterator[Holds]:
        with peers.orthanc(folder, port, identity, AET) as client:
            yield lambda source: _same(source, _from_orthanc(client, source.uid))

    return _foreign(run, peers.version("Orthanc"), running, looking)


def _foreign(
    run: Run,
    product: str,
    running: Callable[[int, peers.Identity], contextlib.AbstractContextManager[None]],
    looking: Callable[[int, peers.Identity], contextlib.AbstractContextManager[Holds]],
) -> Verdict:
    pki = Pki.make(run.folder / "pki")
    identity = peers.Identity(pki.receiver.key, pki.receiver.chain, pki.folder / "ca.crt")
    (port,) = free_ports(1)
    count = run.instants * MOST_STORED + UNDER_WAY
    sources = write_studies(run.folder / "pushed", run.draw, count)
    heard = Heard()

    def push() -> None:
        with contextlib.closing(
            Requestor.open(
                ("127.0.0.1", port),
                tls=pki.client(),
                server_hostname=HOST,
                calling_aet="SENDER",
                called_aet=AET,
                contexts=[CT_CONTEXT],
            )
        ) as association:
            store(association, iter(sources), heard)

    with running(port, identity):
        pushing = heard.during(push)
        taken = cut_at_random(run.disk, heard, run.draw, run.instants, MOST_STORED)
        heard.end()
        pushing.join()
    run.disk.off()
    return _verdict(run, product, sources, taken, lambda: looking(port, identity))


def _verdict(
    run: Run,
    product: str,
    sources: list[Source],
    taken: list[Taken],
    looking: Callable[[], contextlib.AbstractContextManager[Holds]],
) -> Verdict:
    verdict = Verdict(product, "DICOM")
    known = {source.uid: source for source in sources}
    for _, one in run.looked_at(taken, verdict):
        with run.disk.after(one.cut):
            uids, unsound = [ack.uid for ack in one.acks], []
            try:
                with looking() as holds:
                    lost = [uid for uid in uids if not holds(known[uid])]
            except AssertionError as failure:
                lost, unsound = uids, [f"does not start: {failure}"]
            verdict.add(one.cut.kind, len(uids), lost, unsound)
    return verdict


def _same(source: Source, data: bytes) -> bool:
    """Whether a file holds the same samples: these products may write the rest anew."""
    try:
        here = dcmread(io.BytesIO(data))
    except (InvalidDicomError, EOFError):
        return False
    there = dcmread(source.path)
    return bool(here.get("PixelData") == there.PixelData)


def _bytes(path: Path | None) -> bytes:
    return path.read_bytes() if path is not None else b""


def _from_orthanc(client: httpx.Client, uid: str) -> bytes:
    found = client.post("/tools/lookup", content=uid).raise_for_status().json()
    instances = [one["Path"] for one in found if one["Type"] == "Instance"]
    if not instances:
        return b""
    answer = client.get(f"{instances[0]}/file")
    return answer.content if answer.is_success else b""
