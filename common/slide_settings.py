"""What a site decides of its slides and photographs before they are sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import SettingsError
from common.setting_options import option

#: How slides may be coded with loss, by what the setting calls it.
LOSSY_CODECS = ("jpeg",)
_QUALITIES = range(50, 101)  # below, the blocks of JPEG show in tissue
_TOGETHER = "reencode_codec, reencode_quality, reencode_by"


def check_codec(value: str) -> str | None:
    """Say what is wrong with the name of a lossy coding, or None."""
    return None if value in ("", *LOSSY_CODECS) else " | ".join(LOSSY_CODECS)


def check_quality(value: int) -> str | None:
    """Say what is wrong with a quality of JPEG, or None."""
    return None if value == 0 or value in _QUALITIES else "0, 50-100"


def check_person(value: str) -> str | None:
    """Say what is wrong with a name that goes into headers (PS3.5 section 6.2, VR ST), or None."""
    fine = len(value) <= 64 and not re.search(r"[\\\x00-\x1f\x7f]", value)
    return None if fine and value == value.strip() else "1-64"


@dataclass(frozen=True)
class SlideSettings:
    """The part of a sender's settings that is about slides and photographs."""

    send_label: bool = option(
        False,
        "スライドのラベル画像を送る (患者名が写ることがある)",
        "Send the label image of slides (it may show the patient's name)",
    )
    send_macro: bool = option(
        False,
        "スライドの全体写真を送る (ラベルが写ることがある)",
        "Send the macro photograph of slides (the label may be in it)",
    )
    still_metadata: bool = option(
        True,
        "写真のファイルを元のまま添える (場所や人名を含むことがある)。falseなら画素だけ",
        "Send the files of photographs as they are (they may name place and person);"
        " false: their pixels alone",
    )
    reencode_codec: str = option(
        "",
        "そのまま送れない形式のスライドの再符号化: 空なら可逆、jpeg なら非可逆 (下の2つも要る)。"
        "タイルをそのまま送れる形式、ラベル、全体写真には効かない",
        "How slides are encoded again whose tiles cannot go as stored: empty: without loss;"
        " jpeg: with loss (the next two are needed too). Never for tiles that go as stored,"
        " labels or macros",
        check_codec,
    )
    reencode_quality: int = option(
        0, "その画質 (JPEGの 50〜100)", "Its quality (of JPEG, 50 to 100)", check_quality
    )
    reencode_by: str = option(
        "",
        "非可逆で送ると決めた人の氏名。画像のヘッダーに書かれる",
        "Name of who decided to send with loss; it stands in the headers of the images",
        check_person,
    )

    def agree(self, path: Path) -> None:
        """Refuse a lossy coding of which codec, quality or the person who decided is missing.

        Raises
        ------
        SettingsError
        """
        given = {
            "reencode_codec": self.reencode_codec,
            "reencode_quality": self.reencode_quality,
            "reencode_by": self.reencode_by,
        }
        missing = [key for key, value in given.items() if not value]
        if 0 < len(missing) < len(given):
            cause = (
                f"3つとも書くか、どれも書かないでください (ないもの: {', '.join(missing)})"
                f" / give all three or none; missing: {', '.join(missing)}"
            )
            raise SettingsError(path=path, key=_TOGETHER, cause=cause)

    def recoding(self) -> dict[str, Any]:
        """Return how slides are encoded again, as fields of a slide's case; empty: without loss."""
        if not self.reencode_codec:
            return {}
        return {
            "lossy_codec": self.reencode_codec,
            "lossy_quality": self.reencode_quality,
            "lossy_by": self.reencode_by,
        }
