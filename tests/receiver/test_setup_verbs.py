"""``todoke receiver init | invite | identity | partner | web-root`` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from common import console
from common.proof import certificates
from common.proof.identity import spoken
from common.proof.invitation import Invitation
from receiver.cli import app

INIT = ["init", "--name", "髙橋病院", "--code", "1310000001", "--host", "pacs.example",
        "--operator", "佐藤"]  # fmt: skip


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
    return Line(tmp_path / "data")


def test_init_makes_the_receiver_and_says_what_to_open(line: Line) -> None:
    said = line.run(*INIT)
    assert said.stdout == ""  # words go to stderr
    for port in (2762, 8443, 8444, 8080):
        assert f"{port}  " in said.stderr
    shown = line.json("identity")
    assert spoken(shown["ca_sha256"]) in said.stderr
    assert shown["institution"]["code"] == "1310000001"
    assert shown["hosts"] == ["pacs.example"]
    record = json.loads((line.data / "install.json").read_text("utf-8"))
    assert record["operator"] == "佐藤"
    before = (line.data / "identity" / "signing.key").read_bytes()
    assert "上書きしません" in line.run(*INIT, code=2).stderr
    assert (line.data / "identity" / "signing.key").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["init", "--name", "病院"], "--code"),
        (["init", "--code", "1310000001"], "--name"),
        (["init", "--name", "病院", "--code", "123"], "E-1006"),
        (["init", "--name", "病院", "--code", "1310000001", "--host", "a..b"], "E-1001"),
        (["init", "--name", "病院", "--code", "1310000001", "--host", "a b"], "E-1001"),
        (["init", "--name", "病院", "--code", "1310000001", "--aet", "受信"], "aet"),
    ],
)
def test_a_wrong_or_missing_value_is_named_without_a_terminal(
    words: list[str], fault: str, line: Line
) -> None:
    assert fault in line.run(*words, code=2).stderr
    assert "E-1003" in line.run("identity", code=2).stderr  # nothing was set up


@pytest.mark.requirement("UX-07")
def test_invite_writes_one_file_and_reads_the_fingerprint_aloud(line: Line, tmp_path: Path) -> None:
    line.run(*INIT)
    words = ["invite", "山﨑診療所", "--code", "0110000019", "--address", "10.0.0.5",
             "--address", "pacs.example", "--out", str(tmp_path)]  # fmt: skip
    said = line.run(*words)
    made = Invitation.read(tmp_path / "todoke-invite-山﨑診療所.json")
    assert spoken(made.ca_sha256) in said.stderr
    assert "秘密" in said.stderr
    assert "8444" in said.stderr
    assert made.secret not in said.output
    assert made.addresses == ("10.0.0.5", "pacs.example")
    shown = line.json(*words)
    assert "secret" not in shown["invitation"]
    assert Invitation.read(Path(shown["path"])).secret != made.secret


@pytest.mark.requirement("DIR-13")
def test_invite_refuses_ones_own_code(line: Line, tmp_path: Path) -> None:
    line.run(*INIT)
    refused = line.json("invite", "自院", "--code", "1310000001", "--out", str(tmp_path), code=27)
    assert refused["error"]["number"] == "E-2202"
    assert list(tmp_path.glob("*.json")) == []


def test_a_product_is_added_and_listed(line: Line, tmp_path: Path) -> None:
    line.run(*INIT)
    assert line.json("partner", "list") == {"partners": []}
    add = ["partner", "add", "製品", "--aet", "ORTHANC", "--code", "0110000019"]
    added = line.json(*add, "--issue", str(tmp_path / "issue"))
    assert line.json("partner", "list") == {"partners": [added]}
    names = sorted(path.name for path in (tmp_path / "issue").iterdir())
    assert names == ["0110000019.crt", "0110000019.key", "ca.crt"]
    assert "--cert" in line.run(*add, code=2).stderr


def test_web_root_writes_the_root_and_how_to_install_it(line: Line, tmp_path: Path) -> None:
    line.run(*INIT)
    shown = line.json("web-root", str(tmp_path / "web"))
    assert len(shown["files"]) == 3
    root = certificates.from_pem((tmp_path / "web" / "todoke-root.pem").read_text())
    assert (tmp_path / "web" / "todoke-root.cer").read_bytes() == certificates.to_der(root)
    page = (tmp_path / "web" / "index.html").read_text("utf-8")
    assert spoken(line.json("identity")["ca_sha256"]) in page
    assert "https://pacs.example:8080/" in page
    assert 'lang="ja"' in page
    assert "PRIVATE" not in page


def test_help_is_japanese_with_english_beside_it() -> None:
    for verb in (["--help"], ["init", "--help"], ["invite", "--help"], ["partner", "--help"]):
        shown = CliRunner().invoke(app, verb)
        assert shown.exit_code == 0
        assert " / " in shown.output
