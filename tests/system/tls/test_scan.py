"""What a scanner that is not ours (sslyze) finds at both doors, in both profiles."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.system.tls.site import LET_IN, Site, each_door

pytestmark = [pytest.mark.system, pytest.mark.tls, pytest.mark.timeout(300)]
ROOT = Path(__file__).parent.parent.parent.parent
SCANNER = ROOT / "build" / "sslyze"
SUITES_13 = {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
}
#: Of PS3.15 B.12 (BCP 195), those that our ECDSA certificate can serve.
SUITES_12 = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
}
SAYS: dict[str, dict[str, set[str]]] = {
    "jp-high13": {"tls_1_3": SUITES_13},
    "dicom-b12": {"tls_1_2": SUITES_12, "tls_1_3": SUITES_13},
}
#: Not SSL 2.0: it knows no certificate like ours, and the scanner would have to show one.
VERSIONS = ("ssl_3_0", "tls_1_0", "tls_1_1", "tls_1_2", "tls_1_3")
ASKED = (
    *("sslv3", "tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3", "compression", "reneg"),
    *("early_data", "heartbleed", "openssl_ccs", "robot", "ems", "resum"),
)


def scan(site: Site, door: str, folder: Path) -> dict[str, Any]:
    """Scan a door with the certificate of a partner; without a scanner the test is skipped."""
    python = SCANNER / "bin" / "python"
    if not (SCANNER / ".ready").exists():
        why = "sslyze is not installed: .ci/sslyze"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    own = site.partner().credentials
    out = folder / "scan.json"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    line = [str(python), "-m", "sslyze", "--cert", str(own.chain), "--key", str(own.key)]
    line += ["--sni", "localhost", "--json_out", str(out), *(f"--{one}" for one in ASKED)]
    done = subprocess.run(
        [*line, f"127.0.0.1:{site.ends.ports[door]}"],
        capture_output=True, text=True, timeout=200, check=False, env=clean, cwd=folder,
    )  # fmt: skip
    assert out.exists(), done.stdout + done.stderr
    (server,) = json.loads(out.read_text("utf-8"))["server_scan_results"]
    assert server["connectivity_status"] == "COMPLETED", server["connectivity_error_trace"]
    found: dict[str, Any] = server["scan_result"]
    failed = {name: one["error_trace"] for name, one in found.items() if one["status"] == "ERROR"}
    assert failed == {}
    return {name: one["result"] for name, one in found.items() if one["result"] is not None}


@pytest.mark.requirement("NET-01", "NET-02", "NET-04")
@pytest.mark.parametrize(
    "profile", ["dicom-b12", pytest.param("jp-high13", marks=pytest.mark.slow)]
)
@each_door()
def test_a_scan_finds_what_the_profile_says_and_nothing_else(
    profile: str, door: str, site: Site, tmp_path: Path
) -> None:
    site.speak(profile)
    found = scan(site, door, tmp_path)
    accepted = {
        version: {
            suite["cipher_suite"]["name"]
            for suite in found[f"{version}_cipher_suites"]["accepted_cipher_suites"]
        }
        for version in VERSIONS
    }
    assert {version: suites for version, suites in accepted.items() if suites} == SAYS[profile]
    assert found["tls_compression"]["supports_compression"] is False
    assert found["tls_1_3_early_data"]["supports_early_data"] is False
    assert found["heartbleed"]["is_vulnerable_to_heartbleed"] is False
    assert found["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"] is False
    assert found["robot"]["robot_result"].startswith("NOT_VULNERABLE")
    renegotiation = found["session_renegotiation"]
    assert renegotiation["is_vulnerable_to_client_renegotiation_dos"] is False
    if profile == "dicom-b12":
        assert renegotiation["supports_secure_renegotiation"] is True
        assert found["tls_extended_master_secret"]["supports_ems_extension"] is True
    assert site.good(door) == LET_IN
