"""The ends that a sender sends to, one JSON file each in ``DATA/partners/``.

Beside ``<name>.json`` lie ``<name>.key`` and ``<name>.crt``: the TLS certificate
that this partner's CA gave us (or that was made for a product that is no
todoke).  Each partner knows us by another key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from common import durable
from common.errors import DatabaseUnsafe, NotFound, SettingsError, UsageError
from common.setting_checks import check_aet, check_associations
from common.tls import Credentials
from sender import pace

VERSION = 1
_LISTS = ("addresses", "limits")


@dataclass(frozen=True, slots=True)
class Partner:
    """One receiver.

    Parameters
    ----------
    name : str
        As the receiver, or the person who entered it, calls itself.
    kind : {'todoke', 'dicom'}
        ``dicom`` is any other product: objects only, no link.
    code : str or None
        Institution code; always there for kind todoke.
    addresses : tuple of str
        Host names or IP addresses, tried in order.
    host : str
        The name that its certificate must carry, whatever the address.
    dicom_port, link_port : int
        ``link_port`` is 0 for kind dicom.
    aet : str
        Its AE title (called).
    calling_aet : str
        Ours, as it knows us.
    ca : str
        PEM of the CA that its certificate must come from; empty only where TLS
        is off (loopback tests).
    signing_certificate : str
        PEM, pinned at pairing; empty for kind dicom.
    leaf : str
        SHA-256 of the one certificate it may show, which is `ca` then; empty where
        CA and host decide.
    file : Path
        Where it was read from; its keys lie beside.
    limits : tuple of str
        Caps on its line, as :mod:`sender.pace` reads them; empty for none.
    associations : int
        Most associations at a time without the window, 0 for the sender's setting.
    commit : bool
        Ask it for Storage Commitment; kind dicom only.
    commit_listen : str
        ADDRESS:PORT at which it may dial back with its report; empty for nowhere.
    crl : str
        File of the revocation list of `ca`, which somebody keeps up to date; empty
        for none.  A todoke receiver needs none, see decision 0012.
    """

    name: str
    kind: str
    code: str | None
    addresses: tuple[str, ...]
    host: str
    dicom_port: int
    link_port: int
    aet: str
    calling_aet: str
    ca: str
    signing_certificate: str
    leaf: str
    file: Path
    limits: tuple[str, ...] = ()
    associations: int = 0
    commit: bool = False
    commit_listen: str = ""
    crl: str = ""

    @property
    def key(self) -> str:
        """The short name it has on the command line and in the outbox."""
        return self.file.stem

    @property
    def credentials(self) -> Credentials:
        """Key and chain that we show to it."""
        return Credentials(self.file.with_suffix(".key"), self.file.with_suffix(".crt"))

    def lists(self, now: datetime | None = None) -> list[str]:
        """Return the revocation list that its certificate is checked against, if it has one.

        Raises
        ------
        RevocationListUnusable
            Missing, or past its end; what is to be sent waits.
        """
        if not self.crl:
            return []
        from common.proof.revocation import kept

        found = kept.get(Path(self.crl), self.ca)
        found.check_age(now or datetime.now(UTC))
        return [found.pem]

    def save(self) -> None:
        """Write the file, whole or not at all."""
        words: dict[str, Any] = {"version": VERSION} | asdict(self)
        del words["file"]
        durable.save(self.file, json.dumps(words, ensure_ascii=False, indent=1).encode())

    def most_associations(self, setting: int) -> int:
        """Return how many associations may be open at a time: its own number, else `setting`."""
        return self.associations or setting

    def with_line(self, limits: Sequence[str] | None, associations: int | None) -> Partner:
        """Return it with other caps or another number of associations; None keeps what it has.

        Parameters
        ----------
        limits : sequence of str
            ``20``, ``08:00-18:00=5`` (Mbit/s, local time); ``none`` alone for no cap.
        associations : int
            1 to 16, 0 for the sender's setting.

        Raises
        ------
        UsageError
        """
        words = self.limits if limits is None else tuple(limits)
        words = () if words == ("none",) else words
        number = self.associations if associations is None else associations
        if wrong := _wrong_line(words, number):
            raise UsageError(cause=": ".join(wrong))
        return replace(self, limits=words, associations=number)


def _wrong_line(limits: tuple[str, ...], associations: int) -> tuple[str, str] | None:
    """Return which of the two is wrong, and what is."""
    try:
        pace.read(limits)
    except ValueError as failure:
        return "limit", str(failure)
    if associations and (wrong := check_associations(associations)):
        return "associations", f"{associations}: {wrong}"
    return None


@dataclass(frozen=True, slots=True)
class Modality:
    """A device of this hospital that may hand us images.

    Attributes
    ----------
    archive : bool
        It keeps what others acquired (PACS): what comes from it has grade B, not A.
    """

    aet: str
    address: str
    archive: bool = False


def load_partners(data: Path) -> list[Partner]:
    """Read every partner of a sender, sorted by key.

    Raises
    ------
    SettingsError
        A file is not one of ours.
    DatabaseUnsafe
        A newer todoke wrote it.
    """
    return [load_partner(path) for path in sorted((data / "partners").glob("*.json"))]


def find_partner(data: Path, name: str | None = None) -> Partner:
    """Return the partner with that key, name or code; the only one if none is named.

    Raises
    ------
    NotFound
        There is none, or more than one fits.
    """
    known = load_partners(data)
    fit = [one for one in known if name is None or name in {one.key, one.name, one.code}]
    if len(fit) != 1:
        raise NotFound(thing=f"partner {name or ''} ({', '.join(one.key for one in known)})")
    return fit[0]


def partner_file(data: Path, key: str) -> Path:
    """Return where a partner is kept.

    Raises
    ------
    UsageError
        The key would be no safe file name.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", key):
        raise UsageError(cause=f"{key}: A-Z a-z 0-9 _ -, 32")
    return data / "partners" / f"{key}.json"


def load_modalities(data: Path) -> list[Modality]:
    """Read the registered devices, sorted by AE title."""
    path = data / "modalities.json"
    try:
        words = json.loads(path.read_text("utf-8"))
        if words["version"] != VERSION:
            raise DatabaseUnsafe(cause=f"{path}: {words['version']}")
        return [Modality(**one) for one in words["modalities"]]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as failure:
        raise SettingsError(path=path, key="JSON", cause=failure) from failure


def save_modality(data: Path, new: Modality) -> None:
    """Add a device, or give a known AE title another address.

    Raises
    ------
    UsageError
        The AE title is none.
    """
    if wrong := check_aet(new.aet):
        raise UsageError(cause=f"{new.aet}: {wrong}")
    others = [one for one in load_modalities(data) if one.aet != new.aet]
    rows = sorted([*others, new], key=lambda one: one.aet)
    words = {"version": VERSION, "modalities": [asdict(one) for one in rows]}
    text = json.dumps(words, ensure_ascii=False, indent=1)
    durable.save(data / "modalities.json", text.encode())


def load_partner(path: Path) -> Partner:
    """Read the file of one partner; raises as :func:`load_partners`."""
    try:
        words = json.loads(path.read_text("utf-8"))
        version = words.pop("version")
        if version != VERSION:
            raise DatabaseUnsafe(cause=f"{path}: {version}, todoke: {VERSION}")
        words |= {name: tuple(words[name]) for name in _LISTS if name in words}
        partner = Partner(**words, file=path)
        if wrong := _wrong_line(partner.limits, partner.associations):
            raise SettingsError(path=path, key=wrong[0], cause=wrong[1])
    except (ValueError, KeyError, TypeError) as failure:
        raise SettingsError(path=path, key="JSON", cause=failure) from failure
    return partner
