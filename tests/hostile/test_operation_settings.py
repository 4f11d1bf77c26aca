"""A setting that is wrong: the daemon does not start, and says the line (97)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from common.errors import SettingsError
from common.proof.identity import Institution, Node
from common.proof.role import Role
from common.settings import Receiver, Sender, Settings
from receiver import setup
from sender import routing
from tests.system.ends import Said, verb

ROOMS: dict[str, type[Settings]] = {"receiver": Receiver, "sender": Sender}
pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


@dataclass
class Data:
    """Data directories of both rooms, set up and never run."""

    receiver: Path
    sender: Path

    def start(self, room: str) -> Said:
        """Start a daemon, which ends at once when it refuses."""
        return verb(room, "run", "--data", getattr(self, room))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = Path(tmp_path_factory.mktemp("settings"))
    institution = Institution("試験病院", "0110812345", "札幌市")
    settings = Receiver(hosts=("localhost",), bind="127.0.0.1")
    setup.init(folder / "receiver", institution, settings, operator="tester")
    Node.create(folder / "sender", institution, Role.REQUESTER)
    Sender().save(folder / "sender")
    return Data(folder / "receiver", folder / "sender")


@pytest.mark.parametrize("room", ["receiver", "sender"])
@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        pytest.param("colour = 1\n", "colour", marks=pytest.mark.badinput(97, "unknown key")),
        pytest.param('profil = "x"\n', "profil", marks=pytest.mark.badinput(97, "misspelt key")),
        pytest.param('[tls]\na = "b"\n', "tls", marks=pytest.mark.badinput(97, "unknown table")),
        pytest.param("profile = 12\n", "profile", marks=pytest.mark.badinput(97, "wrong type")),
        pytest.param(
            'profile = "ssl3"\n', "profile", marks=pytest.mark.badinput(97, "out of range")
        ),
        pytest.param("profile = \n", "TOML", marks=pytest.mark.badinput(97, "broken TOML")),
        pytest.param("# \udc83\udc95\n", "UTF-8", marks=pytest.mark.badinput(97, "not UTF-8")),
        pytest.param(
            'profile = "dicom-b12"\nprofile = "dicom-b12"\n',
            "TOML",
            marks=pytest.mark.badinput(97, "key twice"),
        ),
    ],
)
def test_a_wrong_setting_refuses_the_start_and_names_the_line(
    data: Data, room: str, wrong: str, key: str
) -> None:
    path = getattr(data, room) / f"{room}.toml"
    right = path.read_bytes()
    kept = [line for line in right.decode().splitlines() if not line.startswith("profile")]
    text = "\n".join(kept) + "\n" + wrong
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    line = len(kept) + wrong.count("\n", 0, wrong.rfind("profile") if key == "TOML" else 0) + 1
    before = set(path.parent.rglob("*"))
    try:
        with pytest.raises(SettingsError) as refused:
            ROOMS[room].load(path.parent)
        said = data.start(room) if key == "profil" else None
    finally:
        path.write_bytes(right)
    assert refused.value.number == "E-1002"
    for lang in ("ja", "en"):
        words = refused.value.words(lang)
        assert key in words
        assert re.search(rf"(:|at line ){line}\b", words), (line, words)
    if said is not None:
        assert (said.code, said.words["error"]["number"]) == (2, "E-1002")
        assert f"{room}.toml:{line}" in said.words["error"]["ja"]
    assert set(path.parent.rglob("*")) - before <= {path.parent / "lock"}


@pytest.mark.parametrize(
    ("rules", "key", "line"),
    [
        pytest.param(
            '[[rule]]\nto = "a"\n\n[[rule]]\nto = "b"\nsource = "c"\n',
            "source",
            6,
            marks=pytest.mark.badinput(97, "rule file with an unknown key"),
        ),
        pytest.param(
            '[[rule]]\nto = "a"\n[[rule]]\nto = "b"\npriority = "now"\n',
            "priority",
            5,
            marks=pytest.mark.badinput(97, "rule file with an unknown key"),
        ),
        pytest.param(
            'colour = 1\n[[rule]]\nto = "a"\n',
            "colour",
            1,
            marks=pytest.mark.badinput(97, "rule file with an unknown key"),
        ),
    ],
)
def test_a_wrong_rule_refuses_the_start_and_names_the_line(
    data: Data, rules: str, key: str, line: int
) -> None:
    path = data.sender / "rules.toml"
    path.write_text(rules, "utf-8")
    try:
        with pytest.raises(SettingsError) as refused:
            routing.load(data.sender)
        said = data.start("sender") if key == "source" else None
    finally:
        path.unlink()
    for lang in ("ja", "en"):
        assert f"rules.toml:{line}" in refused.value.words(lang)
        assert key in refused.value.words(lang)
    if said is not None:
        assert (said.code, said.words["error"]["number"]) == (2, "E-1002")
        assert f"rules.toml:{line}" in said.words["error"]["ja"]
