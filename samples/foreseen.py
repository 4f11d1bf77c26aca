"""What is expected of a forged case, in words."""

from __future__ import annotations

from typing import Any, Final

RESULTS: Final = {"warn": ("注意", "warns"), "fail": ("不合格", "fails")}
#: (fit, goes) -> words.
FATES: Final = {
    (True, True): ("直接伝送として送る", "goes as direct"),
    (True, False): ("正しいが、直接伝送としては送らない", "right, but does not go as direct"),
    (False, False): ("直接伝送としては送らない", "does not go as direct"),
    (False, True): ("見抜けない: 直接伝送として送る", "not found out: goes as direct"),
}


def foreseen(expected: dict[str, Any]) -> tuple[str, str]:
    """Return an expectation, as the list has it, in Japanese and English.

    Parameters
    ----------
    expected
        See :meth:`samples.forged.case.Expected.to_json`.
    """
    ja, en = FATES[expected["fit"], expected["goes"]]
    words = [(f"{rule} {RESULTS[result][0]}", f"{rule} {RESULTS[result][1]}")
             for rule, result in expected["rules"].items()]  # fmt: skip
    words += [(check, check) for check in expected["checks"]]
    if not words:
        return ja, en
    return f"{ja} ({'、'.join(w for w, _ in words)})", f"{en} ({', '.join(w for _, w in words)})"
