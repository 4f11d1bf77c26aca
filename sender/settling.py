"""Settles what the way decides, when a transfer has ended: rules R7, R10 and R12.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sender.judging import Judgement, changed


@dataclass(frozen=True, slots=True)
class TransferFacts:
    """What is known of a transfer's way, once it has ended.

    Attributes
    ----------
    delivered : bool
        The receiver acknowledged every instance.
    compressed, lossy : int
        Instances that travelled in another transfer syntax, and in one that loses.
    samples_equal : bool or None
        D3 of the compressed ones is equal at both ends; None where it is not known.
    receipt : bool or None
        A signed receipt agrees with the closing, or differs; None where there is none.
    signs : bool
        The partner is a product that signs receipts.
    screen : bool
        Nothing but rendered frames went to the other end.
    """

    delivered: bool = False
    compressed: int = 0
    lossy: int = 0
    samples_equal: bool | None = None
    receipt: bool | None = None
    signs: bool = True
    screen: bool = False


def settle(judgement: Judgement, facts: TransferFacts) -> Judgement:
    """Return the judgement with the rules that the way decides: R7, R10 and R12."""
    codes = {"R7": _transcoding(facts), "R10": _receipt(facts), "R12": "open"}
    if facts.screen:
        codes["R12"] = "screen"
    elif facts.delivered:
        codes["R12"] = "data"
    return changed(judgement, codes)


def _transcoding(facts: TransferFacts) -> str:
    if facts.lossy:
        return "lossy"
    if facts.compressed:
        known = {True: "lossless", False: "unequal", None: "unproven"}
        return known[facts.samples_equal]
    return "as-it-was" if facts.delivered else "open"


def _receipt(facts: TransferFacts) -> str:
    if facts.receipt is not None:
        return "receipt" if facts.receipt else "mismatch"
    return "open" if facts.signs else "none"
