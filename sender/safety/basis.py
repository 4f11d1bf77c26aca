"""On what legal basis a transmission rests: recorded with each, never asked of a machine.

PRI-01: the guidance on personal information for medical care (個人情報ガイダンス)
takes what is posted in the hospital as implied consent for 連携 and 意見・助言; a
patient's explicit consent is recorded where it was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.errors import UsageError
from common.settings import Sender

#: By code (:data:`common.setting_checks.LEGAL_BASES`): words in Japanese and English.
BASES = {
    "posted": (
        "院内掲示による黙示の同意",
        "consent implied by what is posted in the hospital",
    ),
    "explicit": ("本人の明示の同意", "the patient's explicit consent"),
    "emergency": (
        "人の生命・身体の保護のため (同意を得ることが困難)",
        "protection of life or body, where consent is hard to obtain",
    ),
    "law": ("法令に基づく", "required by law"),
}
#: Key of a job's options.
OPTION = "basis"


def basis(settings: Sender, options: Mapping[str, Any]) -> dict[str, str]:
    """Return the basis of a job's transmissions.

    Parameters
    ----------
    settings : Sender
        Its `legal_basis` holds where the job says nothing else.
    options : mapping
        The job's; ``basis`` is a code of :data:`BASES`.

    Returns
    -------
    dict
        ``code``, ``ja``, ``en``, and ``by``: the ``site`` or this ``job`` decided.

    Raises
    ------
    UsageError
        The code is unknown.
    """
    given = options.get(OPTION)
    code = check(str(given or settings.legal_basis))
    ja, en = BASES[code]
    return {"code": code, "ja": ja, "en": en, "by": "job" if given else "site"}


def check(code: str) -> str:
    """Return a code of :data:`BASES`.

    Raises
    ------
    UsageError
        It is none.
    """
    if code not in BASES:
        raise UsageError(cause=f"basis {code}: {' | '.join(BASES)}")
    return code
