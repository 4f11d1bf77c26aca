"""The files that belong to a slide in several files: MRXS with its folder, VMS and VMU.

A vendor's text file names its parts, and a reader in C follows the names.  So each
must be the plain name of a regular file in the one folder where the format keeps
them; a name that leads elsewhere (``..``, a path, a link) is refused before
anything opens it.  Every line is looked at, in whatever section it stands, because
another parser may see sections otherwise than this one.
"""

from __future__ import annotations

import os
import re
import stat

from common.errors import SidecarOutside, SlideUnreadable, TodokeError

MOST = 512  # files of one slide
LONGEST = 1 << 20  # bytes of a text file

_MIRAX_INDEX = "Slidedat.ini"
_MIRAX = re.compile(r"INDEXFILE|FILE_\d+", re.IGNORECASE)
_HAMAMATSU = re.compile(r"ImageFile.*|MapFile|MacroImage|OptimisationFile", re.IGNORECASE)
_KINDS = (".mrxs", ".vms", ".vmu")


def leads(path: str) -> bool:
    """Tell by its name whether a file leads a slide in several files."""
    return path.lower().endswith(_KINDS)


def members(path: str) -> list[str]:
    """Return the other files of a slide, in name order; none for a slide in one file.

    Raises
    ------
    SidecarOutside
        A name leads out of the slide's own folder.
    SlideUnreadable
        A part is missing or no part of a slide, or the text file is too long.
    """
    if not leads(path):
        return []
    folder, index = os.path.dirname(path), path  # noqa: PTH120 - thousands of names
    names: set[str] = set()
    pattern = _HAMAMATSU
    if path.lower().endswith(".mrxs"):
        folder, pattern = path[: -len(".mrxs")], _MIRAX
        if os.path.islink(folder):  # noqa: PTH114
            raise SidecarOutside(cause=os.path.basename(folder))  # noqa: PTH119
        index = os.path.join(folder, _MIRAX_INDEX)  # noqa: PTH118
        names.add(_MIRAX_INDEX)
        _check(folder, _MIRAX_INDEX)
    names |= set(_named(index, pattern))
    if len(names) > MOST:
        raise SlideUnreadable(cause=f"a slide of {len(names)} files")
    return [_check(folder, name) for name in sorted(names)]


def owned(paths: list[str]) -> set[str]:
    """Return the files that some of `paths` lead; of a slide that is not sound, none."""
    found: set[str] = set()
    for path in filter(leads, paths):
        try:
            found.update(members(path))
        except (TodokeError, OSError):
            continue  # whoever opens the slide says so
    return found


def _named(index: str, pattern: re.Pattern[str]) -> list[str]:
    with open(index, "rb") as file:  # noqa: PTH123
        raw = file.read(LONGEST + 1)
    if len(raw) > LONGEST:
        raise SlideUnreadable(cause=f"a text file of more than {LONGEST} bytes")
    names: list[str] = []
    for line in raw.decode("utf-8-sig", "surrogateescape").splitlines():
        key, equals, value = line.partition("=")
        if equals and value.strip() and pattern.fullmatch(key.strip()):
            names.append(value.strip())
    return names


def _check(folder: str, name: str) -> str:
    """Return the path of a part that is a regular file of `folder` itself."""
    if name in {".", ".."} or re.search(r"[/\\:\x00-\x1f]", name):
        raise SidecarOutside(cause=name)
    path = os.path.join(folder, name)  # noqa: PTH118
    try:
        kind = os.lstat(path).st_mode
        if stat.S_ISLNK(kind):
            raise SidecarOutside(cause=name)
        if not stat.S_ISREG(kind):
            raise SlideUnreadable(cause=f"{name} is no file")
        with open(path, "rb") as file:  # noqa: PTH123
            if file.read(132)[128:] == b"DICM":
                raise SlideUnreadable(cause=f"{name} is a DICOM file of its own")
    except OSError as failure:
        raise SlideUnreadable(cause=f"{name} is missing") from failure
    return path
