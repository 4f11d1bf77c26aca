"""The verb: exit codes, what it refuses to do, what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from common.free_ports import free_ports
from conformance.cases import CASES
from conformance.cli import app
from tests.conformance.receivers import Receiver, serving
from tests.conformance.rig import Pki


def invoke(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(words))
    return result.exit_code, result.stdout, result.stderr


def aim(port: int, *more: str) -> list[str]:
    ends = ["--aet", "STORESCP", "--calling-aet", "TESTER"]
    return ["receiver", "--address", f"127.0.0.1:{port}", *ends, *more]


def test_run_in_order_says_so_and_writes_the_report(store: Path, tmp_path: Path) -> None:
    with serving(Receiver(store)) as port:
        code, out, err = invoke(
            *aim(port, "--no-tls", "--read-back", str(store), "--json"),
            *("--report", str(tmp_path / "report"), "--only", "STO-001,IDN-005"),
        )
    assert code == 0, err
    document = json.loads(out)
    assert [case["verdict"] for case in document["cases"]] == ["pass", "pass"]
    assert len(document["left_behind"]) == 2
    for left in document["left_behind"]:
        assert left["study_instance_uid"] in err
    assert (tmp_path / "report" / "report.html").exists()
    assert json.loads((tmp_path / "report" / "report.json").read_text("utf-8")) == document


def test_failure_is_exit_code_1(store: Path) -> None:
    with serving(Receiver(store)) as port:
        code, _, _ = invoke(
            *aim(port, "--no-tls", "--timeout", "0.5", "--only", "VER-006", "--only", "VER-001")
        )
    assert code == 1


def test_nobody_there_is_a_code_of_the_sixties() -> None:
    (port,) = free_ports(1)
    code, out, _ = invoke(*aim(port, "--no-tls", "--json"))
    assert code == 61
    assert json.loads(out)["error"]["number"] == "E-6001"


def test_other_machine_is_asked_for_first() -> None:
    """192.0.2.1 is nobody's (RFC 5737): were it not refused, it would time out with 61."""
    words = ["--aet", "A", "--calling-aet", "B", "--no-tls", "--timeout", "0.5"]
    code, _, err = invoke("receiver", "--address", "192.0.2.1:104", *words)
    assert code == 2
    assert "--yes" in err
    code, _, _ = invoke("receiver", "--address", "192.0.2.1:104", *words, "--yes")
    assert code == 61


@pytest.mark.parametrize(("answer", "code"), [("n", 2), ("y", 61)])
def test_person_at_a_terminal_is_asked(answer: str, code: int) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    words = ["--address", "192.0.2.1:104", "--aet", "A", "--calling-aet", "B", "--no-tls"]
    line = [sys.executable, "-m", "common.command", "conformance", "receiver", *words]
    done = subprocess.run(
        [*line, "--timeout", "0.5"], stdin=theirs, capture_output=True, text=True, check=False
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == code, done.stderr
    assert "TODOKE-TEST" in done.stderr
    assert not done.stdout.strip()


@pytest.mark.parametrize(
    "words",
    [
        ("--no-tls", "--cert", "x"),
        (),
        ("--no-tls", "--query-dicomweb", "http://x", "--read-back", "."),
        ("--no-tls", "--query-dicomweb", "http://x", "--header", "Cookie: secret"),
        ("--no-tls", "--query-dicomweb", "http://x", "--header", "authorization: secret"),
        ("--no-tls", "--query-dicomweb", "http://x", "--header", "no colon"),
        ("--no-tls", "--tls-profile", "none"),
        ("--no-tls", "--aside", "."),
        ("--no-tls", "--read-back", "tests", "--aside", "docs"),
        ("--no-tls", "--read-back", "/nowhere/at/all"),
    ],
)
def test_what_does_not_fit_together_is_usage(words: tuple[str, ...]) -> None:
    code, _, err = invoke(*aim(104, *words))
    assert code == 2, err
    assert "secret" not in err


@pytest.mark.parametrize("address", ["host", ":104", "host:", "host:0", "host:65536", "host:1x"])
def test_address_must_be_one(address: str) -> None:
    words = ["--aet", "A", "--calling-aet", "B", "--no-tls"]
    assert invoke("receiver", "--address", address, *words)[0] == 2


@pytest.mark.parametrize("title", ["", " ", "A" * 17, "A\\B", "届け"])
def test_title_must_be_one(title: str) -> None:
    words = ["--address", "127.0.0.1:104", "--calling-aet", "B", "--no-tls"]
    assert invoke("receiver", "--aet", title, *words)[0] == 2


def test_unreadable_certificate_is_usage(pki: Pki) -> None:
    files = ("--cert", str(pki.ca_key), "--key", str(pki.ca_key), "--ca", str(pki.ca))
    assert invoke(*aim(104, *files))[0] == 2


def test_case_that_does_not_exist_is_not_found() -> None:
    assert invoke(*aim(104, "--no-tls", "--only", "TLS-999"))[0] == 21


def test_list_has_every_case() -> None:
    code, out, _ = invoke("list", "--json")
    assert code == 0
    assert [case["id"] for case in json.loads(out)] == [case.id for case in CASES]
    assert all(case.id in invoke("list")[2] for case in CASES)


def test_bench_that_does_not_exist_is_not_found() -> None:
    words = [sys.executable, "-m", "common.command", "--lang", "en", "bench", "line", "--quick"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 21
    assert "bench line was not found" in done.stderr
