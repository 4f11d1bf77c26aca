"""What a case is, and what the rules are to say of it: data, compared in the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from samples.names import TAKAHASHI, Patient
from samples.study import Study

RULE_SET: Final = "qa-v2"
"""The rules that the expectations are written for."""
GRADE: Final = "A"
"""How every case is thought to come in: by C-STORE from a registered modality (DIR-01).
So what is expected is owed to the object alone, not to its path."""

Result = Literal["warn", "fail"]
Files = Iterator[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Expected:
    """What is true of a case, and what is found out.

    Attributes
    ----------
    fit
        Whether it may go as it is, as image data that was transmitted directly.
    goes
        Whether the rules and checks let it.  Not fit, but let go: nothing catches it (DIR-14).
    rules
        Those of R1 to R12 that warn or fail, under the set that the study falls under:
        pathology where a microscope took it, else radiology.
    checks
        Requirements (DAT-xx, CHR-xx) whose check speaks up.
    radiology
        Whether it would go under the set of radiology, where it falls under the other (DIR-05).
    """

    fit: bool
    goes: bool
    rules: dict[str, Result] = field(default_factory=dict)
    checks: tuple[str, ...] = ()
    radiology: bool | None = None

    @property
    def missed(self) -> bool:
        """Whether it is not fit and yet goes."""
        return self.goes and not self.fit

    def to_json(self) -> dict[str, Any]:
        """Return it for the list that `todoke samples make --json` prints."""
        return {
            "rule_set": RULE_SET,
            "grade": GRADE,
            "fit": self.fit,
            "goes": self.goes,
            "rules": dict(self.rules),
            "checks": list(self.checks),
            "radiology": self.radiology,
            "missed": self.missed,
        }


@dataclass(frozen=True, slots=True)
class Case:
    """One case: its folder's name, what is the matter in words, what writes it, what finds it.

    Attributes
    ----------
    size
        Number of slices of the study.
    patient
        Whose study it is; of those with two patients, one of them.
    """

    name: str
    ja: str
    en: str
    files: Callable[[Study], Files]
    expected: Expected
    size: int = 1
    patient: Patient = TAKAHASHI


def right(*checks: str, radiology: bool | None = None, **rules: Result) -> Expected:
    """Return what is expected of a case that is fit, and goes."""
    return Expected(True, True, rules, checks, radiology)


def caught(*checks: str, **rules: Result) -> Expected:
    """Return what is expected of a case that is not fit, and does not go as direct."""
    return Expected(False, False, rules, checks)


def missed(*checks: str, **rules: Result) -> Expected:
    """Return what is expected of a case that is not fit, and goes: at most it is warned of."""
    return Expected(False, True, rules, checks)
