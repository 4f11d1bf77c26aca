"""From the options on the line to a target and a look inside it."""

from __future__ import annotations

import datetime as dt
import secrets
import ssl
from dataclasses import dataclass
from pathlib import Path

from common.errors import UsageError
from conformance.readback import DicomWeb, Folder, ReadBack
from conformance.target import Credentials, Target, check_aet, parse_address

PROFILES = ("jp-high13", "dicom-b12")
_SECRET_HEADERS = {"authorization", "cookie"}


@dataclass(frozen=True, slots=True)
class Paths:
    """The PEM files named on the line."""

    certificate: Path | None
    key: Path | None
    ca: Path | None
    test_ca_key: Path | None
    test_ca: Path | None


def new_run() -> str:
    """Return a name for a run that no other run has: the time, then chance."""
    return f"{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def target_of(
    address: str,
    called_aet: str,
    calling_aet: str,
    paths: Paths,
    no_tls: bool,
    server_name: str | None,
    patience: float,
    profile: str | None,
) -> Target:
    """Build the target, or say what does not fit together.

    Raises
    ------
    UsageError
        TLS without files, files without TLS, a profile that does not exist.
    """
    host, port = parse_address(address)
    if profile is not None and profile not in PROFILES:
        raise UsageError(cause=f"--tls-profile {profile}: {' | '.join(PROFILES)}")
    credentials = None
    if no_tls:
        if paths.certificate or paths.key or paths.ca or paths.test_ca_key:
            raise UsageError(cause="--no-tls: --cert --key --ca --test-ca-key")
    elif paths.certificate is None or paths.key is None or paths.ca is None:
        raise UsageError(cause="--cert, --key, --ca | --no-tls")
    else:
        credentials = Credentials(paths.certificate, paths.key, paths.ca)
    target = Target(
        host,
        port,
        check_aet(called_aet),
        check_aet(calling_aet),
        credentials,
        server_name or host,
        patience,
        profile,
        paths.test_ca_key,
        paths.test_ca or paths.ca,
    )
    target.context()  # unreadable files are told before anything is sent
    return target


def look_inside(
    target: Target,
    paths: Paths,
    dicomweb: str | None,
    headers: list[str],
    folder: Path | None,
    aside: Path | None,
) -> ReadBack | None:
    """Return the look inside that the tester offers, if any.

    Raises
    ------
    UsageError
        Both ways at once, or a secret in the open.
    """
    if aside is not None and folder is None:
        raise UsageError(cause="--aside: --read-back")
    if dicomweb is not None and folder is not None:
        raise UsageError(cause="--query-dicomweb | --read-back")
    if folder is not None:
        return Folder(folder, aside)
    if dicomweb is None:
        return None
    verify = None
    if dicomweb.startswith("https:") and paths.ca is not None:
        verify = ssl.create_default_context()
        verify.load_verify_locations(paths.ca)
    return DicomWeb(dicomweb, read_headers(headers), verify, 2 * target.patience)


def read_headers(words: list[str]) -> dict[str, str]:
    """Return headers from ``Name: value`` or from a file named ``@FILE``, one on a line.

    A password or session on the line would stand in the list of processes for
    everybody to read, so those come from a file.
    """
    headers: dict[str, str] = {}
    for word in words:
        hidden = word.startswith("@")
        for line in _lines(word[1:]) if hidden else [word]:
            name, colon, value = line.partition(":")
            if not colon or not name.strip():
                raise UsageError(cause="--header: Name: value | @FILE")
            if not hidden and name.strip().lower() in _SECRET_HEADERS:
                raise UsageError(cause=f"--header {name}: @FILE")
            headers[name.strip()] = value.strip()
    return headers


def _lines(path: str) -> list[str]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(cause=f"--header @{path}: {error.strerror}") from error
    return [line for line in text.splitlines() if line.strip()]
