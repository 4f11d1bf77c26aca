"""RFC 3161 timestamps of a record's root, by an authority that OpenSSL plays."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from common.errors import PeerRefused, PeerUnreachable, ProtocolError
from sender import timestamps

pytestmark = [
    pytest.mark.evidence,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl"),
]
ROOT = hashlib.sha256(b"root").digest()
CONFIG = """
[tsa]
default_tsa = one
[one]
dir = {folder}
serial = $dir/serial
signer_cert = $dir/tsa.crt
signer_key = $dir/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_chain = no
[ext]
extendedKeyUsage = critical,timeStamping
"""


def openssl(*words: object) -> None:
    line = ["openssl", *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


class Authority(ThreadingHTTPServer):
    """An authority over http; `alter` changes the question before it is answered."""

    folder: Path
    alter = staticmethod(lambda query: query)


class _Answers(BaseHTTPRequestHandler):
    server: Authority

    def do_POST(self) -> None:
        folder = self.server.folder
        query = self.rfile.read(int(self.headers["Content-Length"]))
        (folder / "query.tsq").write_bytes(self.server.alter(query))
        openssl("ts", "-reply", "-config", folder / "tsa.cnf", "-queryfile", folder / "query.tsq",
                "-out", folder / "reply.tsr")  # fmt: skip
        answer = (folder / "reply.tsr").read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    (tmp_path / "tsa.cnf").write_text(CONFIG.format(folder=tmp_path))
    (tmp_path / "serial").write_text("01")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", tmp_path / "tsa.key", "-out", tmp_path / "tsa.crt", "-days", 10,
            "-subj", "/CN=TSA", "-addext", "extendedKeyUsage=critical,timeStamping")  # fmt: skip
    server = Authority(("127.0.0.1", 0), _Answers)
    server.folder = tmp_path
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url(server: Authority) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


@pytest.mark.requirement("DAT-11", "DAT-12")
def test_a_token_is_over_the_root_and_openssl_agrees(authority: Authority, tmp_path: Path) -> None:
    token = base64.b64decode(timestamps.stamp(url(authority), ROOT))
    (tmp_path / "token.der").write_bytes(token)
    (tmp_path / "root").write_bytes(ROOT)
    openssl("ts", "-verify", "-token_in", "-in", tmp_path / "token.der", "-data",
            tmp_path / "root", "-CAfile", tmp_path / "tsa.crt")  # fmt: skip


@pytest.mark.requirement("DAT-11")
def test_an_answer_to_another_question_is_refused(authority: Authority) -> None:
    imprint = hashlib.sha256(ROOT).digest()
    other = hashlib.sha256(b"other").digest()
    authority.alter = lambda query: query.replace(imprint, other)
    with pytest.raises(ProtocolError):
        timestamps.stamp(url(authority), ROOT)


def test_an_authority_that_is_away_or_refuses_is_said(authority: Authority) -> None:
    authority.alter = lambda query: query[:-3] + b"xxx"
    with pytest.raises((PeerRefused, ProtocolError)):
        timestamps.stamp(url(authority), ROOT)
    with pytest.raises(PeerUnreachable):
        timestamps.stamp("http://127.0.0.1:9", ROOT)
