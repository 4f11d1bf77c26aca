"""``sender send`` to a running daemon has its job on the way before anything heavy is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from common import durable
from common.proof.certificates import Authority
from common.proof.identity import Institution
from common.settings import Sender
from sender import pairing
from sender.outbox import Outbox
from tests.system.series import write_series

HEAVY = {"pydicom", "numpy", "sqlalchemy", "pynetdicom", "httpx", "cryptography", "imagecodecs"}
RUN = """
import sys
from common.command import main
sys.argv = ["todoke", "sender", "send", *sys.argv[1:]]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A sender with a partner."""
    folder = tmp_path / "sender"
    here = Institution("山﨑診療所", "0110000019")
    node = pairing.init(folder, here, Sender(), operator="鈴木")
    authority = tmp_path / "ca.crt"
    durable.save(authority, Authority.create("CA").pem.encode())
    pairing.add_product(
        node, "pacs", addresses=["127.0.0.1"], port=11112, aet="PACS", calling_aet="HERE",
        ca=authority,
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("daemon", [True, False], ids=["beside a daemon", "without waiting"])
def test_send_loads_nothing_heavy(data: Path, tmp_path: Path, daemon: bool) -> None:
    files = write_series(tmp_path / "ct", 1, slices=1)
    words = [files[0], "--data", data, "--json", "--no-wait"]
    with durable.lock(data / "lock") if daemon else durable.lock(tmp_path / "other"):
        done = subprocess.run(
            [sys.executable, "-c", RUN, *map(str, words)],
            capture_output=True, text=True, check=True, timeout=50,
        )  # fmt: skip
    loaded = set(done.stderr.split())
    assert {"sqlite3", "typer"} <= loaded, "it ran, and this is the list"
    assert not HEAVY & loaded
    assert json.loads(done.stdout)["job"] == 1
    with closing(Outbox(data)) as outbox:
        assert outbox.job(1).paths == [str(files[0])]
