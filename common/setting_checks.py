"""What a value of the settings may be: each check says what is wrong, or nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from common.tls import PROFILES

Check = Callable[[Any], str | None]
#: Codes of what a transmission may rest on; their words stand in `sender.safety.basis`.
LEGAL_BASES = ("posted", "explicit", "emergency", "law")


def check_port(value: int) -> str | None:
    """Say what is wrong with a port, or None."""
    return None if 0 <= value <= 65535 else "0-65535"


def check_profile(value: str) -> str | None:
    """Say what is wrong with a TLS profile, or None."""
    return None if value in PROFILES else " | ".join(PROFILES)


def check_associations(value: int) -> str | None:
    """Say what is wrong with a number of parallel associations, or None."""
    return None if 1 <= value <= 16 else "1-16"


def check_positive(value: int) -> str | None:
    """Say what is wrong with a number above nothing, or None."""
    return None if value > 0 else "> 0"


def check_aet(value: str) -> str | None:
    """Say what is wrong with an AE title (PS3.5 section 6.2, VR AE), or None."""
    fine = re.fullmatch(r"[\x20-\x5b\x5d-\x7e]{1,16}", value) and value == value.strip()
    return None if fine else "AE: 1-16 ASCII"


def check_not_negative(value: int) -> str | None:
    """Say what is wrong with a number, or None."""
    return None if value >= 0 else "0以上 / 0 or more"


def check_years(value: int) -> str | None:
    """Say what is wrong with the years of retention (AUD-09), or None."""
    return None if 5 <= value <= 100 else "5-100"


def check_compression(value: str) -> str | None:
    """Say what is wrong with a way of compressing, or None."""
    names = "auto", "off", "htj2k", "jpegls"
    return None if value in names else " / ".join(names)


def check_legal_basis(value: str) -> str | None:
    """Say what is wrong with the code of a legal basis (PRI-01), or None."""
    return None if value in LEGAL_BASES else " | ".join(LEGAL_BASES)


def check_aet_or_derived(value: str) -> str | None:
    """Say what is wrong with an AE title, empty where it is derived, or None."""
    return check_aet(value) if value else None


def check_named_interface(value: str) -> str | None:
    """Say what is wrong with an address to listen on, or None."""
    # modalities speak without TLS: never on every interface, one of which may be the WAN (NET-10)
    if value in {"0.0.0.0", "::", "*"}:  # noqa: S104 - refused here
        return (
            "LAN側のアドレスを1つ書いてください / one address of the LAN side, not every interface"
        )
    return None


def check_classes(value: tuple[str, ...]) -> str | None:
    """Say what is wrong with a list of SOP classes, or None."""
    from common.dicom import uids  # it looks up our version: only where the option is used

    wrong = [one for one in value if not uids.is_other_class(one)]
    return f"{', '.join(wrong)}: UID, UID." if wrong else None


def check_case_from(value: str) -> str | None:
    """Say what is wrong with the way in which slides are put into cases, or None."""
    if value in {"sidecar", "folder"}:
        return None
    try:
        if value.startswith("name:") and re.compile(value.removeprefix("name:")).groups <= 1:
            return None
    except re.error as failure:
        return str(failure)
    return "sidecar | folder | name:REGEX"
