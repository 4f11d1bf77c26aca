"""What a rule set of direct transmission is made of; the sets themselves: :mod:`sender.rules`.

Each rule has outcomes; an outcome has the result that it means in each of the two sets
(radiology: Q13; pathology: Q1 and Q7) and its words.  What fires an outcome is looked up
by :mod:`sender.judging`.
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


def outcome(
    radiology: Result,
    pathology: Result | None,
    ja: str,
    en: str,
    *,
    confirmable: bool = False,
) -> Outcome:
    """Return a row of a rule; without a result of its own, pathology has that of radiology."""
    results: dict[SetName, Result] = {
        "radiology": radiology,
        "pathology": pathology or radiology,
    }
    return Outcome(Words(ja, en), results, confirmable)


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
    r"""One edition of the rules.

    Attributes
    ----------
    basis : Words
        The official text that the rules were read out of.
    grades : dict
        Words of the ingest grades.
    acquired : dict
        Per set, SOP classes that devices of its field make.
    primary : frozenset of str
        Those of them that may be DERIVED and yet a direct result of the examination, which
        is what value 2 PRIMARY says (PS3.3 C.7.6.1.1.2): projections made for presentation,
        reconstructions of nuclear medicine, slides that a scanner's software writes.
    secondary : frozenset of str
        Further values of Image Type that make an image no acquired one.
    attached : frozenset of str
        Those that make it an accessory.
    accessory, derived : frozenset of str
        SOP classes that are attached, and those that are computed from images.
    pathology : frozenset of str
        SOP classes that make a study one of pathology.
    photographs : frozenset of str
        SOP classes of a camera held in front of something.
    plausible : dict
        By SOP class.
    enhanced : frozenset of str
        CT and MR whose attributes stand in functional groups: only samples and bits tell.
    conversions : dict
        Outcome of R2 by Conversion Type (PS3.3 C.8.6.1).
    lossy, maybe_lossy : frozenset of str
        Transfer syntaxes that lose, and those that may.
    grabbers : tuple of str
        Words in the names of makers of capture devices.
    """

    name: str
    basis: Words
    rules: tuple[Rule, ...]
    grades: Mapping[Grade, Words]
    acquired: Mapping[SetName, frozenset[str]]
    primary: frozenset[str]
    secondary: frozenset[str]
    attached: frozenset[str]
    accessory: frozenset[str]
    derived: frozenset[str]
    pathology: frozenset[str]
    photographs: frozenset[str]
    plausible: Mapping[str, Plausibility]
    enhanced: frozenset[str]
    conversions: Mapping[str, str]
    lossy: frozenset[str]
    maybe_lossy: frozenset[str]
    grabbers: tuple[str, ...]
    _by_id: dict[str, Rule] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._by_id.update({rule.id: rule for rule in self.rules})

    def rule(self, name: str) -> Rule:
        """Return a rule by its id."""
        return self._by_id[name]
