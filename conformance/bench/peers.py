"""The other products: DCMTK, Orthanc, pynetdicom, and a raw copy as the limit of a line.

Each is timed from process start to exit, less what its ``--version`` takes.
Programs are looked up outside the folder of Python, where pynetdicom puts tools
of DCMTK's names.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from common.errors import NotFound
from common.free_ports import free_ports
from common.proof import certificates
from common.proof.certificates import Authority
from conformance.bench.processes import Sample, await_port, running, timed
from conformance.bench.series import Series

PDU = "131072"  # the longest that DCMTK takes
STARTS = 3  # of a program, whose median is taken off
SCRIPTS = {name: [sys.executable, "-m", f"conformance.bench.{name}"] for name in ("raw", "ae")}


@cache
def program(name: str) -> str:
    """Return the path of another product's program.

    Raises
    ------
    NotFound
    """
    own = Path(sys.executable).parent
    folders = [f for f in os.environ.get("PATH", "").split(os.pathsep) if Path(f) != own]
    found = shutil.which(name, path=os.pathsep.join([*folders, "/usr/bin", "/usr/sbin"]))
    if found is None:
        raise NotFound(thing=name)
    return found


def versions() -> dict[str, str | None]:
    """Return the versions of the products on this machine, None for one that is not there."""
    from importlib.metadata import version

    found: dict[str, str | None] = {"pynetdicom": version("pynetdicom")}
    for product, name in (("DCMTK", "storescu"), ("Orthanc", "Orthanc")):
        try:
            line = [program(name), "--version"]
        except NotFound:
            found[product] = None
            continue
        said = subprocess.run(line, capture_output=True, text=True, check=False).stdout
        numbers = re.search(r"\d+\.\d+\.\d+", said)
        found[product] = numbers[0] if numbers else said.strip()
    return found


def environment(*, tuned: bool) -> dict[str, str]:
    """Return DCMTK's environment: tuned, its sockets do not wait for acknowledgements."""
    plain = {key: value for key, value in os.environ.items() if key != "TCP_NODELAY"}
    return plain | {"TCP_NODELAY": "1"} if tuned else plain


@dataclass(frozen=True, slots=True)
class Identity:
    """Key and certificate of every product, and the CA that issued it."""

    key: Path
    certificate: Path
    ca: Path

    @classmethod
    def make(cls, folder: Path) -> Identity:
        """Make them in a folder."""
        authority = Authority.create("bench CA")
        key = certificates.new_key()
        leaf = authority.issue(key.public_key(), "bench", hosts=["localhost", "127.0.0.1"])
        made = cls(folder / "bench.key", folder / "bench.crt", folder / "bench-ca.crt")
        made.key.write_bytes(certificates.key_to_pem(key))
        made.certificate.write_text(certificates.to_pem(leaf))
        made.ca.write_text(authority.pem)
        return made

    def dcmtk(self) -> list[str]:
        """Return DCMTK's options for them."""
        return ["+tls", str(self.key), str(self.certificate), "+cf", str(self.ca)]

    def script(self) -> list[str]:
        """Return our scripts' arguments for them."""
        return [str(self.key), str(self.certificate), str(self.ca)]


@dataclass(slots=True)
class Products:
    """Starts products below a folder and times them.

    Parameters
    ----------
    identity : Identity
        What every product shows and trusts.
    """

    folder: Path
    identity: Identity
    _startup: dict[str, list[float]] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """Where their words go."""
        return self.folder / "products.log"

    @property
    def written(self) -> Path:
        """The folder that the listener writes to, while it runs."""
        return self.folder / "out"

    # -- listeners ----------------------------------------------------------

    @contextlib.contextmanager
    def listening(self, line: Sequence[object], port: int, *, tuned: bool = True) -> Iterator[int]:
        """Run a listener; gives its pid."""
        with running(line, self.log, environment(tuned=tuned)) as process:
            await_port(process, port)
            yield process.pid

    @contextlib.contextmanager
    def out(self) -> Iterator[Path]:
        """Give an empty folder to write to, and remove it."""
        self.written.mkdir()
        try:
            yield self.written
        finally:
            shutil.rmtree(self.written)

    @contextlib.contextmanager
    def storescp(
        self, port: int, *, tuned: bool, several: bool = False, all_syntaxes: bool = False
    ) -> Iterator[int]:
        """Run DCMTK's receiver; it takes several associations at a time only if told to."""
        with self.out() as out:
            options = [*(["-pdu", PDU] if tuned else []), *(["--fork"] if several else [])]
            options += ["+xa"] if all_syntaxes else []
            line = [program("storescp"), "-od", out, *options, *self.identity.dcmtk(), port]
            with self.listening(line, port, tuned=tuned) as pid:
                yield pid

    @contextlib.contextmanager
    def orthanc(self, port: int) -> Iterator[int]:
        """Run Orthanc with a storage of its own."""
        (web,) = free_ports(1)
        with self.out() as out:
            settings = {
                "StorageDirectory": str(out / "storage"),
                "IndexDirectory": str(out / "index"),
                "HttpPort": web,
                "DicomAet": "PEER",
                "DicomPort": port,
                "DicomAlwaysAllowStore": True,
                "DicomTlsEnabled": True,
                "DicomTlsPrivateKey": str(self.identity.key),
                "DicomTlsCertificate": str(self.identity.certificate),
                "DicomTlsTrustedCertificates": str(self.identity.ca),
                "DicomTlsRemoteCertificateRequired": True,
                "Plugins": [],
            }
            path = out / "orthanc.json"
            path.write_text(json.dumps(settings))
            with self.listening([program("Orthanc"), path], port) as pid:
                yield pid

    @contextlib.contextmanager
    def script(self, name: str, port: int) -> Iterator[int]:
        """Run one of our scripts as a receiver."""
        with self.out() as out:
            target = out / "copy" if name == "raw" else out
            line = [*SCRIPTS[name], "receive", port, target, *self.identity.script()]
            with self.listening(line, port) as pid:
                yield pid

    # -- senders ------------------------------------------------------------

    def storescu(
        self,
        port: int,
        series: Series,
        *,
        tuned: bool,
        parts: int = 1,
        called: str = "PEER",
        identity: Identity | None = None,
    ) -> Sample:
        """Send with DCMTK, over so many associations at a time, each with its share."""
        shown = (identity or self.identity).dcmtk()
        line = [program("storescu"), *(["-pdu", PDU] if tuned else []), *shown]
        line += ["-aet", "BENCH", "-aec", called, "localhost", str(port)]
        lines = [
            [*line, *series.files[part::parts]] for part in range(min(parts, len(series.files)))
        ]
        return self._timed(program("storescu"), lines, tuned=tuned)

    def send_script(self, name: str, port: int, series: Series) -> Sample:
        """Send with one of our scripts."""
        line = [*SCRIPTS[name], "send", port, series.folder, *self.identity.script()]
        return self._timed(name, [line], tuned=True)

    def _timed(self, name: str, lines: Sequence[Sequence[object]], *, tuned: bool) -> Sample:
        start = self._start_of(name)
        sample = timed(lines, self.log, environment(tuned=tuned))
        return replace(sample, seconds=sample.seconds - start)

    def _start_of(self, name: str) -> float:
        """Return the seconds that a program takes to start and say its version.

        One more is taken before every run, for the machine may have become slower.
        """
        line = [*SCRIPTS.get(name, [name]), "--version"]
        runs = self._startup.setdefault(name, [])
        for _ in range(max(1, STARTS - len(runs))):
            runs.append(timed([line], self.log).seconds)
        return statistics.median(runs[-STARTS:])
