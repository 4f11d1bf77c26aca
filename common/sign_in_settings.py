"""Settings of signing in through the hospital's own service (OpenID Connect)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from common.setting_options import option

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def check_issuer(value: str) -> str | None:
    """Say what is wrong with the address of a sign-in service, or None."""
    if not value:
        return None
    parts = urlsplit(value)
    plain = parts.scheme == "http" and parts.hostname in LOOPBACK  # for trials on one machine
    if not (parts.scheme == "https" or plain) or not parts.hostname:
        return "https://..."
    return "?, #" if parts.query or parts.fragment else None


@dataclass(frozen=True)
class SignInService:
    """The part of a receiver's settings that says through which service people sign in."""

    oidc_issuer: str = option(
        "",
        "病院の認証サービス (OpenID Connect) のアドレス。空なら使わない",
        "Address of the hospital's sign-in service (OpenID Connect issuer); empty: none",
        check_issuer,
    )
    oidc_client_id: str = option(
        "", "そこでのこの受信側の名前 (client_id)", "Name of this receiver there (client_id)"
    )
    oidc_label: str = option(
        "病院のアカウント",
        "サインイン画面のボタンの語",
        "Words of the button on the sign-in page",
    )
    oidc_ca: str = option(
        "",
        "その証明書を確かめるCA (PEM)。空なら、このマシンが信頼するもの",
        "CA (PEM) that its certificate has to come from; empty: what this machine trusts",
    )
    oidc_name_claim: str = option(
        "preferred_username",
        "利用者名になるクレーム。点は中の項目 (例 a.b)",
        "Claim that becomes the account's name; a dot leads into an object",
    )
    oidc_role_claim: str = option(
        "roles",
        "役割を決めるクレーム。点は中の項目 (例 realm_access.roles)",
        "Claim that gives the role; a dot leads into an object (realm_access.roles)",
    )
    oidc_readers: tuple[str, ...] = option(
        (),
        "そのうち読影医・病理医になる値。3つとも空なら、結び付けた利用者だけが入れる",
        "Values of it that make a reader; with none for any role, only linked accounts get in",
    )
    oidc_administrators: tuple[str, ...] = option(
        (), "管理者になる値", "Values that make an administrator"
    )
    oidc_auditors: tuple[str, ...] = option((), "監査者になる値", "Values that make an auditor")
    oidc_acr: tuple[str, ...] = option(
        (),
        "二要素認証とみなす acr の値。ほかに amr の mfa。どちらもなければ二要素目はここで求める",
        "Values of acr that stand for two factors, besides mfa in amr; else the second is"
        " asked for here",
    )
