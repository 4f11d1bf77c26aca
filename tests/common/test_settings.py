"""Settings: one table, its file, its environment, its page."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from common import settings, settings_page
from common.errors import SettingsError
from common.settings import Receiver, Sender, Settings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
KINDS: list[type[Settings]] = [Receiver, Sender]


def test_the_page_is_current() -> None:
    """Mend with ``python -m common.settings_page docs/reference/settings.md``."""
    assert PAGE.read_text("utf-8") == settings_page.page()


@pytest.mark.parametrize("kind", KINDS)
def test_every_option_has_words_and_a_good_default(kind: type[Settings], tmp_path: Path) -> None:
    for row in fields(kind):
        assert row.metadata["ja"], row.name
        assert row.metadata["en"], row.name
        assert f"`{row.name}`" in settings_page.page()
    kind().save(tmp_path)
    assert kind.load(tmp_path, {}) == kind() == kind.load(tmp_path / "nothing", {})


def test_the_file_keeps_what_was_set_and_the_environment_wins(tmp_path: Path) -> None:
    mine = Receiver(hosts=("pacs.例え.example", "10.0.0.5"), dicom_port=0, aet='A"B')
    mine.save(tmp_path)
    assert Receiver.load(tmp_path, {}) == mine
    environ = {"TODOKE_RECEIVER_DICOM_PORT": "104", "TODOKE_RECEIVER_HOSTS": "a, b"}
    there = Receiver.load(tmp_path, environ | {"TODOKE_SENDER_AET": "OTHER"})
    assert there == mine.changed(dicom_port=104, hosts=("a", "b"))
    assert Sender.load(tmp_path, {"TODOKE_SENDER_SEND_LABEL": "true"}).send_label is True


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("dicom_prot = 104", "dicom_prot"),
        ("dicom_port = '104'", "dicom_port"),
        ("dicom_port = true", "dicom_port"),
        ("dicom_port = 70000", "dicom_port"),
        ("profile = 'plain'", "profile"),
        ("aet = 'LONGER THAN SIXTEEN'", "aet"),
        ("aet = '受信'", "aet"),
        ("hosts = [1]", "hosts"),
        ("other_storage_classes = ['1.2.840.10008.1.1']", "other_storage_classes"),
        ("other_storage_classes = ['1.2.392.', '*']", "other_storage_classes"),
        ("version = 2", "version"),
        ("= 1", "TOML"),
    ],
)
def test_a_wrong_line_is_named(line: str, key: str, tmp_path: Path) -> None:
    (tmp_path / "receiver.toml").write_text(line, "utf-8")
    with pytest.raises(SettingsError) as refused:
        Receiver.load(tmp_path, {})
    assert refused.value.facts["key"] == key
    assert refused.value.exit_code == 2


@pytest.mark.requirement("NET-10")
@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::"])
def test_modalities_are_taken_from_a_named_interface_only(everywhere: str, tmp_path: Path) -> None:
    for environ in ({"TODOKE_SENDER_MODALITY_BIND": everywhere}, {}):
        (tmp_path / "sender.toml").write_text(f"modality_bind = '{everywhere}'")
        with pytest.raises(SettingsError, match="modality_bind"):
            Sender.load(tmp_path, environ)
    with pytest.raises(SettingsError, match="modality_bind"):
        Sender(modality_bind=everywhere).save(tmp_path)
    assert Sender.load(tmp_path / "none", {}).modality_bind == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [("SEND_LABEL", "yes"), ("MODALITY_PORT", "dicom"), ("SETTLE_SECONDS", "0"), ("AET", "\\")],
)
def test_a_wrong_variable_is_named(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"TODOKE_SENDER_{name}"):
        Sender.load(tmp_path, {f"TODOKE_SENDER_{name}": text})


def test_the_data_folder_is_the_one_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.data_folder("sender", tmp_path) == tmp_path
    monkeypatch.setenv("TODOKE_DATA", str(tmp_path / "named"))
    assert settings.data_folder("sender", None) == tmp_path / "named"
    monkeypatch.delenv("TODOKE_DATA")
    folders = {settings.data_folder(room, None).name for room in ("sender", "receiver")}
    assert folders == {"sender", "receiver"}
