"""From the files of photographs to DICOM files that are owed like any other.

They are made once, when the job is read, and lie under ``stills/`` of the data
directory: a photograph is small, and its transfer may need it again for years.
"""

from __future__ import annotations

import struct
import uuid
from pathlib import Path

from common import durable
from common.dicom import dataset
from common.dicom.layout import Layout
from common.errors import InputError, StillUnsupported
from sender.outbox import Instance, stamp
from sender.slides.case import SlideCase
from sender.slides.header import derived_uid
from sender.stills.header import KINDS, Kind, build, native
from sender.stills.picture import LARGEST_FILE, Picture, beside_elements, look

__all__ = ["KINDS", "Kind", "kind_of", "make", "read"]


def read(path: Path) -> bytes:
    """Return the bytes of a photograph's file.

    Raises
    ------
    StillUnsupported
        It is larger than any photograph.
    OSError
    """
    with path.open("rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise StillUnsupported(cause=f"> {LARGEST_FILE >> 20} MiB")
    return data


def make(
    path: Path, case: SlideCase, kind: Kind, number: int, folder: Path, *, metadata: bool = True
) -> Instance:
    """Make the DICOM file of a photograph.

    Parameters
    ----------
    case : SlideCase
        Its series is the one of all photographs of this kind in the case.
    folder : Path
        Where the file is to lie.
    metadata : bool
        Keep what the file says of person, place and device (PRI-04).

    Raises
    ------
    StillUnreadable, StillUnsupported, InputError, StorageError, OSError
    """
    data = read(path)
    picture = look(data, metadata=metadata)
    uid = derived_uid(case, f"{kind}/{number}")
    body = data_set(build(case, kind, number, uid, picture), picture)
    if picture.beside:
        body += beside_elements(picture.beside)
    of = KINDS[kind]
    prefix = dataset.file_prefix(of.sop_class, uid, picture.transfer_syntax)
    final = folder / f"{uuid.UUID(int=int(uid.split('.')[-1])).hex}.dcm"
    durable.save(final, prefix + body, private=True)
    return Instance(
        uid, of.sop_class, picture.transfer_syntax, case.series_uid, number,
        str(final.absolute()), len(prefix), len(body), *stamp(final.stat()),
    )  # fmt: skip


def data_set(header: bytes, picture: Picture) -> bytes:
    """Return header and pixels as one data set."""
    if not native(picture):
        layout = Layout(header, [len(picture.pixels)])
        return b"".join(layout.stream(lambda _: picture.pixels))
    length = len(picture.pixels) + len(picture.pixels) % 2
    element = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, length)
    return header + element + picture.pixels.ljust(length, b"\0")


def kind_of(name: str) -> Kind:
    """Return a kind by its name in a job.

    Raises
    ------
    InputError
    """
    for kind in KINDS:
        if kind == name:
            return kind
    raise InputError(cause=f"stills: {name}")
