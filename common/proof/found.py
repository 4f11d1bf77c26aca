"""What a check of records found, as a verb tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from common import console
from common.errors import IntegrityError
from common.proof.ledger import Finding


def tell(found: Sequence[Finding], count: int, *, as_json: bool) -> None:
    """Tell what a check found; exit with the code of differing data if it found anything.

    Parameters
    ----------
    count : int
        Records that were looked at.
    """
    if as_json:
        console.emit({"records": count, "findings": [asdict(one) for one in found]})
    for one in found:
        console.say(f"{one.partner}: {one.ja}", f"{one.partner}: {one.en}")
    if found:
        raise SystemExit(IntegrityError.exit_code)
    console.say(
        f"{count} 件の記録に欠けと書き換えはありません",
        f"{count} records, none missing, none edited",
    )
