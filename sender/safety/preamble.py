"""The 128 bytes ahead of DICM, which may make another file of the same bytes (DAT-14).

CVE-2019-11687: a file that is an image to a viewer and a program to the system.  PS3.10
section 7.1 leaves the preamble to profiles and names TIFF as its use; nothing that an
image needs begins as a program, a script, an archive or a document does.  Over the
network no preamble is sent (PS3.7 section 6.3.1): each end writes zeros.
"""

from __future__ import annotations

#: What is refused, by how it begins.
BLOCKED = {
    b"MZ": "Windows PE",
    b"\x7fELF": "ELF",
    b"\xfe\xed\xfa\xce": "Mach-O",
    b"\xfe\xed\xfa\xcf": "Mach-O",
    b"\xce\xfa\xed\xfe": "Mach-O",
    b"\xcf\xfa\xed\xfe": "Mach-O",
    b"\xca\xfe\xba\xbe": "Mach-O / Java",
    b"\xca\xfe\xba\xbf": "Mach-O",
    b"#!": "script",
    b"L\0\0\0\x01\x14\x02\0": "Windows link",
    b"PK\3\4": "ZIP",
    b"%PDF": "PDF",
}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BLANK = b"\xef\xbb\xbf \t\r\n"  # what browsers skip ahead of a page


def program(start: bytes) -> str | None:
    """Return as what a file can be run or opened beside DICOM, None for nothing known.

    Parameters
    ----------
    start : bytes
        The first bytes of the file.
    """
    kind = next((name for magic, name in BLOCKED.items() if start.startswith(magic)), None)
    if kind is None and start[:128].lstrip(_BLANK).startswith(b"<"):
        return "HTML / script"
    return kind


def tiff(start: bytes) -> bool:
    """Whether the file is a TIFF as well, which the standard has in mind (PS3.10 7.1)."""
    return start.startswith(_TIFF)
