"""Two ways to see what a receiver holds: its folder of files, or DICOMweb (PS3.18)."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Protocol

import httpx
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from common.errors import PeerRefused, PeerUnreachable, ProtocolError, UsageError
from conformance.objects import Instance


@dataclass(frozen=True, slots=True)
class Held:
    """One object as the receiver gives it back: the data set without group 0002."""

    transfer_syntax_uid: str
    data: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the data set, in hex."""
        return hashlib.sha256(self.data).hexdigest()


class ReadBack(Protocol):
    """A look into the receiver."""

    def copies(self, instance: Instance) -> list[Held]:
        """Return every object held under the SOP Instance UID, now."""
        ...


def wait_for(look: Callable[[], bool], seconds: float) -> bool:
    """Look until it is so or the time is over; the answer of the last look."""
    deadline, pause = monotonic() + seconds, Event()
    while not look():
        if monotonic() >= deadline:
            return False
        pause.wait(0.05)
    return True


class Folder:
    """Part 10 files below a folder, under whatever names (PS3.10 7.1).

    Parameters
    ----------
    root : Path
        The folder of the receiver.
    aside : Path or None
        A folder below it where the receiver keeps what it refused, for a person
        to look at: what lies there is not held as an image.
    """

    def __init__(self, root: Path, aside: Path | None = None) -> None:
        if not root.is_dir():
            raise UsageError(cause=f"--read-back {root}")
        self.root = root.resolve()
        self.aside = None if aside is None else aside.resolve()
        if self.aside is not None and self.root not in self.aside.parents:
            raise UsageError(cause=f"--aside {aside}: --read-back {root}")
        self._known: dict[tuple[Path, int, int], str | None] = {}

    def copies(self, instance: Instance) -> list[Held]:
        """Return the data sets of every file with this SOP Instance UID."""
        wanted = instance.sop_instance_uid
        found = (_read(path) for path, uid in self._files() if uid == wanted)
        return [held for held in found if held is not None]

    def _files(self) -> Iterator[tuple[Path, str | None]]:
        for path in sorted(self.root.rglob("*")):
            try:
                if not path.is_file() or self.aside in path.parents:
                    continue
                stat = path.stat()
            except FileNotFoundError:
                continue  # renamed by the receiver between listing and looking
            mark = (path, stat.st_size, stat.st_mtime_ns)
            if mark not in self._known:
                self._known[mark] = _instance_uid(path)
            yield path, self._known[mark]


class DicomWeb:
    """QIDO-RS to count and WADO-RS to fetch (PS3.18 10.4, 10.6).

    Parameters
    ----------
    root : str
        Address of the DICOMweb service.
    headers : mapping
        What a signed-in client sends, for example a session cookie.
    verify : SSLContext or None
        CA for an https address; None: that of the system.
    patience : float
        Seconds for one answer.
    """

    def __init__(
        self,
        root: str,
        headers: Mapping[str, str],
        verify: ssl.SSLContext | None,
        patience: float,
    ) -> None:
        self.root = root.rstrip("/")
        self.client = httpx.Client(
            headers=dict(headers), verify=verify or True, timeout=patience, trust_env=False
        )

    def copies(self, instance: Instance) -> list[Held]:
        """Fetch the instance as often as QIDO-RS lists it."""
        listed = self._get(
            f"/studies/{instance.study_uid}/instances",
            "application/dicom+json",
            {"SOPInstanceUID": instance.sop_instance_uid},
        )
        rows = listed.json() if listed is not None and listed.content else []
        if not rows:
            return []
        fetched = self._get(
            f"/studies/{instance.study_uid}/series/{instance.series_uid}"
            f"/instances/{instance.sop_instance_uid}",
            'multipart/related; type="application/dicom"; transfer-syntax=*',
            {},
        )
        if fetched is None:
            return []
        return [_held(part) for part in _parts(fetched)] * len(rows)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _get(self, path: str, accept: str, query: dict[str, str]) -> httpx.Response | None:
        try:
            answer = self.client.get(self.root + path, params=query, headers={"Accept": accept})
        except httpx.TransportError as error:
            raise PeerUnreachable(peer=self.root, cause=type(error).__name__) from error
        if answer.status_code in (204, 404):
            return None
        if answer.status_code != 200:
            raise PeerRefused(cause=f"HTTP {answer.status_code} {path}")
        return answer


def _parts(answer: httpx.Response) -> list[bytes]:
    """Return the parts of a multipart/related body (RFC 2387); a single body is one part."""
    kind = answer.headers.get("content-type", "")
    if not kind.startswith("multipart/"):
        return [answer.content]
    _, _, rest = kind.partition("boundary=")
    boundary = rest.split(";")[0].strip().strip('"').encode("ascii", "replace")
    if not boundary:
        raise ProtocolError(cause="multipart without a boundary")
    pieces = (b"\r\n" + answer.content).split(b"\r\n--" + boundary)
    return [piece.partition(b"\r\n\r\n")[2] for piece in pieces[1:-1]]


def _held(file: bytes) -> Held:
    stream = BytesIO(file)
    try:
        meta = dcmread(stream, specific_tags=[], stop_before_pixels=True).file_meta
    except (InvalidDicomError, EOFError) as error:
        raise ProtocolError(cause=f"WADO-RS: {error}") from error
    return Held(str(meta.TransferSyntaxUID), file[_data_offset(file) :])


def _data_offset(file: bytes) -> int:
    """Return where group 0002 ends; its length stands in (0002,0000) (PS3.10 7.1)."""
    if file[132:136] != b"\x02\x00\x00\x00":
        raise ProtocolError(cause="no (0002,0000)")
    return 144 + int.from_bytes(file[140:144], "little")


def _read(path: Path) -> Held | None:
    try:
        return _held(path.read_bytes())
    except FileNotFoundError:
        return None


def _instance_uid(path: Path) -> str | None:
    """Return the SOP Instance UID of a file, from its data set before its head."""
    try:
        dataset = dcmread(path, specific_tags=["SOPInstanceUID"], stop_before_pixels=True)
    except Exception:
        return None
    uid = dataset.get("SOPInstanceUID") or dataset.file_meta.get("MediaStorageSOPInstanceUID")
    return None if uid is None else str(uid)
