"""Who an end is: its institution, its role, its keys.

::

    DATA/identity/
      identity.json     institution, role, version
      signing.key       ECDSA P-256, long-lived, 0600
      signing.crt       self-issued; what partners pin
      tls.key, tls.crt  receiver only: leaf of its own CA
      ca.key, ca.crt    receiver only: the private CA
      revoked.crl       receiver only: its revocation list

A sender's TLS certificates come from its receivers and lie beside each partner.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from common import durable
from common.errors import (
    AlreadyInitialised,
    EqualInstitution,
    InstitutionCodeError,
    UsageError,
)
from common.proof import certificates, renewal, revocation
from common.proof.certificates import Authority, Key
from common.proof.role import FOLDER, VERSION, Role, read
from common.tls import Credentials, fingerprint_of_pem

#: Digit 3 of an institution code: 点数表 (1 medical, 3 dental, 4 pharmacy, 6 visiting nurse).
_FEE_TABLES = {"1", "3", "4", "6"}


def check_institution_code(code: str) -> str:
    """Return `code` if it has the form of a 保険医療機関コード.

    Ten ASCII digits: prefecture 01-47, 点数表 1, 3, 4 or 6, then seven.  Whether
    such an institution is registered cannot be seen from the digits.

    Raises
    ------
    InstitutionCodeError
        With the part that is wrong.
    """
    if not (code.isascii() and code.isdigit() and len(code) == 10):
        raise InstitutionCodeError(code=code, cause="10桁の数字ではない / not ten digits")
    if not 1 <= int(code[:2]) <= 47:
        raise InstitutionCodeError(code=code, cause="都道府県番号 01-47 / prefecture 01-47")
    if code[2] not in _FEE_TABLES:
        raise InstitutionCodeError(code=code, cause="点数表番号 1,3,4,6 / fee table 1,3,4,6")
    return code


def check_not_own(own: str, other: str) -> None:
    """Refuse a partner that has one's own institution code (DIR-13, Q8).

    Raises
    ------
    EqualInstitution
    """
    if own == other:
        raise EqualInstitution(code=other)


def spoken(fingerprint: str) -> str:
    """Return hex digits in groups of four, to be read aloud and compared."""
    digits = fingerprint.upper()
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


@dataclass(frozen=True, slots=True)
class Institution:
    """A registered medical institution.

    Parameters
    ----------
    name : str
    code : str
        保険医療機関コード, ten digits.
    address : str

    Raises
    ------
    UsageError, InstitutionCodeError
    """

    name: str
    code: str
    address: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable():
            raise UsageError(cause="name")
        check_institution_code(self.code)


@dataclass(frozen=True, slots=True)
class Node:
    """One end of the line, ready to sign."""

    data: Path
    role: Role
    institution: Institution
    signing_certificate: str  # PEM
    signing_key: Key = field(repr=False)

    @classmethod
    def create(
        cls, data: Path, institution: Institution, role: Role, *, hosts: Sequence[str] = ()
    ) -> Node:
        """Make the keys of a new end.

        Parameters
        ----------
        data : Path
            Data directory.
        institution : Institution
        role : Role
        hosts : sequence of str
            Names and addresses of the listeners; a receiver needs one or more.

        Raises
        ------
        AlreadyInitialised
            Keys are never overwritten.
        """
        folder = data / "identity"
        if (folder / "identity.json").exists():
            raise AlreadyInitialised(path=data)
        key = certificates.new_key()
        own = certificates.to_pem(certificates.self_issued(key, institution.name, institution.code))
        durable.save(folder / "signing.key", certificates.key_to_pem(key), private=True)
        durable.save(folder / "signing.crt", own.encode())
        node = cls(data, role, institution, own, key)
        if role is Role.SUPPORTER:
            authority = Authority.create(f"todoke CA {institution.name}")
            durable.save(folder / "ca.key", certificates.key_to_pem(authority.key), private=True)
            durable.save(folder / "ca.crt", authority.pem.encode())
            durable.save(folder / "revoked.crl", revocation.make_list(authority, {}).encode())
            node.issue_own(hosts)
        # last: without this file nothing before it counts
        words = {"version": VERSION, "role": role, "institution": asdict(institution)}
        text = json.dumps(words, ensure_ascii=False, indent=1)
        durable.save(folder / "identity.json", text.encode())
        return node

    @classmethod
    def load(cls, data: Path, role: Role | None = None) -> Node:
        """Read the end whose data directory is `data`.

        Raises
        ------
        NotInitialised
            There is none, or it plays another role than `role`.
        DatabaseUnsafe
            A newer todoke wrote it.
        """
        words = read(data, role)
        folder = data / FOLDER
        return cls(
            data,
            Role(words["role"]),
            Institution(**words["institution"]),
            (folder / "signing.crt").read_text("ascii"),
            certificates.key_from_pem((folder / "signing.key").read_bytes()),
        )

    @property
    def signing_fingerprint(self) -> str:
        """SHA-256 of the signing certificate: the ``kid`` of what this node signs."""
        return fingerprint_of_pem(self.signing_certificate)

    @property
    def credentials(self) -> Credentials:
        """A receiver's own TLS key and chain."""
        folder = self.data / "identity"
        return Credentials(folder / "tls.key", folder / "tls.crt")

    @property
    def revocation_list(self) -> Path:
        """Where a receiver's CA keeps its revocation list."""
        return self.data / "identity" / "revoked.crl"

    @property
    def ca(self) -> str:
        """A receiver's CA certificate, PEM."""
        return (self.data / "identity" / "ca.crt").read_text("ascii")

    @property
    def authority(self) -> Authority:
        """A receiver's CA with its key; load it only to issue."""
        folder = self.data / "identity"
        key = certificates.key_from_pem((folder / "ca.key").read_bytes())
        return Authority(certificates.from_pem(self.ca), key)

    def issue_own(self, hosts: Sequence[str], *, now: datetime | None = None) -> None:
        """Issue (again) the TLS certificate of a receiver's listeners.

        Raises
        ------
        UsageError
            No host is named.
        """
        if not hosts:
            raise UsageError(cause="--host")
        authority = self.authority
        key = certificates.new_key()
        since = renewal.since(now) if now is not None else None
        leaf = authority.issue(key.public_key(), hosts[0], hosts=hosts, now=now, since=since)
        chain = certificates.to_pem(leaf) + self.ca
        renewal.replace_pair(self.credentials, certificates.key_to_pem(key), chain)
