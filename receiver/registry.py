"""The table of partners as people fill it: by an invitation, or by hand for other products."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from sqlalchemy import Connection, delete, func, insert, select, update

from common import durable, tls
from common.addresses import join_address, split_address
from common.errors import NotFound, UsageError
from common.proof import certificates, revocation
from common.proof.identity import Institution, Node, check_not_own
from common.setting_checks import check_aet
from receiver import index
from receiver.index import Index

_partners = index.partners
_addresses = index.commit_addresses
_certificates = index.certificates
_lists = index.revocation_lists
SUPERSEDED = "新しい証明書と交代 / superseded"


@dataclass(frozen=True, slots=True)
class Partner:
    """One row of the table, as the verbs show it."""

    code: str
    name: str
    kind: str  # todoke | dicom
    aet: str
    fingerprint: str | None
    signing_sha256: str | None
    added_at: str
    commit_address: str | None  # HOST:PORT that reports of Storage Commitment are dialled to
    crl: str | None = None  # file of its CA's revocation list
    expires_at: str | None = None  # of the certificate that lasts longest
    revoked_at: str | None = None  # it has no other than revoked ones
    reason: str | None = None


def list_partners(db_index: Index) -> list[Partner]:
    """Return every partner, by code."""
    with db_index.read() as db:
        rows = db.execute(select(_partners).order_by(_partners.c.code)).all()
        known = db.execute(select(_addresses))
        addresses = {row.institution: join_address(row.host, row.port) for row in known}
        lists = {row.institution: row.path for row in db.execute(select(_lists))}
        shown = {row.code: _standing(db, row.code) for row in rows}
    return [
        Partner(
            row.code,
            row.name,
            row.kind,
            row.aet,
            row.fingerprint,
            tls.fingerprint_of_pem(row.signing_certificate) if row.signing_certificate else None,
            row.added_at,
            addresses.get(row.code),
            lists.get(row.code),
            *shown[row.code],
        )
        for row in rows
    ]


def _standing(db: Connection, code: str) -> tuple[str | None, str | None, str | None]:
    """Return until when a partner's certificates last, and since when and why they do not."""
    rows = db.execute(select(_certificates).where(_certificates.c.institution == code)).all()
    good = [row.expires_at for row in rows if not row.revoked_at]
    if good or not rows:
        return max(good, default=None), None, None
    last = max(rows, key=lambda row: row.revoked_at)
    return None, last.revoked_at, last.reason


def put_certificate(db: Connection, code: str, leaf: x509.Certificate, *, ours: bool) -> None:
    """Enter a certificate that stands for a partner.

    Parameters
    ----------
    ours : bool
        Our CA issued it, so our list can revoke it.
    """
    fingerprint = tls.fingerprint(certificates.to_der(leaf))
    db.execute(delete(_certificates).where(_certificates.c.fingerprint == fingerprint))
    db.execute(
        insert(_certificates).values(
            fingerprint=fingerprint,
            institution=code,
            serial=f"{leaf.serial_number:x}" if ours else None,
            expires_at=leaf.not_valid_after_utc.isoformat(),
        )
    )


def revoke_certificates(db: Connection, code: str, reason: str) -> int:
    """Revoke every good certificate of a partner; return how many there were."""
    good = (_certificates.c.institution == code) & _certificates.c.revoked_at.is_(None)
    values = {"revoked_at": index.now(), "reason": reason}
    return db.execute(update(_certificates).where(good).values(**values)).rowcount


def revoke(db_index: Index, name: str, reason: str) -> Partner:
    """Let a partner in no more, from its next request or instance on.

    Its images stay.  A new invitation (``--replace``), or entering it again, ends it.

    Parameters
    ----------
    name : str
        Its code, or its name where only one has it.
    reason : str
        For the audit trail and the list of partners.

    Raises
    ------
    NotFound
        No partner, or several, of that name.
    UsageError
        No reason.
    """
    if not reason.strip():
        raise UsageError(cause="--reason")
    with db_index.write() as db:
        fits = (_partners.c.code == name) | (_partners.c.name == name)
        codes = db.execute(select(_partners.c.code).where(fits)).scalars().all()
        if len(codes) != 1:
            raise NotFound(thing=f"partner {name} ({', '.join(codes)})")
        code = str(codes[0])
        listed = _certificates.c.institution == code
        count = db.execute(select(func.count()).select_from(_certificates).where(listed)).scalar()
        if not revoke_certificates(db, code, reason) and not count:
            # paired before certificates were listed: nobody can say which one it has
            values = {"fingerprint": f"any of {code}", "institution": code, "reason": reason}
            values |= {"expires_at": index.now(), "revoked_at": index.now()}
            db.execute(insert(_certificates).values(**values))
    return next(one for one in list_partners(db_index) if one.code == code)


def is_known(db_index: Index, code: str) -> bool:
    """Say whether an institution has a row."""
    with db_index.read() as db:
        return _row(db, code)


def free_aet(db: Connection, code: str, wished: str = "") -> str:
    """Return an AE title that no other partner has.

    Parameters
    ----------
    db : Connection
        In the transaction that will insert the row.
    code : str
        Institution that gets it.
    wished : str
        The partner's own; taken when it is good and free.

    Raises
    ------
    UsageError
        No title is left.
    """
    rows = db.execute(select(_partners.c.aet).where(_partners.c.code != code))
    taken = {aet for (aet,) in rows}
    derived = f"TDK{code[-7:]}"
    for aet in (wished, derived, *(f"{derived}{letter}" for letter in "BCDEFGHIJ")):
        if aet and check_aet(aet) is None and aet not in taken:
            return aet
    raise UsageError(cause=f"AE {derived}")


def put_row(db: Connection, **values: Any) -> None:
    """Insert a partner, or replace the row of its code."""
    if _row(db, values["code"]):
        code = values.pop("code")
        blank = {column.name: None for column in _partners.c if column.nullable}
        db.execute(update(_partners).where(_partners.c.code == code).values(**blank | values))
    else:
        db.execute(insert(_partners).values(**values))


def add_product(
    node: Node,
    db_index: Index,
    institution: Institution,
    *,
    aet: str,
    certificate: Path | None = None,
    ca: Path | None = None,
    issue: Path | None = None,
    commit_address: str = "",
    crl: Path | None = None,
) -> Partner:
    """Enter a DICOM product that is not todoke.

    Parameters
    ----------
    aet : str
        The calling AE title it uses.
    certificate : Path, optional
        Its TLS certificate (PEM); the leaf itself is pinned.
    ca : Path, optional
        The CA of `certificate` (PEM); the certificate itself where it is self-signed.
    issue : Path, optional
        Instead: folder to write a key and a certificate of our CA into, for the product.
    commit_address : str
        HOST:PORT where it takes reports of Storage Commitment; empty for none.
    crl : Path, optional
        Revocation list of `ca`, in a file that somebody keeps up to date.

    Raises
    ------
    UsageError
        AE title wrong or taken, address wrong, or not exactly one way to a certificate.
    EqualInstitution
        The code is our own.
    """
    check_not_own(node.institution.code, institution.code)
    if wrong := check_aet(aet):
        raise UsageError(cause=f"{aet}: {wrong}")
    if (certificate is None) == (issue is None):
        raise UsageError(cause="--cert | --issue")
    if crl is not None and ca is None:
        raise UsageError(cause="--crl: --ca")
    address = split_address(commit_address, "--commit-address") if commit_address else None
    if certificate is not None:
        leaf = certificates.to_pem(certificates.from_pem(_text(certificate)))
        trust = _text(ca) if ca is not None else leaf
        certificates.from_pem(trust)
        if crl is not None:
            revocation.read_list(crl, trust)
    else:
        trust, leaf = "", _issued(node, institution, aet, issue or Path())
    with db_index.write() as db:
        if free_aet(db, institution.code, aet) != aet:
            raise UsageError(cause=f"AE {aet}: 使用中 / taken")
        put_row(
            db,
            code=institution.code,
            name=institution.name,
            kind="dicom",
            aet=aet,
            fingerprint=tls.fingerprint_of_pem(leaf),
            ca=trust or None,
            added_at=index.now(),
        )
        revoke_certificates(db, institution.code, SUPERSEDED)
        put_certificate(db, institution.code, certificates.from_pem(leaf), ours=issue is not None)
        db.execute(delete(_lists).where(_lists.c.institution == institution.code))
        if crl is not None:
            values = {"institution": institution.code, "path": str(crl.absolute())}
            db.execute(insert(_lists).values(**values))
        db.execute(delete(_addresses).where(_addresses.c.institution == institution.code))
        if address is not None:
            host, port = address
            db.execute(
                insert(_addresses).values(institution=institution.code, host=host, port=port)
            )
    return next(one for one in list_partners(db_index) if one.code == institution.code)


def _issued(node: Node, institution: Institution, aet: str, folder: Path) -> str:
    """Write key, certificate and CA for a product; its leaf names no institution."""
    key = certificates.new_key()
    leaf = certificates.to_pem(node.authority.issue(key.public_key(), f"{aet} {institution.name}"))
    stem = folder / institution.code
    durable.save(stem.with_suffix(".key"), certificates.key_to_pem(key), private=True)
    durable.save(stem.with_suffix(".crt"), leaf.encode())
    durable.save(folder / "ca.crt", node.ca.encode())
    return leaf


def _row(db: Connection, code: str) -> bool:
    return db.execute(select(_partners.c.code).where(_partners.c.code == code)).first() is not None


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, ValueError) as failure:
        raise UsageError(cause=f"{path}: {failure}") from failure
