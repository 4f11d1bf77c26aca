"""A timestamp over the root, made by a real authority (openssl ts), read without one."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from common.proof import verify
from tests.common.proof.handed import Case, Handed, hand_over, make_case
from tests.system.peers import program

pytestmark = [pytest.mark.evidence, pytest.mark.peer]
SETTINGS = """
[tsa]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("case"), count=1)


def authority(folder: Path, key: str) -> str:
    """Make an authority's key and certificate; returns the certificate (PEM)."""
    folder.mkdir()
    (folder / "serial").write_text("01", "ascii")
    (folder / "ts.cnf").write_text(SETTINGS.format(folder=folder), "ascii")
    kind = ["-newkey", "rsa:2048"]
    if key == "ec":
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    subprocess.run(
        [program("openssl"), "req", "-x509", *kind, "-nodes", "-days", "30", "-subj", "/CN=TSA",
         "-addext", "extendedKeyUsage=critical,timeStamping",
         "-keyout", folder / "tsa.key", "-out", folder / "tsa.pem"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return (folder / "tsa.pem").read_text("ascii")


def token(folder: Path, root: str) -> str:
    """Have the SHA-256 of a root stamped; returns the token as a record file has it."""
    (folder / "root").write_bytes(bytes.fromhex(root))
    openssl, query, answer = program("openssl"), folder / "query", folder / "token"
    lines: tuple[list[str | Path], ...] = (
        ["-query", "-sha256", "-cert", "-data", folder / "root", "-out", query],
        ["-reply", "-config", folder / "ts.cnf", "-section", "tsa", "-queryfile", query,
         "-token_out", "-out", answer],
    )  # fmt: skip
    for line in lines:
        subprocess.run([openssl, "ts", *line], check=True, capture_output=True, timeout=30)
    return base64.b64encode(answer.read_bytes()).decode()


def said(case: Case, stamp: str, pem: str | None, folder: Path) -> tuple[int, list[str]]:
    handed = Handed([{**case.files[0], "timestamp": stamp}], trust=[pem] if pem else None)
    line = list(hand_over(case, handed, folder))
    answer = verify.verify([Path(line[0])], folder / "trust")
    (one,) = answer["records"]
    codes = [finding["code"] for kind in ("differs", "open", "held") for finding in one[kind]]
    return answer["exit"], [code for code in codes if code.startswith(("timestamp", "stamped"))]


@pytest.mark.requirement("EVD-02", "DAT-12")
@pytest.mark.parametrize("key", ["rsa", "ec"])
def test_a_timestamp_is_checked_as_far_as_its_authority_is_known(
    key: str, case: Case, tmp_path: Path
) -> None:
    pem = authority(tmp_path / "tsa", key)
    root = case.read(0)["instances"]["root"]
    stamp = token(tmp_path / "tsa", root)
    assert said(case, stamp, pem, tmp_path / "a") == (0, ["stamped"])
    assert said(case, stamp, None, tmp_path / "b") == (0, ["timestamp-authority"])
    other = token(tmp_path / "tsa", "ab" * 32)
    assert said(case, other, pem, tmp_path / "c") == (1, ["timestamp"])
    der = bytearray(base64.b64decode(stamp))
    at = bytes(der).index(b"Z", bytes(der).index(b"\x18\x0f20"))  # genTime, GeneralizedTime
    der[at - 1] ^= 1
    altered = base64.b64encode(der).decode()
    assert said(case, altered, pem, tmp_path / "d") == (1, ["timestamp"])
    der = bytearray(base64.b64decode(stamp))
    der[-1] ^= 1  # in the signature
    altered = base64.b64encode(der).decode()
    assert said(case, altered, pem, tmp_path / "e")[1] == ["timestamp-authority"]
