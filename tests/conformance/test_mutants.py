"""Each dishonest receiver is caught by the case that is meant for it, an honest one by none."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.case import Verdict
from tests.conformance import receivers
from tests.conformance.receivers import Receiver, answering, serving
from tests.conformance.rig import Pki, failed, having, rsa_pair, run, target

pytestmark = pytest.mark.requirement("TST-03")

# pynetdicom waits for as many bytes as a PDU says, be it 4 GiB
HONEST_FAILS = {"VER-006"}


def test_honest_receiver_fails_only_where_pynetdicom_does(store: Path) -> None:
    with serving(Receiver(store)) as port:
        report = run(target(port), store)
    # its 20 polling threads answer within the second, or not, as the machine is loaded
    assert failed(report) - {"TLS-008"} == HONEST_FAILS
    skipped = having(report, Verdict.SKIP)
    assert {case[:3] for case in skipped} == {"TLS", "CRT"}
    assert report.exit_code == 1


@pytest.mark.parametrize(
    ("mutant", "cases"),
    [
        (receivers.Dropper, {"IDN-001", "IDN-011", "IDN-012"}),
        (receivers.Coercer, {"IDN-005", "IDN-006", "IDN-007", "IDN-009"}),
        (receivers.Recoder, {"IDN-008"}),
        (receivers.Stripper, {"IDN-001", "IDN-010"}),
        (receivers.Lossy, {"IDN-001", "IDN-002", "IDN-003", "IDN-004", "STO-011"}),
        (receivers.Borrower, {"IDN-011"}),
        (receivers.Overwriter, {"STO-008"}),
        (receivers.Hoarder, {"STO-007", "STO-008"}),
        (receivers.Believer, {"STO-009", "STO-010"}),
        (receivers.Refuser, {"STO-007"}),
    ],
)
def test_mutant_is_caught(mutant: Callable[[Path], Receiver], cases: set[str], store: Path) -> None:
    with serving(mutant(store)) as port:
        report = run(target(port), store, *cases, "STO-001", settle=0.6)
    assert failed(report) == cases


def test_a_loss_anywhere_is_seen_at_the_end(store: Path) -> None:
    with serving(receivers.Dropper(store)) as port:
        report = run(target(port), store, "STO-001", "IDN-012", settle=0.1)
    assert failed(report) == {"IDN-012"}


def test_without_a_look_inside_a_dropper_passes_and_identity_is_skipped(store: Path) -> None:
    with serving(receivers.Dropper(store)) as port:
        report = run(target(port), None, "STO-001", "IDN")
    assert failed(report) == set()
    assert len(having(report, Verdict.SKIP)) == 12


def test_success_before_the_last_fragment_is_caught() -> None:
    with answering(receivers.hasty) as port:
        report = run(target(port), None, "STO-014")
    assert failed(report) == {"STO-014"}


def _context(pki: Pki) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.receiver.certificate, pki.receiver.key)
    context.load_verify_locations(pki.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    return context


def test_tls_door_in_order_fails_only_by_the_silent(pki: Pki, store: Path) -> None:
    """NET-07: pynetdicom shakes hands in its accept loop, so silent clients block it."""
    with serving(Receiver(store), _context(pki)) as port:
        report = run(target(port, pki, patience=2.0), store, "TLS", "CRT")
    assert failed(report) == {"TLS-008"}
    assert having(report, Verdict.SKIP) == set()


@pytest.mark.parametrize("profile", ["dicom-b12", "jp-high13"])
def test_profile_named_by_the_tester_is_held_to(profile: str, pki: Pki, store: Path) -> None:
    context = _context(pki)
    aim = {"profile": profile}
    with serving(Receiver(store), context) as port:
        report = run(target(port, pki, **aim), store, "TLS-002")
    assert failed(report) == (set() if profile == "dicom-b12" else {"TLS-002"})
    context = _context(pki)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with serving(Receiver(store), context) as port:
        report = run(target(port, pki, **aim), store, "TLS-002")
    assert failed(report) == (set() if profile == "jp-high13" else {"TLS-002"})


def _old_versions(context: ssl.SSLContext, pki: Pki, folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")


def _cbc(context: ssl.SSLContext, pki: Pki, folder: Path) -> None:
    context.set_ciphers("ALL")


def _static_rsa(context: ssl.SSLContext, pki: Pki, folder: Path) -> None:
    pair = rsa_pair(folder, pki)
    context.load_cert_chain(pair.certificate, pair.key)
    context.set_ciphers("ALL")


def _no_client_needed(context: ssl.SSLContext, pki: Pki, folder: Path) -> None:
    context.verify_mode = ssl.CERT_NONE


def _client_may(context: ssl.SSLContext, pki: Pki, folder: Path) -> None:
    context.verify_mode = ssl.CERT_OPTIONAL


def _only_tls12(context: ssl.SSLContext, pki: Pki, folder: Path) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("fault", "cases"),
    [
        (_only_tls12, {"TLS-001"}),
        (_old_versions, {"TLS-003", "TLS-004"}),
        (_cbc, {"TLS-004"}),
        (_static_rsa, {"TLS-004", "TLS-005"}),
        (_client_may, {"CRT-001"}),
        (_no_client_needed, {f"CRT-{number:03d}" for number in range(1, 7)}),
    ],
)
def test_fault_in_tls_is_caught(
    fault: Callable[[ssl.SSLContext, Pki, Path], None],
    cases: set[str],
    pki: Pki,
    store: Path,
    tmp_path: Path,
) -> None:
    context = _context(pki)
    fault(context, pki, tmp_path)
    others = [f"TLS-{number:03d}" for number in (1, 3, 4, 5, 6, 7)]
    with serving(Receiver(store), context) as port:
        report = run(target(port, pki), store, *others, "CRT")
    assert failed(report) == cases


def test_other_title_let_in_is_caught(pki: Pki, store: Path) -> None:
    with serving(Receiver(store), _context(pki), titles=False) as port:
        report = run(target(port, pki), store, "CRT-007", "VER-002")
    assert failed(report) == {"CRT-007"}
    (called,) = (result for result in report.results if result.case.id == "VER-002")
    assert called.remark


def test_clear_text_on_the_tls_port_is_caught(pki: Pki, store: Path) -> None:
    with serving(Receiver(store)) as port:
        report = run(target(port, pki), store, "TLS-006")
    assert failed(report) == {"TLS-006"}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", {"TLS-007"}),
        (b"HTTP/1.1 301 Moved\r\n\r\n", {"TLS-007"}),
        (b"HTTP/1.1 400 Bad Request\r\n\r\nthis is a DICOM port", set()),
        (b"", set()),
    ],
)
def test_http_door_is_caught(answer: bytes, expected: set[str]) -> None:
    def door(sock: socket.socket) -> None:
        sock.recv(4096)
        sock.sendall(answer)

    with answering(door) as port:
        assert failed(run(target(port), None, "TLS-007")) == expected


def test_door_that_stays_open_for_http_is_caught() -> None:
    with answering(lambda sock: _until_closed(sock)) as port:
        assert failed(run(target(port, patience=0.5), None, "TLS-007")) == {"TLS-007"}


def _until_closed(sock: socket.socket) -> None:
    while sock.recv(4096):
        pass


def test_refusals_show_nothing_where_the_right_certificate_is_refused_too(
    pki: Pki, store: Path, tmp_path: Path
) -> None:
    stranger = Pki.make(tmp_path)
    context = _context(pki)
    context.verify_mode = ssl.CERT_REQUIRED
    with serving(Receiver(store), context) as port:
        aim = target(port, pki, credentials=stranger.tester)
        report = run(aim, store, "CRT-001", "CRT-002")
    assert having(report, Verdict.ERROR) == {"CRT-001", "CRT-002"}
    assert report.exit_code == 1
