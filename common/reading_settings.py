"""Settings of the reading room: when an unopened urgent study is told to whom."""

from __future__ import annotations

from dataclasses import dataclass

from common.setting_checks import check_not_negative, check_port, check_positive
from common.setting_options import option


@dataclass(frozen=True)
class ReadingRoom:
    """The part of a receiver's settings that its readers feel."""

    telephone: str = option(
        "",
        "読影室の電話番号。緊急の検査が未開封のとき、依頼側に見せる",
        "Telephone of the reading room: shown to the requesting side when an urgent study waits",
    )
    alarm_minutes: int = option(
        5,
        "緊急の検査が未開封のまま何分で第二読影者・メール・Webhookに知らせるか",
        "Minutes after which an unopened urgent study is told to the second reader, by mail and"
        " webhook",
        check_positive,
    )
    alarm_sender_minutes: int = option(
        10,
        "緊急の検査が未開封のまま何分で依頼側に電話を促すか",
        "Minutes after which the requesting side is told to telephone",
        check_positive,
    )
    alarm_intraoperative_minutes: int = option(
        1, "術中の検査の、第二読影者までの分数", "The first of them, during an operation",
        check_positive,
    )  # fmt: skip
    alarm_intraoperative_sender_minutes: int = option(
        2, "術中の検査の、依頼側までの分数", "The second of them, during an operation",
        check_positive,
    )  # fmt: skip
    alarm_mail_to: tuple[str, ...] = option(
        (),
        "未開封を知らせるメールの宛先 (第二読影者など)。患者の情報は書かない",
        "Mail addresses that are told (the second reader's); without patient data",
    )
    alarm_mail_from: str = option("", "その差出人", "Their sender")
    smtp_host: str = option(
        "", "メールを渡すサーバー。空ならメールは出さない", "Mail server; empty: no mail is sent"
    )
    smtp_port: int = option(25, "そのポート", "Its port", check_port)
    smtp_starttls: bool = option(
        True,
        "STARTTLSで暗号化する。できないサーバーには渡さない",
        "By STARTTLS; a server without it gets nothing",
    )
    smtp_tls: bool = option(
        False,
        "最初からTLSで接続する (465番など)。そのときSTARTTLSは使わない",
        "By TLS from the first byte (port 465); STARTTLS is not used then",
    )
    smtp_user: str = option(
        "", "そのサーバーの利用者名。空なら認証しない", "User at that server; empty: no sign-in"
    )
    smtp_password_file: str = option(
        "", "そのパスワードを書いたファイル", "File that holds the password"
    )
    alarm_ca: str = option(
        "",
        "メールサーバーとWebhookの証明書を信頼するCA (PEMファイル)。空ならOSの一覧",
        "CA that mail server and webhook are trusted by (PEM file); empty: the system's list",
    )
    alarm_webhook: str = option(
        "",
        "未開封を知らせるWebhook (https)。患者の情報は送らない。"
        "データフォルダーの webhook.key の鍵で署名する (Standard Webhooks)",
        "Webhook that is told (https); without patient data. Signed with the key in webhook.key of"
        " the data directory (Standard Webhooks)",
    )
    alarm_tries: int = option(
        5, "メールとWebhookを試す回数", "How often mail and webhook are tried", check_not_negative
    )
    forward_report_port: int = option(
        0,
        "転送先が保管確約 (Storage Commitment) の結果を折り返して知らせるポート。0なら開かない",
        "Port at which targets of the hand-off report Storage Commitment by dialling back;"
        " 0: closed",
        check_port,
    )
    advice_text: bool = option(
        False,
        "助言の文を依頼側に送れるようにする (診断の報告書ではない)。切り替えは監査記録に残る",
        "Advice in words may be sent to the requesting side (it is no report); switching it is"
        " audited",
    )
