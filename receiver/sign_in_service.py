"""The sign-in service of a receiver, as its settings and its secret say."""

from __future__ import annotations

from pathlib import Path

from common.errors import SettingsError
from common.settings import Receiver
from common.web.oidc_provider import Service

SECRET = "oidc-secret"  # noqa: S105 - the name of its file in the data folder


def of(settings: Receiver, data: Path) -> Service | None:
    """Return what is agreed with the service, None where there is none.

    Parameters
    ----------
    data : Path
        Data folder of the receiver.

    Raises
    ------
    SettingsError
        Something of it is missing, or cannot be read.
    """
    if not settings.oidc_issuer:
        return None
    place = data / f"{settings.room}.toml"
    if not settings.oidc_client_id:
        raise SettingsError(path=place, key="oidc_client_id", cause="空 / empty")
    authority = ""
    if settings.oidc_ca:
        try:
            authority = Path(settings.oidc_ca).read_text("ascii")
        except (OSError, ValueError) as failure:
            cause = type(failure).__name__
            raise SettingsError(path=place, key="oidc_ca", cause=cause) from failure
    secret = data / SECRET
    roles = {
        **dict.fromkeys(settings.oidc_readers, "reader"),
        **dict.fromkeys(settings.oidc_administrators, "administrator"),
        **dict.fromkeys(settings.oidc_auditors, "auditor"),
    }
    many = (*settings.oidc_readers, *settings.oidc_administrators, *settings.oidc_auditors)
    if len(set(many)) != len(many):
        raise SettingsError(path=place, key="oidc_readers", cause="1つの値に2つの役割 / two roles")
    return Service(
        settings.oidc_issuer,
        settings.oidc_client_id,
        secret.read_text("utf-8").strip() if secret.exists() else "",
        authority,
        settings.oidc_name_claim,
        settings.oidc_role_claim,
        roles,
        settings.oidc_acr,
    )
