"""Ways out of the house by which a second reader is told: mail and webhook.

What is told is that something waits, for how long, and where to look: no patient, no
institution that asked, no identifier of a study but its random key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import smtplib
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from common import durable, tls
from common.errors import SettingsError
from common.reading_settings import ReadingRoom

TIMEOUT = 10.0  # seconds that a mail server or a webhook has
KEY_FILE = "webhook.key"  # in the data directory, made at the first start with a webhook
KEY_PREFIX = "whsec_"  # as Standard Webhooks writes a symmetric key


@dataclass(frozen=True, slots=True)
class Told:
    """What is told: the random key of a study, how long it waits, the room's telephone.

    Attributes
    ----------
    number : str
        The same however often this is told: whoever hears it twice knows.
    """

    study: str
    minutes: int
    telephone: str
    number: str = ""


def ways(settings: ReadingRoom, data: Path) -> dict[str, Callable[[Told], None]]:
    """Return the ways that a site has set up, by name.

    Parameters
    ----------
    data : Path
        Data directory, for the key that webhooks are signed with.

    Raises
    ------
    SettingsError
        A webhook without https to another machine, a password without TLS, or a file
        that cannot be read.
    """
    found: dict[str, Callable[[Told], None]] = {}
    if settings.smtp_host and settings.alarm_mail_to:
        if settings.smtp_user and not (settings.smtp_tls or settings.smtp_starttls):
            raise SettingsError(path="receiver.toml", key="smtp_user", cause="TLS")
        tls.public_context(settings.alarm_ca)  # said at the start, not at the first alarm
        found["mail"] = lambda told: mail(settings, told)
    if settings.alarm_webhook:
        address = urllib.parse.urlsplit(settings.alarm_webhook)
        near = address.hostname in ("localhost", "127.0.0.1", "::1")
        if address.scheme != "https" and not (address.scheme == "http" and near):
            cause = "https"
            raise SettingsError(path="receiver.toml", key="alarm_webhook", cause=cause)
        tls.public_context(settings.alarm_ca)
        key = webhook_key(data)
        found["webhook"] = lambda told: webhook(settings, told, key)
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
    """Hand the mail to the site's server; raises what :mod:`smtplib` does.

    A server that cannot do what is set (STARTTLS, sign-in) gets nothing.
    """
    context = tls.public_context(settings.alarm_ca)
    where = settings.smtp_host, settings.smtp_port
    with (
        smtplib.SMTP_SSL(*where, timeout=TIMEOUT, context=context)
        if settings.smtp_tls
        else smtplib.SMTP(*where, timeout=TIMEOUT) as server
    ):
        if settings.smtp_starttls and not settings.smtp_tls:
            server.starttls(context=context)
        if settings.smtp_user:
            password = Path(settings.smtp_password_file).read_text("utf-8").strip()
            server.login(settings.smtp_user, password)
        server.send_message(message(settings, told))


def webhook_key(data: Path) -> bytes:
    """Return the key that webhooks are signed with; made where there is none.

    Raises
    ------
    SettingsError
        The file holds none.
    """
    path = data / KEY_FILE
    if not path.exists():
        made = KEY_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode("ascii")
        durable.save(path, made.encode("ascii"), private=True)
    try:
        text = path.read_text("ascii").strip()
        key = base64.b64decode(text.removeprefix(KEY_PREFIX), validate=True)
    except (OSError, ValueError) as failure:
        raise SettingsError(path=path, key="key", cause=type(failure).__name__) from failure
    if not text.startswith(KEY_PREFIX) or len(key) < 24:
        raise SettingsError(path=path, key="key", cause=KEY_PREFIX)
    return key


def signature(key: bytes, number: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers that sign a webhook (Standard Webhooks 1.0, HMAC-SHA256).

    Parameters
    ----------
    number : str
        Of the message, the same at every try.
    at : int
        Seconds since 1970, of this try.
    """
    mac = hmac.new(key, f"{number}.{at}.".encode("ascii") + body, hashlib.sha256).digest()
    return {
        "webhook-id": number,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(mac).decode('ascii')}",
    }


def webhook(settings: ReadingRoom, told: Told, key: bytes) -> None:
    """Post ``{"event", "study", "minutes"}``, signed; raises what httpx does, and for a refusal."""
    import httpx  # of megabytes, for who has set a webhook

    said = {"event": "urgent-unopened", "study": told.study, "minutes": told.minutes}
    body = json.dumps(said).encode("ascii")
    signed = signature(key, told.number or secrets.token_hex(16), int(time.time()), body)
    context = tls.public_context(settings.alarm_ca)
    with httpx.Client(
        timeout=TIMEOUT, trust_env=False, follow_redirects=False, verify=context
    ) as client:
        answer = client.post(
            settings.alarm_webhook,
            content=body,
            headers={"Content-Type": "application/json", **signed},
        )
        answer.raise_for_status()
