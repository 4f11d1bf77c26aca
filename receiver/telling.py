"""Ways out of the house by which a second reader is told: mail and webhook.

What is told is that something waits, for how long, and where to look: no patient, no
institution that asked, no identifier of a study but its random key.
"""

from __future__ import annotations

import json
import smtplib
import ssl
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage

from common.errors import SettingsError
from common.reading_settings import ReadingRoom

TIMEOUT = 10.0  # seconds that a mail server or a webhook has


@dataclass(frozen=True, slots=True)
class Told:
    """What is told: the random key of a study, how long it waits, the room's telephone."""

    study: str
    minutes: int
    telephone: str


def ways(settings: ReadingRoom) -> dict[str, Callable[[Told], None]]:
    """Return the ways that a site has set up, by name.

    Raises
    ------
    SettingsError
        A webhook without https to another machine.
    """
    found: dict[str, Callable[[Told], None]] = {}
    if settings.smtp_host and settings.alarm_mail_to:
        found["mail"] = lambda told: mail(settings, told)
    if settings.alarm_webhook:
        address = urllib.parse.urlsplit(settings.alarm_webhook)
        near = address.hostname in ("localhost", "127.0.0.1", "::1")
        if address.scheme != "https" and not (address.scheme == "http" and near):
            cause = "https"
            raise SettingsError(path="receiver.toml", key="alarm_webhook", cause=cause)
        found["webhook"] = lambda told: webhook(settings.alarm_webhook, told)
    return found


def message(settings: ReadingRoom, told: Told) -> EmailMessage:
    """Return the mail: Japanese first, English below, nobody's name."""
    made = EmailMessage()
    made["Subject"] = f"todoke: 緊急の検査が未開封です ({told.minutes}分) / urgent, unopened"
    made["From"] = settings.alarm_mail_from or settings.alarm_mail_to[0]
    made["To"] = ", ".join(settings.alarm_mail_to)
    made.set_content(
        f"緊急の検査が {told.minutes} 分間、未開封です。読影室の一覧を開いてください。\n"
        f"読影室の電話: {told.telephone or '-'}\n\n"
        f"An urgent study has been unopened for {told.minutes} minutes. Open the work list.\n"
        f"Telephone of the reading room: {told.telephone or '-'}\n"
    )
    return made


def mail(settings: ReadingRoom, told: Told) -> None:
    """Hand the mail to the site's server; raises what :mod:`smtplib` does."""
    with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=TIMEOUT) as server:
        if settings.smtp_starttls:
            server.starttls(context=ssl.create_default_context())
        server.send_message(message(settings, told))


def webhook(address: str, told: Told) -> None:
    """Post ``{"event", "study", "minutes"}``; raises what httpx does, also for a refusal."""
    import httpx  # of megabytes, for who has set a webhook

    said = {"event": "urgent-unopened", "study": told.study, "minutes": told.minutes}
    with httpx.Client(timeout=TIMEOUT, trust_env=False, follow_redirects=False) as client:
        answer = client.post(
            address,
            content=json.dumps(said),
            headers={"Content-Type": "application/json"},
        )
        answer.raise_for_status()
