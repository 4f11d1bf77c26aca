"""The one registry of vendor formats: each is a module that claims its files."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from common.errors import SlideUnreadable, SlideUnsupported, StorageError
from sender.slides import aperio, generic, ndpi, ndpi_index, ome, philips, rendition
from sender.slides.case import SlideCase
from sender.slides.slide import Slide, SourceFile
from sender.slides.tiff import Page, read_pages, sniff


class Format(Protocol):
    """What a module per vendor format offers."""

    VENDOR: str

    def claims(self, pages: tuple[Page, ...]) -> bool:
        """Tell whether the directories are this format's."""

    def open_pages(
        self, path: Path, case: SlideCase, source: SourceFile, pages: tuple[Page, ...]
    ) -> Slide:
        """Make the virtual instances."""


# first claim wins; the last claims every TIFF
FORMATS: tuple[Format, ...] = (aperio, philips, rendition, ome, generic)

#: OpenSlide's readers go by these names; of TIFF files it is asked by what they hold.
_NOT_TIFF = frozenset({".mrxs", ".vms", ".vmu", ".svslide", ".czi"})
_SUFFIXES = _NOT_TIFF | {".svs", ".tif", ".tiff", ".ndpi", ".scn", ".bif"}


def looks_like_slide(path: Path) -> bool:
    """Tell cheaply whether a file calls itself a slide, by its name or its first bytes.

    A broken slide looks like one too: :func:`open_slide` says what is wrong.
    """
    if not path.is_file():
        return False
    if path.suffix.lower() in _SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return sniff(file.read(8))
    except OSError:
        return False


def open_slide(path: Path, case: SlideCase) -> Slide:
    """Open a slide as virtual DICOM instances; nothing is decoded but small pictures.

    Raises
    ------
    SlideUnreadable
        The file is broken or no slide.
    SlideUnsupported
        The file is sound and of a kind that is not sent yet.
    InputError
        A value of the case cannot stand in a DICOM header.
    """
    if not path.is_file():
        raise SlideUnreadable(cause="not a file")
    try:
        source = SourceFile(path)
    except StorageError as failure:
        raise SlideUnreadable(cause="cannot be opened") from failure
    try:
        if ndpi_index.sniff(source.fd):  # its offsets are not those of plain TIFF
            return ndpi.open_source(path, case, source)
        if path.suffix.lower() in _NOT_TIFF:
            return rendition.open_source(path, case, source)
        pages = read_pages(source.fd)
        for kind in FORMATS:
            if kind.claims(pages):
                return kind.open_pages(path, case, source, pages)
        raise SlideUnsupported(cause="a TIFF file of no known kind")
    except BaseException:
        source.close()
        raise
