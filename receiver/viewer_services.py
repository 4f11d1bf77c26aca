"""What the viewer's door stands on, handed in by whoever starts it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from common.refusals import Refused
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
    keep_tiles_seconds : int
        How long browsers may keep frames of verified slide levels; 0: not at all.
    names : frozenset of str
        Under which browsers may reach the door, besides localhost and bare addresses.
    waiting : Waiting, optional
        Where frames that readers wait for are noted; the link's door shares it.
    """

    index: Index
    store: Path
    institution_name: str
    institution_code: str
    https: bool
    version: str
    pages: Path = PAGES
    refused: Refused = lambda *_: None
    keep_tiles_seconds: int = 0
    names: frozenset[str] = frozenset()
    waiting: Waiting | None = None
