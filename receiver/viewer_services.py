"""What the viewer's door stands on, handed in by whoever starts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from common.refusals import Refused
from common.web.oidc_provider import Service
from receiver.attendance import Attendance
from receiver.index import Index
from receiver.waiting import Waiting

#: Where the build puts the pages.
PAGES = Path(__file__).parent / "_viewer"


@dataclass(frozen=True)
class ViewerServices:
    """Everything that the viewer's routes need.

    Attributes
    ----------
    index : Index
    store : Path
        Folder that the paths of the index are relative to.
    institution_name, institution_code : str
        Of this receiver.
    https : bool
        Whether browsers reach the door by https: decides cookie and HSTS.
    version : str
    pages : Path
        Folder of the built pages.
    refused : callable
        Told of each request that is refused: address, cause, certificate.
    note : callable
        Appends an event to the audit trail: :meth:`common.audit.Trail.note`.
    keep_tiles_seconds : int
        How long browsers may keep frames of verified slide levels; 0: not at all.
    signing_certificate : str
        PEM: what the signed heads of the audit trail are checked with.
    audit_years : int
        For which the audit trail is kept.
    names : frozenset of str
        Under which browsers may reach the door, besides localhost and bare addresses.
    waiting : Waiting, optional
        Where frames that readers wait for are noted; the link's door shares it.
    second_factor : bool
        Whether everybody signs in with a second factor (AUT-02).
    lock_seconds : int
        After so long without a hand the viewer locks (AUT-06).
    attendance : Attendance
        Which pages listen; the link's door shares it.
    advice : bool
        Whether advice in words may be sent from this site.
    purge_days, purge_notice_days : int
        After how many days studies that are done with are purged (0: never), and how many
        days ahead readers are told.
    sign_in : Service, optional
        Through which people may sign in, besides name and password.
    sign_in_label : str
        What the sign-in page calls it.
    """

    index: Index
    store: Path
    institution_name: str
    institution_code: str
    https: bool
    version: str
    pages: Path = PAGES
    refused: Refused = lambda *_: None
    note: Callable[..., None] = lambda *_, **__: None
    keep_tiles_seconds: int = 0
    signing_certificate: str = ""
    audit_years: int = 5
    names: frozenset[str] = frozenset()
    waiting: Waiting | None = None
    second_factor: bool = True
    lock_seconds: int = 15 * 60
    attendance: Attendance = field(default_factory=Attendance)
    advice: bool = False
    purge_days: int = 0
    purge_notice_days: int = 0
    sign_in: Service | None = None
    sign_in_label: str = ""
