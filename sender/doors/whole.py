"""Whether a slide is there as a whole: it opens, and every tile lies inside its file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from common.errors import SlideUnreadable, TodokeError
from sender.slides import SlideCase, open_slide

Known = tuple[int, int]  # size, mtime in nanoseconds

#: Names by which a slide is known without opening it.
SUFFIXES = frozenset(
    {".svs", ".tif", ".tiff", ".ndpi", ".scn", ".bif", ".mrxs", ".vms", ".vmu", ".svslide",
     ".btf", ".czi", ".ets", ".vsi"}
)  # fmt: skip
_BESIDE = frozenset({".vms", ".vmu"})  # their pictures lie in the same folder
_SPECIMEN = SlideCase(
    patient_name="", patient_id="", study_uid="2.25.1", series_uid="2.25.2", uid_seed="whole",
    created="20000101000000+0000", spacing_um=1.0,
)  # fmt: skip


def is_slide_name(path: Path) -> bool:
    """Tell by its name whether a file is a slide, or the one that names the files of a slide."""
    return path.suffix.lower() in SUFFIXES


def sets(files: Mapping[Path, Known]) -> dict[Path, dict[Path, Known]]:
    """Return the slides among files, each with all files that belong to it.

    A folder that has the name of the slide beside it is the slide's (MRXS and others).
    """
    slides = [path for path in files if is_slide_name(path)]
    inside = {path.with_suffix("") for path in slides}
    found: dict[Path, dict[Path, Known]] = {}
    for slide in slides:
        if any(folder in inside for folder in slide.parents):
            continue  # a part of another slide
        own = slide.with_suffix("")
        found[slide] = {
            path: known
            for path, known in files.items()
            if path == slide or own in path.parents or _beside(slide, path)
        }
    return found


def _beside(slide: Path, path: Path) -> bool:
    return (
        slide.suffix.lower() in _BESIDE
        and path.parent == slide.parent
        and path.suffix.lower() in {".jpg", ".jpeg", ".opt", ".img"}
    )


def fresh(files: Iterable[tuple[Path, Known]]) -> bool:
    """Whether files have the sizes and dates that were listed, asked of the open files.

    A listing of a network share may be a minute old; who opens a file is told the truth.
    """
    for path, known in files:
        try:
            with path.open("rb") as file:
                stat = os.fstat(file.fileno())
        except OSError:  # whoever writes it keeps it closed to others
            return False
        if (stat.st_size, stat.st_mtime_ns) != known:
            return False
    return True


def whole(slide: Path) -> bool:
    """Whether a slide can be read to its end; one of a kind that is not sent counts as whole."""
    try:
        with contextlib.closing(open_slide(slide, _SPECIMEN)):
            return True
    except SlideUnreadable:
        return False
    except TodokeError:  # it will be refused in these words
        return True
    except Exception:  # a parser may raise anything on half a file
        return False
