"""A row of the table of options, and rows that have a place of their own."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from common.setting_checks import Check, check_not_negative, check_positive, check_years


def option(default: Any, ja: str, en: str, check: Check | None = None) -> Any:
    """One row of the table of options."""
    return field(default=default, metadata={"ja": ja, "en": en, "check": check})


def keep_free() -> Any:
    """Room on the disk, at either end."""
    return option(
        256,
        "ディスクに残す空き (MB)。これを割り込む前に受け取りを断り、空きができると自動で続ける",
        "Room that stays free on the disk, MB: what would use it up is refused before the disk"
        " is full, and goes on by itself when there is room",
        check_not_negative,
    )


def clock_bound() -> Any:
    """How far two clocks may differ, at either end."""
    return option(
        1000,
        "相手の時計との許せるずれ (ミリ秒)。超えているあいだ証跡に署名しない",
        "Milliseconds that the partner's clock may differ: beyond them no record is signed",
        check_positive,
    )


def second_factor() -> Any:
    """Whether everybody who signs in has a second factor (AUT-02)."""
    return option(
        True,
        "利用者全員に二要素認証 (確認コードかパスキー) を求める。falseなら登録した人だけ。"
        "試験のときだけ false にする",
        "Everybody signs in with a second factor (code or passkey); false: only who has one."
        " Turn it off for trials alone",
    )


def lock_minutes() -> Any:
    """How long a viewer waits for a hand (AUT-06)."""
    return option(
        15,
        "操作のないビューアを隠してロックするまでの分数",
        "Minutes without a hand after which the viewer hides its picture and locks",
        check_positive,
    )


def audit_years() -> Any:
    """For how long the audit trail is kept, at either end."""
    return option(
        5,
        "監査記録を保存する年数 (年度末の3月31日から数える)。5以上。todoke は消さない",
        "Years that the audit trail is kept, from the end of the fiscal year (31 March); 5 or more."
        " Nothing in todoke removes it",
        check_years,
    )


def audit_syslog() -> Any:
    """Where audit messages go as well, at either end."""
    return option(
        "",
        "監査記録を送る先 host:port (syslog over TLS、RFC 5425)。空なら送らない",
        "Where audit messages are sent, host:port (syslog over TLS, RFC 5425); empty: nowhere",
    )


def audit_syslog_file(ja: str, en: str) -> Any:
    """A file of that connection."""
    return option("", ja, en)


def ntp_server() -> Any:
    """Which clock is compared with, at either end."""
    return option(
        "",
        "時計を比べるNTPサーバー host または host:port。空なら比べず、監査記録の署名にそう書く",
        "NTP server that the clock is compared with, host or host:port; empty: none,"
        " and the signatures of the audit trail say so",
    )
