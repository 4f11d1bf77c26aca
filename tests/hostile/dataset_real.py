"""What becomes of the malformed files of the real samples at each door.

Run from the project's folder as ``python -m tests.hostile.dataset_real [--check]``
with ``TODOKE_REAL_DATA`` set; it writes docs/reference/malformed-files.md.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pydicom

from common import logs, made_page
from common.dicom import dataset, uids
from common.errors import NotAnImage, NotDicom, TodokeError
from sender import identity, ingest
from sender.outbox import Outbox
from tests.hostile.dataset_objects import CT, IMPLICIT, Instance, instance
from tests.hostile.dataset_rig import Standing, standing

PAGE = Path("docs/reference/malformed-files.md")
HEAD = """<!-- made by `python -m tests.hostile.dataset_real`: run it again, do not edit -->

# 壊れたファイルの扱い / What becomes of malformed files

実在のサンプルのうち、一覧 (MANIFEST.tsv) が不正とするもの (pydicom が力ずくでしか読めない、画素を\
復号できない、OpenSlide が開けない) と、送信側が画像として拒否するものすべて。番号は \
[errors.md](errors.md) にあります。

Of the real samples, all that the list (MANIFEST.tsv) calls malformed (read by pydicom only when
forced, pixels that cannot be decoded, not opened by OpenSlide), and all images that the sender
refuses.
Numbers are those of [errors.md](errors.md). *sent*: put into the outbox as it is; *stored*: kept
byte by byte. A file that is no data set cannot be sent over C-STORE; slides go frame by frame.

| file | `sender send` | C-STORE |
|---|---|---|
"""
_NUMBER = re.compile(r"E-\d{4}")


@dataclass(frozen=True)
class Outcome:
    """What the doors said of one file."""

    file: str
    send: str
    store: str


def malformed(root: Path) -> list[str]:
    """Return the files that the samples' list calls malformed."""
    with (root / "MANIFEST.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [
            row["path"]
            for row in rows
            if row["pydicom_read"] == "force"
            or row["pixel_decode"].startswith("fail")
            or row["openslide"].startswith("fail")
        ]


def refused(root: Path, folder: Path) -> dict[str, str]:
    """Return the numbers of the refusals of all files below the samples, each sent alone."""
    numbers = {}
    with closing(Outbox(folder)) as outbox:
        for path in ingest.files_below([root / "dicom", root / "wsi"]):
            found = ingest.scan(outbox.job(outbox.submit("north", [Path(path)], {})))
            for _, error in found.refused:
                numbers[Path(path).relative_to(root).as_posix()] = error.number
    return numbers


def _as_instance(path: Path) -> Instance | None:
    """Return a file as a peer could send it; None where it is no data set at all."""
    whole = path.read_bytes()
    with contextlib.suppress(TodokeError):
        if (found := identity.read(str(path))) is not None:
            one = found.instance
            data = whole[one.offset : one.offset + one.length]
            return Instance(one.sop_uid, data, one.transfer_syntax, one.sop_class)
    with contextlib.suppress(NotDicom):
        part = dataset.part10_of(whole, len(whole))
        data = whole[part.offset :]
        return Instance(part.sop_instance_uid, data, part.transfer_syntax_uid, part.sop_class_uid)
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        uid, sop_class = str(header.SOPInstanceUID), str(header.SOPClassUID or CT)
    except Exception:  # whatever pydicom cannot read no peer has read either
        return None
    syntax = str(header.file_meta.get("TransferSyntaxUID", "")) or IMPLICIT
    start = 132 if whole[128:132] == b"DICM" else 0
    return Instance(uid, whole[start:], syntax, sop_class) if uids.is_uid(uid) else None


def _store(receiver: Standing, path: Path) -> str:
    made = _as_instance(path)
    if made is None:
        return "no data set"
    said = len(receiver.log.lines)
    status = receiver.store(made)
    if status == 0:
        [row] = receiver.rows(made.uid)
        assert receiver.bytes_of(row) == made.data
        return "stored"
    numbers = _NUMBER.findall(" ".join(receiver.log.lines[said:]))
    return f"{status:04X}H {numbers[-1]}" if numbers else f"{status:04X}H"


def outcomes(root: Path) -> Iterator[Outcome]:
    """Send every malformed file through both doors."""
    logs.quiet_pydicom()
    with tempfile.TemporaryDirectory() as folder:
        numbers = refused(root, Path(folder) / "sender")
        with standing(Path(folder)) as receiver:
            # not a DICOMDIR, nor a text that lies beside the images
            images = {file for file, number in numbers.items() if number != NotAnImage.number}
            for file in sorted({*malformed(root), *images}):
                path = root / file
                store = _store(receiver, path) if file.startswith("dicom/") else "no data set"
                yield Outcome(file, numbers.get(file, "sent"), store)
            assert receiver.store(instance("good at the end")) == 0


def page(root: Path) -> str:
    """Return the page as Markdown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lines = [f"| {one.file} | {one.send} | {one.store} |" for one in outcomes(root)]
    return HEAD + "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or compare it."""

    def made() -> str:
        return page(Path(os.environ["TODOKE_REAL_DATA"]))

    return made_page.keep(PAGE, made, __doc__, "tests.hostile.dataset_real", arguments)


if __name__ == "__main__":
    sys.exit(main())
