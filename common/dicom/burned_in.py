"""Whether an image may show a name in its pixels (rule R8: of privacy, not of directness)."""

from __future__ import annotations

from typing import Any

DECLARED, UNKNOWN = "burned-in", "maybe-burned-in"
#: Secondary Capture and its multi-frame forms (PS3.4 annex B.5).
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def finding(sop_class: str, burned_in: Any) -> str | None:
    """Return what there is to note of an image: DECLARED, UNKNOWN or nothing.

    Parameters
    ----------
    burned_in : str or None
        Burned In Annotation (0028,0301), which PS3.3 C.7.6.1 has as optional.
    """
    said = str(burned_in or "").strip().upper()
    if said == "YES":
        return DECLARED
    captured = sop_class == SECONDARY_CAPTURE or sop_class.startswith(f"{SECONDARY_CAPTURE}.")
    return UNKNOWN if captured and said != "NO" else None
