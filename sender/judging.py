"""Judges by a rule set what is about to be sent: roles of instances, results of rules, direct.

Pure: no file, clock, disk or network.  What the rules are stands in :mod:`sender.rules`.

A judgement is a JSON object and holds no patient data: ``rule_set``, ``set``, ``grade``,
``direct`` (true, false, or null where nothing shows it), ``roles`` (instances of each),
``rules`` (every rule with ``id``, ``result``, words, ``count`` and ``codes``), ``as``,
``released``, ``basis`` (what decided, with its code) and ``ingest`` (how it came in).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from common.dicom import uids
from sender.facts import Facts
from sender.rule_kinds import ROLES, WORST, Grade, Result, Role, Rule, RuleSet, SetName, Words
from sender.rules import CURRENT, RULE_SETS

Judgement = dict[str, Any]
_FAILING = frozenset({"video", "film", "scan", "drawing"})  # codes of R2
_OTHERWISE = {"R2": "none", "R4": "none", "R5": "none", "R6": "lossless", "R8": "none"}


@dataclass(frozen=True, slots=True)
class Ingest:
    """How a transfer's files came in (P1, DIR-01).

    Attributes
    ----------
    channel : str
        ``modality``, ``archive``, ``scanner``, ``folder`` or ``import``.
    aet, implementation_class_uid, implementation_version : str
        Of the device that sent them.
    attested_by : str
        Who says where imported files are from.
    """

    grade: Grade
    channel: str
    aet: str = ""
    implementation_class_uid: str = ""
    implementation_version: str = ""
    attested_by: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """What a site has decided for itself.

    Attributes
    ----------
    lossy_ratio : int
        Up to which ratio lossy CT and MR are direct; 0 for none.
    hold_unattested : bool
        Imports that nobody attests are held.
    accept_equal : bool
        A partner with one's own institution code is not refused.
    """

    lossy_ratio: int = 0
    hold_unattested: bool = False
    accept_equal: bool = False


@dataclass(frozen=True, slots=True)
class Ends:
    """Institution codes of both ends; the partner's None where it is not registered."""

    own: str
    partner: str | None


def set_of(kinds: Mapping[Facts, int], rules: RuleSet = CURRENT) -> SetName:
    """Return by which set a transfer is judged: pathology where a microscope's image is there."""
    microscope = any(
        one.sop_class in rules.pathology or one.modality in {"SM", "GM"} for one in kinds
    )
    return "pathology" if microscope else "radiology"


def role_of(facts: Facts, of: SetName, rules: RuleSet = CURRENT) -> Role:
    """Return what an instance is among those of its study (DIR-02)."""
    kind = facts.sop_class
    if kind not in rules.acquired[of]:
        if kind in rules.accessory or kind in rules.pathology:
            return "accessory"
        if kind in rules.derived or (kind not in uids.STORAGE_CLASSES and facts.pixels):
            return "accompanying"
        return "non-image"
    if rules.attached & set(facts.image_type):
        return "accessory"
    if of == "radiology" and (_conversion(facts, rules) in _FAILING or _captured(facts, rules)):
        return "accessory"  # a device's SOP class around a captured picture
    first, second = (*facts.image_type, "", "")[:2]
    if second == "SECONDARY" or rules.secondary & set(facts.image_type):
        return "accompanying"
    if first == "DERIVED" and not (kind in rules.primary and second == "PRIMARY"):
        return "accompanying"
    return "acquired"


def judge(
    kinds: Mapping[Facts, int],
    ingest: Ingest,
    site: Site = Site(),
    ends: Ends | None = None,
    *,
    of: SetName | None = None,
    prior: bool = False,
    joins: bool = False,
    rules: RuleSet = CURRENT,
) -> Judgement:
    """Judge what one transfer holds, before it is sent.

    Parameters
    ----------
    kinds : mapping
        How many of its instances have the same facts.
    ends : Ends, optional
        None while no partner is chosen.
    of : {'radiology', 'pathology'}, optional
        The set, where it is known from something else than the instances.
    prior : bool
        Sent as a prior study, for comparison (過去画像).
    joins : bool
        Acquired images of the same study went to the same partner before.
    """
    of = of or set_of(kinds, rules)
    found: dict[str, Counter[str]] = {rule.id: Counter() for rule in rules.rules}
    roles: Counter[Role] = Counter()
    for facts, count in kinds.items():
        role = role_of(facts, of, rules)
        roles[role] += count
        for rule, code in _of_instance(facts, role, of, site, rules):
            code = "prior" if prior and code in _FAILING else code
            found[rule][code] += count
    total = roles.total()
    for rule, code in _of_study(kinds, roles, of, joins, rules):
        found[rule][code] += total
    found["R9"][_path(ingest.grade, site)] += total
    found["R11"][_ends(ends, site)] += total
    for rule in ("R7", "R10", "R12"):
        found[rule]["open"] += total
    for rule, code in _OTHERWISE.items():
        if not found[rule]:
            found[rule][code] = 0
    judgement: Judgement = {
        "rule_set": rules.name,
        "set": of,
        "grade": ingest.grade,
        "direct": None,
        "roles": {role: roles[role] for role in ROLES},
        "rules": [_result(rule, found[rule.id], of) for rule in rules.rules],
        "as": "direct",
        "released": None,
        "basis": {},
        "ingest": {key: value for key, value in asdict(ingest).items() if value},
    }
    return _decided(judgement)


# -- one instance ---------------------------------------------------------------


def _of_instance(
    facts: Facts, role: Role, of: SetName, site: Site, rules: RuleSet
) -> Iterator[tuple[str, str]]:
    if role in ("acquired", "accessory"):
        yield "R1", role
    elif facts.sop_class not in uids.STORAGE_CLASSES:
        yield "R1", "unknown"
    yield "R2", _conversion(facts, rules)
    if role == "acquired":
        yield "R3", "original" if facts.image_type else "absent"
    elif role == "accompanying":
        yield "R3", "derived"
    if facts.sop_class in rules.plausible or facts.sop_class in rules.enhanced:
        yield "R4", _plausible(facts, rules)
    if facts.exif:
        yield "R5", "exif"
    if lossy := _lossy(facts, of, site, rules):
        yield "R6", lossy
    if facts.burned_in == "YES":
        yield "R8", "burned"
    elif not facts.burned_in and role == "accessory" and facts.pixels:
        yield "R8", "unknown"
    if _captured(facts, rules):
        yield "R9", "captured"


def _conversion(facts: Facts, rules: RuleSet) -> str:
    code = rules.conversions.get(facts.conversion, "other")
    if code in _FAILING and facts.sop_class in rules.plausible:
        # the attribute belongs to secondary capture; some CT scanners write it all the same
        return "unlikely" if _plausible(facts, rules) == "plausible" else code
    return code


def _captured(facts: Facts, rules: RuleSet) -> bool:
    made = " ".join(facts.manufacturers).lower()
    return bool(facts.video_format) or any(word in made for word in rules.grabbers)


def _plausible(facts: Facts, rules: RuleSet) -> str:
    if facts.samples > 1:
        return "colour"
    eight = 0 < facts.bits <= 8
    if facts.sop_class in rules.enhanced:
        return "eight-bits" if eight else "plausible"
    expected = rules.plausible[facts.sop_class]
    points = sum(any(name in facts.has for name in group) for group in expected.scored)
    few = points < expected.enough
    if eight and (few or (expected.needs and expected.needs not in facts.has)):
        return "windowed"
    if eight:
        return "eight-bits"
    return "sparse" if few else "plausible"


def _lossy(facts: Facts, of: SetName, site: Site, rules: RuleSet) -> str:
    if facts.recoded:
        return "recoded"
    flagged, loses = facts.lossy == "01", facts.transfer_syntax in rules.lossy
    strict = of == "radiology" and (
        facts.sop_class in rules.plausible or facts.sop_class in rules.enhanced
    )
    if not strict:
        return "native" if flagged or loses or facts.irreversible else ""
    if flagged:
        accepted = 0 < facts.ratio <= site.lossy_ratio
        return "accepted" if accepted else "lossy"
    if loses:
        return "unflagged"
    if facts.irreversible:
        return "irreversible"
    return "unclear" if facts.transfer_syntax in rules.maybe_lossy and not facts.lossy else ""


# -- the study, its path and its ends -------------------------------------------


def _of_study(
    kinds: Mapping[Facts, int], roles: Mapping[Role, int], of: SetName, joins: bool, rules: RuleSet
) -> Iterator[tuple[str, str]]:
    if roles["acquired"]:
        return
    if joins:
        yield "R3", "joined"
    elif roles["accompanying"]:
        yield "R3", "none-acquired"
    elif not roles["accessory"]:
        yield "R1", "no-image"
    elif of == "pathology":
        yield "R1", "attached"
    else:
        accessories = [one for one in kinds if role_of(one, of, rules) == "accessory"]
        camera = all(one.sop_class in rules.photographs for one in accessories)
        yield "R1", "only-photograph" if camera else "only-accessory"


def _path(grade: Grade, site: Site) -> str:
    if grade == "E":
        return "refused" if site.hold_unattested else "unattested"
    return "attested" if grade == "D" else "path"


def _ends(ends: Ends | None, site: Site) -> str:
    if ends is None:
        return "open"
    if ends.partner is None:
        return "unknown"
    if ends.partner == ends.own:
        return "equal-accepted" if site.accept_equal else "equal"
    return "other"


# -- results --------------------------------------------------------------------


def _result(rule: Rule, codes: Mapping[str, int], of: SetName) -> dict[str, Any]:
    """Return what is kept of one rule: the worst result, in the words of each that led to it."""

    def weight(code: str) -> int:
        return WORST.index(rule.outcomes[code].results[of])

    ordered = sorted(codes, key=weight, reverse=True)
    result: Result = rule.outcomes[ordered[0]].results[of] if ordered else "not applicable"
    said = [rule.outcomes[code].words for code in ordered]
    deciding = [code for code in ordered if weight(code) == weight(ordered[0])]
    return {
        "id": rule.id,
        "result": result,
        "ja": "。".join(one.ja for one in said),
        "en": ". ".join(one.en for one in said),
        "count": max((codes[code] for code in deciding), default=0),
        "codes": {code: codes[code] for code in ordered},
    }


def _decided(judgement: Judgement) -> Judgement:
    """Return a judgement with what follows from its rules: direct, and what decided."""
    failing = [row for row in judgement["rules"] if row["result"] == "fail"]
    direct: bool | None = True
    words = Words("この規則に反するものはありません", "Nothing was found that speaks against it")
    code = "direct"
    if failing:
        direct, code = False, f"{failing[0]['id']}:{next(iter(failing[0]['codes']))}"
        words = _first_words(judgement, failing[0])
    elif undecided := _undecided(judgement):
        direct, code = None, f"{undecided['id']}:{next(iter(undecided['codes']))}"
        words = _first_words(judgement, undecided)
    if judgement["as"] == "direct" and judgement["released"] and direct is False:
        # a person has confirmed what rests on guesses, and on them alone
        direct = confirmable(judgement)
    basis = {"ja": words.ja, "en": words.en, "code": code}
    return {**judgement, "direct": direct, "basis": basis}


def _undecided(judgement: Judgement) -> dict[str, Any] | None:
    """Return the rule that leaves open whether it is direct, if one does."""
    rows: dict[str, dict[str, Any]] = {row["id"]: row for row in judgement["rules"]}
    if "unattested" in rows["R9"]["codes"]:
        return rows["R9"]
    if not judgement["roles"]["acquired"]:
        return rows["R3"] if {"none-acquired", "joined"} & set(rows["R3"]["codes"]) else rows["R1"]
    return None


def _first_words(judgement: Judgement, row: Mapping[str, Any]) -> Words:
    rule = RULE_SETS[judgement["rule_set"]].rule(row["id"])
    return rule.outcomes[next(iter(row["codes"]))].words


def confirmable(judgement: Judgement) -> bool:
    """Whether what fails rests on guesses alone, so that a named person may confirm it."""
    rules, of = RULE_SETS[judgement["rule_set"]], judgement["set"]
    failing = [
        rules.rule(row["id"]).outcomes[code]
        for row in judgement["rules"]
        for code in row["codes"]
        if rules.rule(row["id"]).outcomes[code].results[of] == "fail"
    ]
    return bool(failing) and all(outcome.confirmable for outcome in failing)


def holds(judgement: Judgement) -> bool:
    """Whether a transfer must not go as it is judged now."""
    return judgement["direct"] is False and judgement["as"] == "direct"


def why(judgement: Judgement) -> dict[str, str]:
    """Return what decided, as the facts of :class:`common.errors.NotDirect`."""
    return {"why_ja": judgement["basis"]["ja"], "why_en": judgement["basis"]["en"]}


# -- later ----------------------------------------------------------------------


def changed(judgement: Judgement, codes: Mapping[str, str]) -> Judgement:
    """Return a judgement in which rules have other outcomes, by rule id."""
    known = RULE_SETS[judgement["rule_set"]]
    total = sum(judgement["roles"].values())
    rows = [
        _result(known.rule(row["id"]), {codes[row["id"]]: total}, judgement["set"])
        if row["id"] in codes
        else row
        for row in judgement["rules"]
    ]
    return _decided({**judgement, "rules": rows})


def towards(judgement: Judgement, ends: Ends, site: Site) -> Judgement:
    """Return the judgement for a partner that was chosen later (R11)."""
    return changed(judgement, {"R11": _ends(ends, site)})


def released(judgement: Judgement, way: str, by: str, reason: str, at: str) -> Judgement:
    """Return the judgement of what a person lets go (DIR-04, DIR-16).

    Parameters
    ----------
    way : {'reference', 'direct'}
        As 参考, or confirmed where :func:`confirmable`.
    """
    who = {"by": by, "reason": reason, "at": at}
    return _decided({**judgement, "as": way, "released": who})


def words_of(judgement: Judgement) -> Words:
    """Return a judgement in a line for a person."""
    if not judgement:
        return Words("", "")
    grade, basis = judgement["grade"], judgement["basis"]
    if judgement["as"] == "reference":
        who = judgement["released"]["by"]
        return Words(
            f"参考として送信 ({who})、等級{grade}: {basis['ja']}",
            f"Sent as reference ({who}), grade {grade}: {basis['en']}",
        )
    heads: dict[bool | None, Words] = {
        True: Words("直接伝送", "Direct"),
        False: Words("直接伝送ではない", "Not direct"),
        None: Words("直接伝送か示せない", "Not shown to be direct"),
    }
    head = heads[judgement["direct"]]
    return Words(
        f"{head.ja}、等級{grade}: {basis['ja']}", f"{head.en}, grade {grade}: {basis['en']}"
    )
