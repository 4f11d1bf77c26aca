"""``todoke sender init | join | identity | partner | modality`` as they are typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from common import console, tls
from common.proof.certificates import Authority
from common.proof.identity import Institution, spoken
from common.settings import Receiver
from common.web.peer import Listener
from receiver import setup
from receiver.doors import pairing
from receiver.index import Index
from sender.bell import Bell
from sender.cli import app

HERE = Institution("髙橋病院", "1310000001")
THERE = Institution("山﨑診療所", "0110000019")
INIT = ["init", "--name", THERE.name, "--code", THERE.code, "--operator", "鈴木"]


@pytest.fixture(autouse=True)
def japanese(monkeypatch: pytest.MonkeyPatch) -> None:
    console.choose_language(None)
    monkeypatch.setenv("TODOKE_LANG", "ja")


class Line:
    """A console with one data directory."""

    def __init__(self, data: Path) -> None:
        self.data = data

    def run(self, *words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, [*words, "--data", str(self.data)])
        assert result.exit_code == code, result.output
        return result

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", code=code).stdout)


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path / "sender")


@pytest.fixture
def invitation(tmp_path: Path) -> Iterator[Path]:
    """An invitation of a receiver whose pairing door is open."""
    data = tmp_path / "receiver"
    settings = Receiver(hosts=("localhost",))
    node = setup.init(data, HERE, settings, operator="test")
    with closing(Index.at(data)) as db_index:
        listener = Listener(
            pairing.application(node, db_index, settings),
            "127.0.0.1",
            0,
            tls=tls.server_context(node.credentials, client_required=False),
        )
        with listener.in_thread() as (_host, port):
            made = setup.invite(node, settings.changed(pairing_port=port), THERE)
            yield setup.save_invitation(made, tmp_path)


@pytest.mark.requirement("UX-07")
def test_join_shows_the_fingerprint_and_the_rows_and_pairs(line: Line, invitation: Path) -> None:
    line.run(*INIT)
    said = line.run("join", str(invitation)).stderr
    (partner,) = line.json("partner", "list")["partners"]
    assert (partner["name"], partner["code"], partner["key"]) == (HERE.name, HERE.code, HERE.code)
    assert spoken(partner["ca_sha256"]) in said
    for port in (2762, 8443, json.loads(invitation.read_text("utf-8"))["pairing_port"]):
        assert f"localhost:{port}" in said
    assert "外向き" in said
    again = line.json("join", str(invitation), code=27)
    assert again["error"]["number"] == "E-2201"
    assert "使用済み" in again["error"]["ja"]
    assert "BEGIN" not in line.run("partner", "list", "--json").stdout


def test_an_altered_file_is_refused_in_words(line: Line, invitation: Path) -> None:
    line.run(*INIT)
    text = invitation.read_text("utf-8")
    invitation.write_text(text.replace(HERE.name, "高橋病院"), "utf-8")
    assert "書き換え" in line.run("join", str(invitation), code=27).stderr
    invitation.write_text(text[:-9], "utf-8")
    assert "招待として読めません" in line.run("join", str(invitation), code=27).stderr
    assert line.json("partner", "list") == {"partners": []}


def test_init_keeps_what_is_there_and_join_wants_it(line: Line, invitation: Path) -> None:
    assert "todoke sender init" in line.run("join", str(invitation), code=2).stderr
    line.run(*INIT)
    shown = line.json("identity")
    assert shown["institution"]["name"] == THERE.name
    assert shown["role"] == "requester"
    line.run(*INIT, code=2)
    assert line.json("identity") == shown


def test_a_product_and_a_device_are_entered_by_hand(line: Line, tmp_path: Path) -> None:
    line.run(*INIT)
    ca = tmp_path / "ca.crt"
    ca.write_text(Authority.create("product").pem)
    add = ["partner", "add", "orthanc", "--aet", "ORTHANC", "--ca", str(ca), "--address"]
    added = line.json(*add, "10.0.0.9:4242")
    assert added["calling_aet"] == "TDK0000019"
    assert (added["addresses"], added["dicom_port"]) == (["10.0.0.9"], 4242)
    assert [row["port"] for row in added["firewall"]] == [4242]
    for wrong in ("10.0.0.9", ":4242", "10.0.0.9:dicom"):
        assert "HOST:PORT" in line.run(*add, wrong, code=2).stderr
    said = line.run("modality", "add", "CT01", "--address", "192.168.1.5").stderr
    assert "modality_bind" in said  # it says that the door is still closed
    assert line.json("modality", "list") == {
        "modalities": [{"aet": "CT01", "address": "192.168.1.5", "archive": False}]
    }


@pytest.mark.requirement("NET-14")
def test_the_line_to_a_partner_is_set_and_shown(line: Line, tmp_path: Path) -> None:
    line.run(*INIT)
    ca = tmp_path / "ca.crt"
    ca.write_text(Authority.create("product").pem)
    add = ["partner", "add", "x", "--aet", "X", "--ca", str(ca), "--address", "10.0.0.9:4242"]
    assert "fast" in line.run(*add, "--limit", "fast", code=2).stderr
    assert "1-16" in line.run(*add, "--associations", "17", code=2).stderr
    added = line.json(*add, "--limit", "20", "--associations", "2")
    assert (added["limits"], added["associations"]) == (["20"], 2)
    limit = ["partner", "limit", "x"]
    said = line.run(*limit, "--limit", "20", "--limit", "08:00-18:00=5").stderr
    assert "20, 08:00-18:00=5 Mbit/s  x2" in said
    assert "08:00-18:00=5" in line.run("partner", "list").stderr
    with closing(Bell(line.data)) as bell:
        shown = line.json(*limit)  # looks
        assert (shown["limits"], shown["associations"]) == (["20", "08:00-18:00=5"], 2)
        assert not bell.wait(0)
        line.run(*limit, "--limit", "none", "--associations", "0")
        assert bell.wait(20)
    (partner,) = line.json("partner", "list")["partners"]
    assert (partner["limits"], partner["associations"]) == ([], 0)
    for lang, words in (("ja", "指定が正しくありません"), ("en", "The command is not right")):
        wrong = line.json(*limit, "--limit", "8-18=5", code=2)["error"]
        assert words in wrong[lang]
        assert "08:00-18:00=5" in wrong[lang]
