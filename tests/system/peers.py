"""Other products as processes of the tests: DCMTK's storescu and storescp, Orthanc.

Programs are looked up outside the folder of Python, where pynetdicom puts tools
of DCMTK's names.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association

from common import tls
from common.free_ports import free_ports
from common.proof import certificates
from common.proof.certificates import Authority
from tests.system.ends import until

NO_CONTEXT = "no presentation context accepted"
CONTEXTS = 128  # presentation contexts of one association, PS3.8 table 9-18
#: Codings that DCMTK 3.6.7 does not know.  Its storescu and Orthanc refuse or skip them;
#: storescp breaks off at one that it was told to take.
STRANGE_TO_DCMTK = {
    *("1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"),
    *(f"1.2.840.10008.1.2.4.{tail}" for tail in (110, 111, 112, 201, 202, 203)),
    *(f"1.2.840.10008.1.2.4.{tail}.1" for tail in range(100, 107)),  # fragmentable video
}
FILE = re.compile(r"^I: Sending file: (.+)$")
ANSWER = re.compile(r"^I: Received Store Response")
FAULT = re.compile(r"^[EF]: (.+)$")
#: DCMTK waits for an acknowledgement before each short packet unless told not to
ENVIRONMENT = os.environ | {"TCP_NODELAY": "1"}


def program(name: str) -> str:
    """Path of a foreign program; without it the test is skipped, in CI it fails."""
    own = Path(sys.executable).parent
    folders = [f for f in os.environ.get("PATH", "").split(os.pathsep) if Path(f) != own]
    found = shutil.which(name, path=os.pathsep.join([*folders, "/usr/bin", "/usr/sbin"]))
    if found is not None:
        return found
    why = f"{name} is not installed"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def version(name: str) -> str:
    """Name and version of a foreign program as it says them itself."""
    done = subprocess.run([program(name), "--version"], capture_output=True, text=True, check=True)
    numbers = re.search(r"\d+\.\d+\.\d+", done.stdout)
    assert numbers is not None, done.stdout
    return f"{'DCMTK' if name.startswith('store') else name} {numbers[0]}"


@dataclass(frozen=True)
class Identity:
    """Key and certificate that a product shows, and the CA it believes."""

    key: Path
    certificate: Path
    ca: Path

    def options(self) -> list[str]:
        """The same as DCMTK's tools are told it."""
        return ["+tls", str(self.key), str(self.certificate), "+cf", str(self.ca)]


def own_identity(folder: Path) -> Identity:
    """A listener's key and certificate from a CA of its own; what it believes comes later."""
    authority = Authority.create("product CA")
    key = certificates.new_key()
    leaf = authority.issue(key.public_key(), "product", hosts=["localhost", "127.0.0.1"])
    made = Identity(folder / "product.key", folder / "product.crt", folder / "product-ca.crt")
    made.key.write_bytes(certificates.key_to_pem(key))
    made.certificate.write_text(certificates.to_pem(leaf))
    made.ca.write_text(authority.pem)
    return made


def _profile(path: Path, contexts: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    """An association profile for DCMTK's tools: SOP classes, each with its transfer syntaxes."""
    lists: dict[tuple[str, ...], str] = {}
    rows = ["[[PresentationContexts]]", "[All]"]
    for number, (sop_class, syntaxes) in enumerate(contexts, 1):
        name = lists.setdefault(tuple(syntaxes), f"List{len(lists)}")
        rows.append(f"PresentationContext{number} = {sop_class}\\{name}")
    lines = ["[[TransferSyntaxes]]"]
    for syntaxes, name in lists.items():
        lines.append(f"[{name}]")
        lines += [f"TransferSyntax{number} = {uid}" for number, uid in enumerate(syntaxes, 1)]
    lines += [*rows, "[[Profiles]]", "[Default]", "PresentationContexts = All"]
    path.write_text("\n".join(lines) + "\n")
    return ["-xf", str(path), "Default"]


@dataclass
class Attempt:
    """What a foreign sender did with a file, and what it said of it."""

    path: Path
    sent: bool = False
    said: str = ""


def storescu(
    folder: Path,
    port: int,
    identity: Identity,
    titles: tuple[str, str],
    contexts: Iterable[tuple[str, str]],
    files: Sequence[Path],
    *options: str,
) -> list[Attempt]:
    """Send files with DCMTK; gives what became of each it tried, in order.

    Parameters
    ----------
    titles : (str, str)
        Calling and called AE title.
    contexts : iterable of (str, str)
        SOP class and transfer syntax to propose.
    """
    proposed = _profile(folder / "storescu.cfg", [(name, [syntax]) for name, syntax in contexts])
    line = [program("storescu"), "-v", "-nh", *options, *proposed, *identity.options()]
    line += ["-aet", titles[0], "-aec", titles[1], "localhost", str(port)]
    done = subprocess.run(
        [*line, *map(str, files)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=ENVIRONMENT,
    )
    attempts: list[Attempt] = []
    for row in (done.stdout + done.stderr).splitlines():
        if found := FILE.match(row):
            attempts.append(Attempt(Path(found[1])))
        elif attempts and ANSWER.match(row):
            attempts[-1].sent = True
        elif attempts and (fault := FAULT.match(row)):
            attempts[-1].said = fault[1].replace(str(attempts[-1].path), "…")
    assert attempts, done.stderr
    return attempts


def client_context(product: Identity) -> ssl.SSLContext:
    """Return the TLS of a product that speaks with one of ours by its paired certificate."""
    own = tls.Credentials(product.key, product.certificate)
    return tls.client_context(own, [product.ca.read_text("ascii")])


def pynetdicom_sends(
    _folder: Path,
    port: int,
    identity: Identity,
    titles: tuple[str, str],
    proposed: Iterable[tuple[str, str]],
    files: Sequence[Path],
) -> list[Attempt]:
    """Send files with an AE of pynetdicom; as :func:`storescu`.

    On a busy machine its reactor takes an answer that its sending thread waits for
    (``Received unexpected C-STORE service message``) and it aborts: the file goes again.
    """
    ae = AE(titles[0])
    ae.dimse_timeout = 10
    for sop_class, syntax in proposed:
        ae.add_requested_context(UID(sop_class), UID(syntax))

    def associate() -> Association:
        context = client_context(identity), "localhost"
        made = ae.associate("localhost", port, ae_title=titles[1], tls_args=context)
        assert made.is_established
        return made

    association, attempts = associate(), []
    for path in files:
        for again in (True, True, False):
            try:
                association.send_c_store(path)
                said = None
            except Exception as failure:  # it raises anything for a file it cannot send
                said = str(failure).splitlines()[0]
            if association.is_established:
                break
            assert again, path
            association = associate()
        known = said is not None and said.startswith("No presentation context")
        attempts.append(Attempt(path, said is None, NO_CONTEXT if known else said or ""))
    association.release()
    return attempts


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def _running(line: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("w") as said:
        process = subprocess.Popen(line, stdout=said, stderr=subprocess.STDOUT, env=ENVIRONMENT)
    try:
        until(lambda: process.poll() is not None or _listens(port), f"{line[0]} listens")
        assert process.poll() is None, log.read_text("utf-8", "replace")
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def storescp(
    folder: Path,
    port: int,
    identity: Identity,
    contexts: Iterable[tuple[str, str]],
    *options: str,
) -> Iterator[Path]:
    """DCMTK's receiver, told to take what it knows; gives the folder it writes to."""
    out = folder / "out"
    out.mkdir()
    pairs = [pair for pair in contexts if pair[1] not in STRANGE_TO_DCMTK]
    syntaxes = list(dict.fromkeys(syntax for _, syntax in pairs))
    accepted = dict.fromkeys((name for name, _ in pairs), syntaxes)
    line = [program("storescp"), "-v", *options, "-od", str(out), *identity.options(), "-rc"]
    line += [*_profile(folder / "storescp.cfg", accepted.items()), str(port)]
    with _running(line, port, folder / "storescp.log"):
        yield out


@contextlib.contextmanager
def orthanc(
    folder: Path,
    port: int,
    identity: Identity,
    aet: str,
    modalities: dict[str, dict[str, object]] | None = None,
    **more: object,
) -> Iterator[httpx.Client]:
    """Orthanc with a storage of its own; gives a client for its REST interface.

    Parameters
    ----------
    more
        Settings of Orthanc beside those, or instead of them.
    modalities : dict, optional
        The ends it may dial, as its settings have them.
    """
    (web,) = free_ports(1)
    settings = {
        "Name": "peer",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": web,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": aet,
        "DicomCheckCalledAet": True,
        "DicomPort": port,
        "DicomAlwaysAllowStore": True,
        "DicomTlsEnabled": True,
        "DicomTlsPrivateKey": str(identity.key),
        "DicomTlsCertificate": str(identity.certificate),
        "DicomTlsTrustedCertificates": str(identity.ca),
        "DicomTlsRemoteCertificateRequired": True,
        "AcceptedTransferSyntaxes": ["1.2.840.10008.1.*"],
        "UnknownSopClassAccepted": True,
        "DicomModalities": modalities or {},
        "Plugins": [],
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings | more))
    line = [program("Orthanc"), str(path)]
    with (
        _running(line, port, folder / "orthanc.log"),
        httpx.Client(base_url=f"http://127.0.0.1:{web}", trust_env=False) as client,
    ):
        until(lambda: _listens(web), "Orthanc answers")
        yield client
