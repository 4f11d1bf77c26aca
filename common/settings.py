"""Settings of both ends: frozen, read once, from one TOML file and the environment.

The fields below are the one table of options: type, default, words and limits
stand there, and the file that ``init`` writes and ``docs/reference/settings.md``
are made from it.  The environment wins over the file, so that a container needs
no file: ``TODOKE_RECEIVER_DICOM_PORT=2762``; lists are separated by commas.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from common import durable
from common.errors import SettingsError
from common.reading_settings import ReadingRoom
from common.setting_checks import (
    Check,
    check_aet,
    check_aet_or_derived,
    check_associations,
    check_case_from,
    check_classes,
    check_compression,
    check_legal_basis,
    check_named_interface,
    check_not_negative,
    check_port,
    check_positive,
    check_profile,
)
from common.setting_options import (
    audit_syslog,
    audit_syslog_file,
    audit_years,
    clock_bound,
    keep_free,
    lock_minutes,
    ntp_server,
    option,
    second_factor,
)
from common.sign_in_settings import SignInService
from common.slide_settings import SlideSettings

VERSION = 1


@dataclass(frozen=True)
class Settings:
    """What both ends have in common; see :class:`Receiver` and :class:`Sender`."""

    room: ClassVar[str]
    title: ClassVar[tuple[str, str]]

    @classmethod
    def load(cls, data: Path, environ: Mapping[str, str] = os.environ) -> Self:
        """Read ``DATA/<room>.toml`` if it is there, then the environment.

        Raises
        ------
        SettingsError
            Not TOML, an unknown key, a wrong type or a value out of its limits.
        """
        path = data / f"{cls.room}.toml"
        given = _read(path)
        rows = {row.name: row for row in fields(cls)}
        for key in given:
            if key not in rows:
                where = place(path, key)
                raise SettingsError(path=where, key=key, cause="知らない項目 / unknown key")
        values = {key: _typed(place(path, key), rows[key], value) for key, value in given.items()}
        for row in rows.values():
            name = f"TODOKE_{cls.room}_{row.name}".upper()
            if name in environ:
                values[row.name] = _checked(name, row, _from_text(name, row, environ[name]))
        made = cls(**values)
        made.agree(path)
        return made

    def agree(self, path: Path) -> None:
        """Refuse values that do not go together.

        Raises
        ------
        SettingsError
        """

    def check(self, data: Path) -> None:
        """Refuse values out of their limits, before anything is written.

        Raises
        ------
        SettingsError
        """
        for row in fields(self):
            _checked(data / f"{self.room}.toml", row, getattr(self, row.name))
        self.agree(data / f"{self.room}.toml")

    def save(self, data: Path) -> Path:
        """Write every option with its words to ``DATA/<room>.toml``.

        Raises
        ------
        SettingsError
            A value is out of its limits.
        """
        self.check(data)
        path = data / f"{self.room}.toml"
        lines = [f"version = {VERSION}"]
        for row in fields(self):
            lines += ["", f"# {row.metadata['ja']}", f"# {row.metadata['en']}"]
            lines.append(f"{row.name} = {toml(getattr(self, row.name))}")
        durable.save(path, ("\n".join(lines) + "\n").encode())
        return path

    def changed(self, **values: Any) -> Self:
        """Return a copy with other values."""
        return replace(self, **values)


@dataclass(frozen=True)
class Receiver(SignInService, ReadingRoom, Settings):
    """The supporting side."""

    room: ClassVar[str] = "receiver"
    title: ClassVar[tuple[str, str]] = ("支援側 (受信)", "receiver")

    hosts: tuple[str, ...] = option(
        ("localhost",),
        "この受信側の名前とアドレス。証明書に載り、最初のものを相手が確かめる",
        "Names and addresses of this receiver; in its certificate, partners check the first",
    )
    bind: str = option(
        "0.0.0.0",  # noqa: S104 - every door there is TLS with certificates
        "DICOM、リンク、組み合わせの待受アドレス (いずれもTLS)",
        "Address that DICOM, link and pairing listen at (TLS, all of them)",
    )
    dicom_port: int = option(2762, "DICOM (TLS) のポート", "Port of DICOM over TLS", check_port)
    link_port: int = option(8443, "リンク (HTTPS) のポート", "Port of the link (HTTPS)", check_port)
    pairing_port: int = option(
        8444, "組み合わせ (HTTPS) のポート", "Port of pairing (HTTPS)", check_port
    )
    viewer_bind: str = option(
        "127.0.0.1",
        "ビューアの待受アドレス。このマシン以外から見るときはhttpsになる",
        "Address the viewer listens at; https unless only this machine can reach it",
    )
    viewer_port: int = option(8080, "ビューアのポート", "Port of the viewer", check_port)
    web_cert: str = option(
        "",
        "ビューアの証明書 (PEM)。空なら自前のCAで発行する",
        "Certificate of the viewer (PEM); empty: issued by the receiver's own CA",
    )
    web_key: str = option("", "その鍵 (PEM)", "Its key (PEM)")
    second_factor: bool = second_factor()
    lock_minutes: int = lock_minutes()
    aet: str = option("TODOKE", "受信側のAEタイトル", "AE title of the receiver", check_aet)
    other_storage_classes: tuple[str, ...] = option(
        (),
        "表にないSOPクラス (装置独自のものなど) のうち受け取るもの。UIDか、点で終わる先頭の部分",
        "SOP classes outside the table that are taken too: UIDs, or beginnings that end in a dot",
        check_classes,
    )
    max_associations: int = option(
        100,
        "同時に開くアソシエーションの上限",
        "Most associations that are open at a time",
        check_positive,
    )
    max_associations_per_partner: int = option(
        50,
        "そのうち相手1つ (証明書1枚) の上限",
        "Most of them with one partner, that is one certificate",
        check_positive,
    )
    max_instance_gb: int = option(
        64,
        "受け取る画像1件の上限 (GB)。超えるものは断る",
        "Largest instance taken, in GB; what is larger is refused",
        check_positive,
    )
    profile: str = option(
        "jp-high13",
        "TLSの型。jp-high13 は TLS 1.3 だけ、dicom-b12 は 1.2 も受ける",
        "TLS profile: jp-high13 is TLS 1.3 alone, dicom-b12 takes 1.2 as well",
        check_profile,
    )
    tile_cache_minutes: int = option(
        0,
        "検証済みの標本をブラウザーに残してよい分数。0 なら残さない (共用の端末では 0 のまま)",
        "Minutes that browsers may keep tiles of verified slides; 0: none (so on shared desks)",
        check_not_negative,
    )
    keep_free_mb: int = keep_free()
    clock_bound_ms: int = clock_bound()
    audit_years: int = audit_years()
    audit_syslog: str = audit_syslog()
    audit_syslog_ca: str = audit_syslog_file(
        "その証明書を確かめるCA (PEM)", "CA (PEM) that its certificate has to come from"
    )
    audit_syslog_cert: str = audit_syslog_file(
        "そこに示す自分の証明書 (PEM)。空なら示さない", "Certificate shown to it (PEM); empty: none"
    )
    audit_syslog_key: str = audit_syslog_file("その鍵 (PEM)", "Its key (PEM)")
    ntp_server: str = ntp_server()
    purge_days: int = option(
        90,
        "完了から画像を消すまでの日数。0 なら消さない。証跡と監査記録は消さない",
        "Days after Done until images are purged; 0: never. Evidence and audit are never purged",
        check_not_negative,
    )
    purge_notice_days: int = option(
        7,
        "消す何日前から予告するか",
        "Days ahead that a purge is announced",
        check_not_negative,
    )
    scrub_mb_per_second: int = option(
        10,
        "保存した画像を読み直して確かめる速さ (MB/秒)。0 なら読み直さない",
        "Rate at which stored images are read again and checked, MB/s; 0: they are not",
        check_not_negative,
    )


@dataclass(frozen=True)
class Sender(SlideSettings, Settings):
    """The requesting side."""

    room: ClassVar[str] = "sender"
    title: ClassVar[tuple[str, str]] = ("依頼側 (送信)", "sender")

    aet: str = option(
        "",
        "送信側のAEタイトル。空なら TDK + 医療機関コードの下7桁",
        "AE title of the sender; empty: TDK + the last seven digits of its code",
        check_aet_or_derived,
    )
    modality_bind: str = option(
        "",
        "装置から受けるLAN側のアドレス (TLSなし)。空なら受けない",
        "LAN address that takes images from modalities (no TLS); empty: takes none",
        check_named_interface,
    )
    modality_port: int = option(
        11112, "装置から受けるポート", "Port that takes images from modalities", check_port
    )
    other_storage_classes: tuple[str, ...] = option(
        (),
        "表にないSOPクラス (装置独自のものなど) のうち送るもの。UIDか、点で終わる先頭の部分",
        "SOP classes outside the table that are sent too: UIDs, or beginnings that end in a dot",
        check_classes,
    )
    max_instance_gb: int = option(
        64,
        "受け取る画像1件の上限 (GB)。超えるものは断る",
        "Largest instance taken, in GB; what is larger is refused",
        check_positive,
    )
    watch: tuple[str, ...] = option((), "見張るフォルダー", "Folders watched for new images")
    settle_seconds: int = option(
        10,
        "ファイルの書き込みが止まってから送るまでの秒数",
        "Seconds without a change before a file is taken from a watched folder",
        check_positive,
    )
    watch_case_from: str = option(
        "sidecar",
        "スライドをまとめる症例: sidecar (依頼のCSV・JSON)、folder、name:正規表現",
        "What makes slides one case: sidecar (their request file), folder or name:REGEX",
        check_case_from,
    )
    associations: int = option(
        4,
        "操作ウィンドウのない相手1つへ同時に張るアソシエーションの最大数 (相手ごとに変えられる)",
        "Most associations at a time to a partner without the asynchronous operations window;"
        " a partner may have its own number",
        check_associations,
    )
    legal_basis: str = option(
        "posted",
        "送信の根拠: posted (院内掲示による黙示の同意)、explicit (本人の明示の同意)、"
        "emergency (生命・身体の保護)、law (法令)",
        "Legal basis of transmissions: posted (consent implied by what is posted in the hospital),"
        " explicit (the patient's), emergency (protection of life), law",
        check_legal_basis,
    )
    commit_minutes: int = option(
        10,
        "保管確約の返事がないとき、もう一度求めるまでの分数",
        "Minutes without a report of Storage Commitment before it is asked for again",
        check_positive,
    )
    profile: str = option(
        "jp-high13",
        "TLSの型。相手が TLS 1.2 しか話せないときだけ dicom-b12",
        "TLS profile; dicom-b12 only where a partner speaks nothing newer than TLS 1.2",
        check_profile,
    )
    compression: str = option(
        "auto",
        "送信中の可逆圧縮: auto (回線と計算機の実測で選ぶ)、off、htj2k、jpegls。"
        "相手が todoke のときだけ",
        "Lossless compression in flight: auto (by measured line and machine), off, htj2k, jpegls;"
        " only to a partner that runs todoke",
        check_compression,
    )
    spare_cores: int = option(
        1,
        "圧縮に使わず装置の仕事に残すプロセッサーのコア数",
        "Processor cores that compression leaves to the workstation's own work",
        check_not_negative,
    )
    keep_free_mb: int = keep_free()
    lossy_ct_mr_ratio: int = option(
        0,
        "非可逆圧縮されたCT・MRを、この圧縮比までは直接伝送と認める。0 なら認めない (保留する)",
        "Up to which ratio lossy CT and MR count as direct; 0: they are held",
        check_not_negative,
    )
    media_attested_by: str = option(
        "",
        "媒体・見張るフォルダー・手動の取り込みの出所を確かめる責任者 (send --attest が優先)",
        "Who attests the source of what comes from media, watched folders or by hand"
        " (send --attest goes before it)",
    )
    hold_unattested: bool = option(
        False,
        "出所を確かめた人のいない取り込みを保留する。falseなら、直接伝送と示せないものとして送る",
        "Hold imports whose source nobody attests; false: sent as not shown to be direct",
    )
    accept_equal_code: bool = option(
        False,
        "保険医療機関コードが自院と同じ相手にも送る (同じ法人の別の施設など)",
        "Send to a partner that has one's own institution code too",
    )
    clock_bound_ms: int = clock_bound()
    audit_years: int = audit_years()
    audit_syslog: str = audit_syslog()
    audit_syslog_ca: str = audit_syslog_file(
        "その証明書を確かめるCA (PEM)", "CA (PEM) that its certificate has to come from"
    )
    audit_syslog_cert: str = audit_syslog_file(
        "そこに示す自分の証明書 (PEM)。空なら示さない", "Certificate shown to it (PEM); empty: none"
    )
    audit_syslog_key: str = audit_syslog_file("その鍵 (PEM)", "Its key (PEM)")
    ntp_server: str = ntp_server()
    timestamp_url: str = option(
        "",
        "記録の根に付けるタイムスタンプの局 (RFC 3161、http または https)。空なら付けない",
        "Authority that timestamps the root of each record (RFC 3161, http or https);"
        " empty for none",
    )


def data_folder(room: str, given: Path | None) -> Path:
    """Return the data directory: ``--data``, TODOKE_DATA, or the user's data folder + room."""
    if given is not None:
        return given
    if named := os.environ.get("TODOKE_DATA"):
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_data_dir("todoke", appauthor=False)) / room


def _read(path: Path) -> dict[str, Any]:
    try:
        given = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as failure:  # it says the line
        raise SettingsError(path=path, key="TOML", cause=failure) from failure
    except UnicodeDecodeError as failure:
        where = f"{path}:{failure.object[: failure.start].count(10) + 1}"
        raise SettingsError(path=where, key="UTF-8", cause=failure.reason) from failure
    version = given.pop("version", VERSION)
    if version != VERSION:
        raise SettingsError(path=path, key="version", cause=f"{version}, todoke: {VERSION}")
    return given


def place(path: Path, key: str, table: int | None = None) -> str:
    """Return where in a file of settings a key stands, as ``FILE:LINE``.

    Parameters
    ----------
    table : int, optional
        Look below this ``[[table]]`` of the file, the first is 0.
    """
    found, tables = f"{path}", -1
    named = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[=.\]]")
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        tables += line.lstrip().startswith("[[")
        if tables == (-1 if table is None else table) and named.match(line):
            return f"{path}:{number}"
        if table is not None and tables == table and found == str(path):
            found = f"{path}:{number}"
    return found


def _typed(path: object, row: Field[Any], value: Any) -> Any:
    if isinstance(row.default, tuple) and isinstance(value, list):
        value = tuple(value)
    same = type(value) is type(row.default)
    if not same or (isinstance(value, tuple) and not all(isinstance(one, str) for one in value)):
        raise SettingsError(path=path, key=row.name, cause=f"{type(row.default).__name__}")
    return _checked(path, row, value)


def _from_text(name: str, row: Field[Any], text: str) -> Any:
    if isinstance(row.default, tuple):
        return tuple(one.strip() for one in text.split(",") if one.strip())
    if isinstance(row.default, bool):
        known = {"1": True, "true": True, "0": False, "false": False}
        if text.lower() not in known:
            raise SettingsError(path=name, key=row.name, cause="true | false")
        return known[text.lower()]
    if isinstance(row.default, int):
        try:
            return int(text)
        except ValueError as failure:
            raise SettingsError(path=name, key=row.name, cause=text) from failure
    return text


def _checked(path: object, row: Field[Any], value: Any) -> Any:
    check: Check | None = row.metadata["check"]
    if check is not None and (wrong := check(value)):
        raise SettingsError(path=path, key=row.name, cause=f"{value}: {wrong}")
    return value


def toml(value: Any) -> str:
    """Return a value as the file has it."""
    # a JSON string, number, boolean or list of strings is also TOML
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
