"""Where studies may be forwarded to: an agreed list, kept by verb alone (REG-02, PRI-06).

No page adds a target: nothing that a browser says names a host or a folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from common.addresses import split_address
from common.errors import TargetNotAgreed, UsageError
from common.proof import certificates
from common.setting_checks import check_aet
from receiver import index
from receiver.index import Index

_targets, _rules = index.forward_targets, index.forward_rules
_NAME = re.compile(r"[0-9A-Za-z_-]{1,32}")
_MODALITY = re.compile(r"[0-9A-Z]{1,16}")
_CODE = re.compile(r"[0-9A-Za-z]{1,16}")
Note = Callable[..., None]


@dataclass(frozen=True)
class Target:
    """A system of the hospital that studies may be handed to.

    Attributes
    ----------
    kind : {'dicom', 'folder'}
    host, port, aet :
        Of a DICOM node that takes C-STORE (PS3.4 annex B).
    ca : str or None
        PEM: what its TLS certificate is trusted by; None: a plain connection.
    folder : str or None
        Absolute path.
    agreed : str
        Where the agreement is written down (PRI-06).
    """

    name: str
    kind: str
    agreed: str
    added_by: str
    host: str | None = None
    port: int | None = None
    aet: str | None = None
    ca: str | None = None
    folder: str | None = None

    @property
    def place(self) -> str:
        """Where it is, for people."""
        if self.kind == "folder":
            return str(self.folder)
        return f"{self.aet}@{self.host}:{self.port}" + (" TLS" if self.ca else "")

    def as_json(self) -> dict[str, Any]:
        """Return the entry, without the certificate."""
        return asdict(self) | {"ca": None, "tls": self.ca is not None, "place": self.place}


def dicom(name: str, address: str, aet: str, ca: Path | None, agreed: str, by: str) -> Target:
    """Return an entry of a DICOM node, checked.

    Raises
    ------
    UsageError
    """
    if wrong := check_aet(aet):
        raise UsageError(cause=f"{aet}: {wrong}")
    host, port = split_address(address, "--dicom")
    pem = None
    if ca is not None:
        try:
            pem = certificates.to_pem(certificates.from_pem(ca.read_text("ascii")))
        except (OSError, ValueError) as failure:
            raise UsageError(cause=f"--ca {ca}") from failure
    return Target(name, "dicom", agreed, by, host=host, port=port, aet=aet, ca=pem)


def folder(name: str, path: Path, agreed: str, by: str) -> Target:
    """Return an entry of a folder that is there, checked.

    Raises
    ------
    UsageError
    """
    if not path.is_dir():
        raise UsageError(cause=f"--folder {path}")
    return Target(name, "folder", agreed, by, folder=str(path.absolute()))


def add(database: Index, target: Target, note: Note = lambda *_, **__: None) -> None:
    """Put a target on the list, in the place of one of its name.

    Raises
    ------
    UsageError
        The name is none, or nothing says where the agreement is written down.
    """
    if not _NAME.fullmatch(target.name):
        raise UsageError(cause=target.name)
    if not target.agreed.strip():
        raise UsageError(cause="--agreed")
    with database.write() as db:
        kept = db.execute(select(_rules).where(_rules.c.target == target.name)).mappings().all()
        _drop(db, target.name)
        db.execute(insert(_targets).values(**asdict(target), added_at=index.now()))
        for rule in kept:
            db.execute(insert(_rules).values(**rule))
    note("setting", what="forward-target", value=target.name, to=target.place,
         agreed=target.agreed, user=target.added_by, outcome="ok")  # fmt: skip


def remove(database: Index, name: str, by: str, note: Note = lambda *_, **__: None) -> None:
    """Take a target and its rules off the list; what waits for it fails, saying so.

    Raises
    ------
    TargetNotAgreed
    """
    with database.write() as db:
        known(db, name)
        _drop(db, name)
    note("setting", what="forward-target", value="removed", before_value=name, user=by,
         outcome="ok")  # fmt: skip


def _drop(db: Connection, name: str) -> None:
    db.execute(delete(_rules).where(_rules.c.target == name))
    db.execute(delete(_targets).where(_targets.c.name == name))


def known(db: Connection, name: str) -> Target:
    """Return a target of the list.

    Raises
    ------
    TargetNotAgreed
    """
    row = db.execute(select(_targets).where(_targets.c.name == name)).mappings().one_or_none()
    if row is None:
        raise TargetNotAgreed(target=name)
    return Target(**{key: value for key, value in row.items() if key != "added_at"})


def listed(database: Index) -> list[Target]:
    """Return the list by name."""
    with database.read() as db:
        names = db.execute(select(_targets.c.name).order_by(_targets.c.name)).scalars().all()
        return [known(db, name) for name in names]


def add_rule(
    database: Index,
    target: str,
    modality: str | None,
    partner: str | None,
    by: str,
    note: Note = lambda *_, **__: None,
) -> int:
    """Have studies that fit forwarded by themselves, from now on; return the rule's number.

    Raises
    ------
    TargetNotAgreed, UsageError
    """
    if modality is not None and not _MODALITY.fullmatch(modality):
        raise UsageError(cause=f"--modality {modality}")
    if partner is not None and not _CODE.fullmatch(partner):
        raise UsageError(cause=f"--partner {partner}")
    said = {"target": target, "modality": modality, "partner": partner}
    with database.write() as db:
        known(db, target)
        values = {**said, "added_by": by, "since": index.now()}
        made = db.execute(insert(_rules).values(**values).returning(_rules.c.id))
        number = int(made.scalar_one())
    note("setting", what="forward-rule", value=f"{number} {target}", modality=modality or "any",
         institution=partner or "any", user=by, outcome="ok")  # fmt: skip
    return number


def remove_rule(database: Index, number: int, by: str, note: Note = lambda *_, **__: None) -> None:
    """Take a rule away; what it has asked for stands.

    Raises
    ------
    UsageError
    """
    with database.write() as db:
        if not db.execute(delete(_rules).where(_rules.c.id == number)).rowcount:
            raise UsageError(cause=f"rule {number}")
    note("setting", what="forward-rule", value="removed", before_value=str(number), user=by,
         outcome="ok")  # fmt: skip


def rules(database: Index) -> list[dict[str, Any]]:
    """Return every rule."""
    with database.read() as db:
        return [dict(row) for row in db.execute(select(_rules).order_by(_rules.c.id)).mappings()]
