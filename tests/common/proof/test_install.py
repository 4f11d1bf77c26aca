"""The install record states what is known and nothing else."""

from __future__ import annotations

import json
import re
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from common.proof import install
from common.proof.identity import Institution, Node
from common.proof.role import Role


def test_it_names_version_date_operator_host_and_claims_nothing_about_the_clock(
    tmp_path: Path,
) -> None:
    node = Node.create(tmp_path, Institution("髙橋病院", "1310000001"), Role.REQUESTER)
    made = install.write_record(node, operator="佐藤", host="pc-1")
    assert json.loads((tmp_path / "install.json").read_text("utf-8")) == made
    assert made["software"]["version"] == version("todoke")
    commit = made["software"]["commit"]
    assert commit is None or re.fullmatch(r"[0-9a-f]{40}", commit)
    assert (made["operator"], made["host"]) == ("佐藤", "pc-1")
    assert made["clock"] == {"offset_seconds": None, "source": None}
    assert datetime.fromisoformat(made["date"]).tzinfo is not None
    assert made["role"] == {"code": "requester", "ja": "依頼側"}
    assert made["signing_certificate_sha256"] == node.signing_fingerprint
