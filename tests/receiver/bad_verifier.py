"""A verifying process with a decoder that hostile pixels get the better of."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from common import workers
from common.dicom import digest
from receiver import verifier

HANGS, DIES = b"pixels that hang it", b"pixels that end it!"
_of_file = digest.of_file


def of_file(
    path: Path, base: int, transfer_syntax_uid: str, *, decoded: bool = False
) -> digest.Digests:
    content = path.read_bytes()
    if HANGS in content:
        threading.Event().wait()
    if DIES in content:
        os._exit(9)
    return _of_file(path, base, transfer_syntax_uid, decoded=decoded)


if __name__ == "__main__":
    digest.of_file = of_file
    workers.serve(verifier.answer)
