"""The verbs of the audit trail: list, verify, sign-off, heads, export; remote maintenance."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from common.audit import Trail
from common.errors import IntegrityError
from common.proof.identity import Institution, Node
from common.proof.role import Role
from receiver.cli import app as receiver
from sender.cli import app as sender

pytestmark = pytest.mark.audit
Run = Callable[..., Result]


@pytest.fixture(params=["receiver", "sender"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """A verb of either end, on a trail of three lines."""
    role = Role.SUPPORTER if request.param == "receiver" else Role.REQUESTER
    ours = Institution("旭川支援病院", "0112345675")
    Node.create(tmp_path, ours, role, hosts=["localhost"])
    with closing(Trail(tmp_path / "audit", "web")) as trail:
        for user in ("yamamoto", "tanaka", "yamamoto"):
            trail.note("sign-in", user=user, address="192.0.2.7", outcome="ok")
    room = receiver if request.param == "receiver" else sender

    def typed(*words: str, env: Any = None) -> Result:
        return CliRunner().invoke(room, [*words, "--data", str(tmp_path)], env=env)

    return typed


def listed(run: Run, *words: str) -> list[dict[str, Any]]:
    done = run("audit", "list", "--json", "--operator", "監査", *words)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)["lines"]
    return found


@pytest.mark.requirement("AUD-05", "AUD-07")
def test_the_trail_is_listed_filtered_and_its_reading_noted(run: Run) -> None:
    assert [one["user"] for one in listed(run)] == ["yamamoto", "tanaka", "yamamoto"]
    assert [one["user"] for one in listed(run, "--user", "tanaka")] == ["tanaka"]
    assert listed(run, "--from", "2099-01-01") == []
    assert len(listed(run, "--from", "2026-01-01", "--to", "2098-12-31")) == 6
    reads = listed(run, "--event", "audit-read")
    assert [one["by"] for one in reads] == ["監査"] * 4
    assert run("audit", "list", "--from", "yesterday").exit_code == 2


@pytest.mark.requirement("AUD-07")
def test_a_review_is_signed_off(run: Run) -> None:
    days = ["--from", "2026-01-01", "--to", "2098-12-31"]
    done = run("audit", "sign-off", *days, "--remark", "異常なし", "--operator", "監査")
    assert done.exit_code == 0, done.output
    (signed,) = listed(run, "--event", "audit-signed-off")
    assert (signed["by"], signed["lines"], signed["remark"]) == ("監査", 3, "異常なし")


@pytest.mark.requirement("AUD-02")
def test_verify_exits_by_what_it_finds(run: Run, tmp_path: Path) -> None:
    heads = tmp_path / "kept.txt"
    heads.write_text(run("audit", "heads").stdout)
    assert run("audit", "verify").exit_code == 0
    path = tmp_path / "audit" / "web.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    done = run("audit", "verify", "--json")
    assert done.exit_code == IntegrityError.exit_code
    (found,) = json.loads(done.stdout)["findings"]
    assert (found["kind"], found["process"], found["number"]) == ("truncated", "web", 2)
    (tmp_path / "audit" / "heads" / "web.jws").unlink()
    assert run("audit", "verify").exit_code == 0  # both were taken away
    assert run("audit", "verify", "--heads", str(heads)).exit_code != 0


@pytest.mark.requirement("AUD-05")
def test_the_trail_is_exported_as_messages(run: Run) -> None:
    done = run("audit", "export", "--operator", "監査")
    assert done.stdout.count("<AuditMessage>") == 4
    assert 'csd-code="110101"' in done.stdout


@pytest.mark.requirement("AUD-11")
def test_remote_maintenance_is_recorded_with_its_plan(run: Run) -> None:
    assert run("maintenance", "end").exit_code == 2
    assert run("maintenance", "begin", "--plan", "保守-12", "--operator", "業者").exit_code == 0
    assert run("maintenance", "begin", "--plan", "保守-13").exit_code == 2
    done = run("maintenance", "end", "--result", "完了", "--operator", "業者")
    assert done.exit_code == 0, done.output
    (begun,) = listed(run, "--event", "maintenance-begun")
    (ended,) = listed(run, "--event", "maintenance-ended")
    assert (begun["plan"], begun["operator"]) == ("保守-12", "業者")
    assert (ended["plan"], ended["result"]) == ("保守-12", "完了")
    assert float(ended["seconds"]) >= 0
