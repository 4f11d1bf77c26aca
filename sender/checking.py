"""What a job would send and what it would leave out, before anything is sent (PRI-04).

Label and macro pictures, tags of the scanner's maker and the words in a camera's file
can name a patient.  Whether a tag goes along is not believed but looked up in the
headers that are made.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from common.dicom import burned_in
from common.dicom.dataset import open_header
from common.dicom.person_name import GUESSED
from common.errors import InputError, StillNotAsked, TodokeError
from sender import identity, slide_case, slides, stills
from sender.file_names import check_name, printable
from sender.ingest import files_below, study_level
from sender.safety import notes, reading
from sender.safety.blocked import Blocked
from sender.slides import Slide, SlideCase
from sender.stills import case as still_case

#: Names of tags whose text people write, or that hold what they wrote.
_NAMING = re.compile(
    r"user|title|file|path|barcode|patient|name|label|comment|descri|operator|artist|copyright"
    r"|slide|case|accession|specimen|keyword|author|owner|host|subject|text|gps|xmp|iptc|exif"
    r"|reference|serial|\bid\b|uuid|scan.?id|parmset|originator",
    re.IGNORECASE,
)
_WSI_PICTURES = {"LABEL", "OVERVIEW"}
_SHORTEST = 3  # characters of a value that can be told from chance in a header
_TEXT_TAGS = (269, 270, 271, 272, 285, 305, 306, 315, 316, 700, 33432)


@dataclass(frozen=True, slots=True)
class Part:
    """One picture in a file.

    Attributes
    ----------
    what : str
        Value 3 of Image Type for a slide, with its level; the SOP class otherwise.
    goes : bool
        It is sent.
    may_name : bool
        It can show the patient's name.
    coded : str
        Of a slide: ``stored``, ``joined``, ``reencoded`` (without loss) or ``recoded`` (with).
    """

    what: str
    size: str
    goes: bool
    may_name: bool
    why: str = ""
    coded: str = ""


@dataclass(frozen=True, slots=True)
class Tag:
    """Text that stands in a file beside its pixels.

    Attributes
    ----------
    into : str
        Attributes of the headers in which the text stands; "" where it stays here.
    """

    name: str
    value: str
    may_name: bool
    into: str = ""

    @property
    def goes(self) -> bool:
        """Whether the receiver gets it."""
        return bool(self.into)


@dataclass(slots=True)
class Checked:
    """One file of a job.

    Attributes
    ----------
    untried : bool
        Its format was never tried on a real file.
    """

    path: str
    kind: str  # slide, dicom, micro, gross; refused
    parts: list[Part] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    error: TodokeError | None = None
    untried: bool = False
    notes: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as ``--json`` shows it."""
        tags = [asdict(tag) | {"goes": tag.goes} for tag in self.tags]
        error = self.error.as_json() if self.error else None
        parts = [asdict(part) for part in self.parts]
        return {
            "path": self.path, "kind": self.kind, "parts": parts, "tags": tags, "error": error,
            "untried": self.untried,
            "notes": self.notes,
        }  # fmt: skip


def check(
    paths: Iterable[Path], options: dict[str, Any], blocked: Blocked | None = None
) -> Iterator[Checked]:
    """Look at every file of a job; nothing is kept and nobody is called.

    Parameters
    ----------
    options : dict
        The job's, as :func:`sender.sending.submit` takes them.
    blocked : Blocked or None
        Patients of whom nothing is sent (AUT-09): their files are refused here too.
    """
    for path in files_below(paths):
        yield _guarded(path, "refused", lambda made: _image(made, options, blocked))
    for kind, named in still_case.given(options):
        for path in files_below([named]):
            yield _guarded(path, kind, lambda made: _still(made, options, blocked))


def _ask(blocked: Blocked | None, options: dict[str, Any]) -> None:
    """Refuse what no file says of whom it is where the job names a blocked patient."""
    if blocked is not None and options["slide"].get("patient_id"):
        blocked.check(slide_case.study_level(slide_case.from_options(options)))


def _guarded(path: str, kind: str, look: Any) -> Checked:
    made = Checked(printable(path), kind)
    try:
        check_name(path)
        made.path = path
        look(made)
    except TodokeError as error:
        made.error = error
    except OSError as failure:
        made.error = InputError(cause=failure.strerror or "cannot be read")
    except Exception as failure:  # a parser may raise anything: one file stops no other
        made.error = InputError(cause=type(failure).__name__)
    if made.error:
        made.kind = "refused"
    return made


def _image(made: Checked, options: dict[str, Any], blocked: Blocked | None) -> None:
    path = Path(made.path)
    if (image := identity.read(made.path)) is not None:
        made.kind = "dicom"
        made.parts.append(_dicom(path, slide_case.from_options(options)))
        attributes = study_level(made.path)
        made.notes = notes.made([*image.noted, *notes.of_guesses(attributes)])
        if attributes.get(GUESSED):
            made.tags.append(Tag("PatientName", reading.of(attributes)["name"], True, "as it is"))
        if blocked is not None:
            blocked.check(attributes)
        return
    if not slides.looks_like_slide(path):
        with path.open("rb") as file:
            if stills.looks_like_photograph(file.read(12)):
                raise StillNotAsked(cause=path.suffix)
        raise InputError(cause=path.suffix or "no DICM")
    made.kind = "slide"
    _ask(blocked, options)
    words = dict(vendor_words(path))
    made.tags = [Tag(name, value, _names(name)) for name, value in words.items()]
    with contextlib.closing(slides.open_slide(path, slide_case.from_options(options))) as slide:
        made.untried = slide.untried
        made.parts = list(_parts(slide))
        found = _found_in(slide, words)
        made.tags = [
            Tag(name, value, _names(name), found.get(name, "")) for name, value in words.items()
        ]


def _parts(slide: Slide) -> Iterator[Part]:
    for one in slide.instances:
        what = one.flavor if one.level is None else f"{one.flavor} {one.level}"
        named, coded = one.flavor in _WSI_PICTURES, "recoded" if one.recoded else one.encoding
        why = one.recoded.words if one.recoded else ""
        yield Part(what, f"{one.columns} x {one.rows}", True, named, why, coded)
    for words in slide.omitted:
        what, _, why = words.partition(": ")
        yield Part(what, "", False, True, why)


def _names(name: str) -> bool:
    return _NAMING.search(name) is not None


def _found_in(slide: Slide, words: dict[str, str]) -> dict[str, str]:
    """Return in which attributes of the made headers each text stands."""
    from pydicom import dcmread

    found: dict[str, set[str]] = {}
    for instance in slide.instances:
        header = dcmread(io.BytesIO(instance.header), force=True)
        for element in header.iterall():
            text = str(element.value) if element.VR not in {"SQ", "OB", "OW", "UN"} else ""
            for name, value in words.items():
                if len(value) >= _SHORTEST and value in text:
                    found.setdefault(name, set()).add(element.keyword)
    return {name: ", ".join(sorted(keywords)) for name, keywords in found.items()}


def vendor_words(path: Path) -> Iterator[tuple[str, str]]:
    """Yield name and text of what a slide's maker wrote into it, as OpenSlide or TIFF tell it."""
    import openslide

    with contextlib.suppress(openslide.OpenSlideError, OSError):
        with openslide.OpenSlide(path) as opened:
            for name, value in sorted(opened.properties.items()):
                if not name.startswith("openslide.") and name != "tiff.ImageDescription":
                    yield name, value
        return
    import tifffile

    with (
        contextlib.suppress(tifffile.TiffFileError, OSError, ValueError),
        tifffile.TiffFile(path) as tiff,
    ):
        for number, page in enumerate(tiff.pages):
            for tag in getattr(page, "tags", ()):
                if tag.code in _TEXT_TAGS:
                    yield f"{number}.{tag.name}", str(tag.value)


def _dicom(path: Path, case: SlideCase) -> Part:
    header, _ = open_header(path)
    kinds = [str(one) for one in header.get("ImageType") or ()]
    burned = burned_in.finding(str(header.SOPClassUID), header.get("BurnedInAnnotation"))
    what = str(header.SOPClassUID.name)
    flavor = kinds[2] if len(kinds) > 2 else ""
    size = f"{header.get('Columns', '')} x {header.get('Rows', '')}"
    named = flavor in _WSI_PICTURES or burned is not None
    stays = not {"LABEL": case.send_label, "OVERVIEW": case.send_macro}.get(flavor, True)
    why = "by setting" if stays else "as it is"
    return Part(f"{what} {flavor}".rstrip(), size, not stays, named, why)


def _still(made: Checked, options: dict[str, Any], blocked: Blocked | None) -> None:
    from sender.stills.making import read

    _ask(blocked, options)

    metadata = bool(options.get("still_metadata", True))
    picture = stills.look(read(Path(made.path)), metadata=metadata)
    size = f"{picture.columns} x {picture.rows}"
    made.parts.append(Part(stills.KINDS[made.kind].modality, size, True, False, picture.handling))  # type: ignore[index]
    into = "the file" if metadata else ""
    made.tags = [Tag(name, value, True, into) for name, value in picture.told.items()]
    name = os.path.basename(made.path)  # noqa: PTH119 - as text
    made.tags.append(Tag("file name", name, True))
