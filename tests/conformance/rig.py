"""What the tests of the kit need: certificates of a test CA, DCMTK's storescp, a way to run."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from common.free_ports import free_ports
from conformance import cases, runner
from conformance.case import Verdict
from conformance.credentials import Pair, like, unknown_authority
from conformance.options import new_run
from conformance.readback import Folder, ReadBack, wait_for
from conformance.runner import Report
from conformance.session import Session
from conformance.target import Credentials, Target

STORESCP = Path("/usr/bin/storescp")  # not pynetdicom's script of the same name
ORTHANC = Path("/usr/sbin/Orthanc")
READY = 20.0


@dataclass(frozen=True)
class Pki:
    """A CA, a certificate for the receiver and one for the tester, as files."""

    ca: Path
    ca_key: Path
    receiver: Credentials
    tester: Credentials

    @classmethod
    def make(cls, folder: Path) -> Pki:
        authority = unknown_authority()
        assert authority.certificate is not None
        ca, ca_key = folder / "ca.pem", folder / "ca.key"
        ca.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
        ca_key.write_bytes(_pem(authority.key))
        ends = []
        for name in ("receiver", "tester"):
            pair = like(_model(name), authority)
            ends.append(_write(folder, name, pair, ca))
        return cls(ca, ca_key, *ends)


def rsa_pair(folder: Path, pki: Pki) -> Credentials:
    """A receiver's certificate with an RSA key, for suites that need one."""
    key = rsa.generate_private_key(65537, 2048)
    model = _model("rsa")
    builder = (
        x509.CertificateBuilder(model.subject, model.subject, key.public_key(), 1)
        .not_valid_before(model.not_valid_before_utc)
        .not_valid_after(model.not_valid_after_utc)
    )
    certificate = builder.sign(key, hashes.SHA256())
    pair = Pair(certificate.public_bytes(Encoding.PEM), _pem(key))
    return _write(folder, "rsa", pair, pki.ca)


def _write(folder: Path, name: str, pair: Pair, ca: Path) -> Credentials:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    return Credentials(certificate, key, ca)


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _model(name: str) -> x509.Certificate:
    """A certificate that lends its names: localhost and 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{name}.example")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    return (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )


def target(port: int, pki: Pki | None = None, *, aet: str = "STORESCP", **more: object) -> Target:
    """The receiver at a port of this machine, with TLS where a Pki is given."""
    values: dict[str, object] = {
        "credentials": None if pki is None else pki.tester,
        "server_name": "localhost",
        "patience": 10.0,  # of a machine that does much else
        "test_ca_key": None if pki is None else pki.ca_key,
        "test_ca": None if pki is None else pki.ca,
        **more,
    }
    return Target("127.0.0.1", port, aet, "TESTER", **values)  # type: ignore[arg-type]


def run(aim: Target, inside: Path | ReadBack | None, *only: str, settle: float = 1.0) -> Report:
    """Run the kit, all cases or those named."""
    look = Folder(inside) if isinstance(inside, Path) else inside
    session = Session(aim, new_run(), look, settle)
    return runner.run(session, runner.choose(cases.CASES, only))


def but(*ids: str) -> list[str]:
    """Name all cases but these."""
    return [case.id for case in cases.CASES if case.id not in ids]


def having(report: Report, verdict: Verdict) -> set[str]:
    """Ids of the cases with this verdict."""
    return {result.case.id for result in report.results if result.verdict is verdict}


def failed(report: Report) -> set[str]:
    """Ids of failed cases; an error of the trial itself is never expected."""
    broken = {
        result.case.id: result.observed.en
        for result in report.results
        if result.verdict is Verdict.ERROR
    }
    assert not broken, broken
    return having(report, Verdict.FAIL)


@contextlib.contextmanager
def storescp(folder: Path, *options: str) -> Iterator[int]:
    """DCMTK's receiver on a free port of this machine."""
    (port,) = free_ports(1)
    with _started(port, [STORESCP, *options, "-od", folder, port]):
        yield port


@contextlib.contextmanager
def orthanc(folder: Path) -> Iterator[int]:
    """Orthanc with DICOM alone on a free port of this machine."""
    (port,) = free_ports(1)
    settings = {
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "HttpServerEnabled": False,
        "DicomAet": "ORTHANC",
        "DicomPort": port,
        "DicomCheckCalledAet": True,
    }
    words = folder.with_suffix(".json")
    words.write_text(json.dumps(settings), "utf-8")
    with _started(port, [ORTHANC, words]):
        yield port


@contextlib.contextmanager
def _started(port: int, words: Sequence[object]) -> Iterator[None]:
    program = Path(str(words[0]))
    if not program.exists():
        pytest.skip(f"{program.name} is not installed")
    process = subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert wait_for(lambda: _listens(port) or process.poll() is not None, READY)
        assert process.poll() is None, f"{program.name} ended at once"
        yield
    finally:
        process.kill()
        process.wait(READY)


def tls_options(pki: Pki, *more: str) -> Sequence[str]:
    end = pki.receiver
    files = ("+tls", str(end.key), str(end.certificate), "+cf", str(pki.ca))
    return (*files, *more)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
