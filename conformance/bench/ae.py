"""A script on pynetdicom's AE with its defaults, as its documentation shows it.

::

    python -m conformance.bench.ae receive PORT FOLDER KEY CERTIFICATE CA
    python -m conformance.bench.ae send    PORT FOLDER KEY CERTIFICATE CA
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt

from conformance.bench.raw import context


def receive(port: int, folder: Path, files: list[str]) -> None:
    """Write what comes, as it comes."""

    def on_store(event: Any) -> int:
        path = folder / str(event.request.AffectedSOPInstanceUID)
        path.write_bytes(event.encoded_dataset())
        return 0x0000

    ae = AE(ae_title="PEER")
    ae.add_supported_context(CTImageStorage, ExplicitVRLittleEndian)
    ae.start_server(
        ("127.0.0.1", port),
        ssl_context=context(*files, server=True),
        evt_handlers=[(evt.EVT_C_STORE, on_store)],
    )


def send(port: int, folder: Path, files: list[str]) -> None:
    """Send every file of a folder over one association."""
    ae = AE(ae_title="BENCH")
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    tls = context(*files, server=False), "localhost"
    association = ae.associate("127.0.0.1", port, ae_title="PEER", tls_args=tls)
    if not association.is_established:
        raise SystemExit(1)
    for path in sorted(folder.iterdir()):
        status = association.send_c_store(dcmread(path))
        if status.get("Status") != 0x0000:
            raise SystemExit(1)
    association.release()


def main() -> None:
    """Run one end."""
    if sys.argv[1] == "--version":
        return
    role, port, path, *files = sys.argv[1:]
    (receive if role == "receive" else send)(int(port), Path(path), files)


if __name__ == "__main__":
    main()
