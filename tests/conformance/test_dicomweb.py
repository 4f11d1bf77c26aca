"""Reading back by DICOMweb, against a small server over a folder of files."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from common.errors import PeerRefused, PeerUnreachable, ProtocolError
from common.free_ports import free_ports
from conformance.objects import make
from conformance.options import read_headers
from conformance.readback import DicomWeb
from tests.conformance.receivers import Receiver, serving
from tests.conformance.rig import failed, run, target

COOKIE = "todoke_session=abc"


class Archive(BaseHTTPRequestHandler):
    """QIDO-RS and WADO-RS over one folder; nothing without the cookie."""

    folder: Path
    times = 1
    multipart = True

    def do_GET(self) -> None:
        if self.headers.get("Cookie") != COOKIE:
            self.send_error(401)
            return
        address = urlsplit(self.path)
        if "SOPInstanceUID" in address.query:
            uid = parse_qs(address.query)["SOPInstanceUID"][0]
            count = self.times if (self.folder / f"{uid}.dcm").exists() else 0
            self.answer(json.dumps([{}] * count).encode(), "application/dicom+json")
            return
        file = (self.folder / f"{address.path.rsplit('/', 1)[1]}.dcm").read_bytes()
        if not self.multipart:
            self.answer(file, "application/dicom")
            return
        head = b"\r\n--x y\r\nContent-Type: application/dicom\r\n\r\n"
        kind = 'multipart/related; type="application/dicom"; boundary="x y"'
        self.answer(head + file + b"\r\n--x y--\r\n", kind)

    def answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


@contextmanager
def archive(folder: Path, *, times: int = 1, multipart: bool = True) -> Iterator[str]:
    values = {"folder": folder, "times": times, "multipart": multipart}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Over", (Archive,), values))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/dicomweb/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def look(root: str, cookie: str = COOKIE) -> DicomWeb:
    return DicomWeb(root, {"Cookie": cookie}, None, 5.0)


@pytest.mark.parametrize("multipart", [True, False])
def test_identity_over_dicomweb(store: Path, multipart: bool) -> None:
    with serving(Receiver(store)) as port, archive(store, multipart=multipart) as root:
        inside = look(root)
        report = run(target(port), inside, "IDN", "STO-007", "STO-015")
        inside.close()
    assert failed(report) == set()
    assert len(report.results) == 14


def test_instance_listed_twice_is_caught(store: Path) -> None:
    with serving(Receiver(store)) as port, archive(store, times=2) as root:
        inside = look(root)
        report = run(target(port), inside, "STO-007", settle=0.1)
        inside.close()
    assert failed(report) == {"STO-007"}


def test_no_session_is_told(store: Path) -> None:
    with archive(store) as root, pytest.raises(PeerRefused, match="401"):
        look(root, "none").copies(make("run", "case"))


def test_nobody_there_is_told() -> None:
    with pytest.raises(PeerUnreachable):
        look(f"http://127.0.0.1:{free_ports(1)[0]}").copies(make("run", "case"))


def test_rubbish_is_told(store: Path) -> None:
    made = make("run", "case")
    (store / f"{made.sop_instance_uid}.dcm").write_bytes(b"no DICOM")
    with archive(store) as root, pytest.raises(ProtocolError):
        look(root).copies(made)


def test_secrets_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text(f"Cookie: {COOKIE}\n\nX-Todoke: 1\n", "utf-8")
    assert read_headers([f"@{file}", "Accept-Language: ja"]) == {
        "Cookie": COOKIE,
        "X-Todoke": "1",
        "Accept-Language": "ja",
    }
