"""The rules of direct transmission as data: rule set ``qa-v2``, read out of Q&A 第2版 of MHLW.

Each rule has outcomes; an outcome has the result that it means in each of the two sets
(radiology: Q13; pathology: Q1 and Q7) and its words.  What fires an outcome is looked up
by :mod:`sender.judging`, which knows no rule set.  A later edition of the Q&A is another
:class:`RuleSet` here; what was judged by this one keeps its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

SetName = Literal["radiology", "pathology"]
Result = Literal["pass", "warn", "fail", "open", "not applicable"]
Role = Literal["acquired", "accompanying", "accessory", "non-image"]
Grade = Literal["A", "B", "C", "D", "E"]
SETS: tuple[SetName, ...] = get_args(SetName)
RESULTS: tuple[Result, ...] = get_args(Result)
ROLES: tuple[Role, ...] = get_args(Role)
#: From the mildest to what decides.
WORST: tuple[Result, ...] = ("not applicable", "pass", "open", "warn", "fail")

_ROOT = "1.2.840.10008.5.1.4.1.1."


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence in both languages."""

    ja: str
    en: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """One thing that a rule may find.

    Attributes
    ----------
    results : dict
        What it means in each set.
    confirmable : bool
        It rests on a guess, so that a named person may say that the images are direct
        all the same (DIR-16).
    """

    words: Words
    results: Mapping[SetName, Result]
    confirmable: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule with what it may find, by code."""

    id: str
    title: Words
    outcomes: Mapping[str, Outcome]


@dataclass(frozen=True, slots=True)
class Plausibility:
    """What images of a SOP class have when a scanner made them (R4).

    Attributes
    ----------
    scored : tuple of tuple of str
        One point for each group of which an attribute is there.
    enough : int
        Points from which nothing is said.
    needs : str
        Attribute that the IOD requires (type 1): with eight bits, its absence says
        that a window has been applied.
    """

    scored: tuple[tuple[str, ...], ...]
    enough: int
    needs: str = ""


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One edition of the rules.

    Attributes
    ----------
    basis : Words
        The official text that the rules were read out of.
    acquired : dict
        Per set, SOP classes that devices of that field make.
    projections : frozenset
        Those of them that are DERIVED when they are made for presentation, and yet
        come straight from the device (PS3.3 C.8.11.3.1.? Image Type value 2 PRIMARY).
    accessory, derived : frozenset
        SOP classes that are attached, and those that are computed from images.
    """

    name: str
    basis: Words
    rules: tuple[Rule, ...]
    grades: Mapping[Grade, Words]
    acquired: Mapping[SetName, frozenset[str]]
    projections: frozenset[str]
    accessory: frozenset[str]
    derived: frozenset[str]
    pathology: frozenset[str]
    photographs: frozenset[str]
    plausible: Mapping[str, Plausibility]
    conversions: Mapping[str, str]
    grabbers: tuple[str, ...]
    _by_id: dict[str, Rule] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._by_id.update({rule.id: rule for rule in self.rules})

    def rule(self, name: str) -> Rule:
        """Return a rule by its id."""
        return self._by_id[name]
