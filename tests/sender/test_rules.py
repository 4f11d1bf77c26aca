"""The rules of direct transmission: each outcome fires on what it is for, in both sets."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from sender import judging
from sender.facts import PRESENT, Facts
from sender.judging import Ends, Ingest, Site, judge
from sender.rule_kinds import RESULTS, ROLES, SETS, SetName
from sender.rules import CURRENT, QA_V2
from sender.settling import TransferFacts, settle

pytestmark = pytest.mark.evidence

ROOT = "1.2.840.10008.5.1.4.1.1."
ORIGINAL = ("ORIGINAL", "PRIMARY", "AXIAL")
DEVICE = Ingest("A", "modality", aet="CT1")
CT = Facts(
    ROOT + "2", "1.2.840.10008.1.2.1", "CT", ORIGINAL, samples=1, bits=12,
    has=frozenset(PRESENT.values()),
)  # fmt: skip
SC = Facts(ROOT + "7", conversion="WSD", samples=3, bits=8)
PHOTO = Facts(ROOT + "77.1.4", modality="XC", samples=3, bits=8)
PDF = Facts(ROOT + "104.1", pixels=False)
DOSE = Facts(ROOT + "88.67", modality="SR", pixels=False)
MPR = replace(CT, image_type=("DERIVED", "SECONDARY", "MPR"))
WSI = Facts(
    ROOT + "77.1.6", "1.2.840.10008.1.2.4.50", "SM", ("ORIGINAL", "PRIMARY", "VOLUME", "NONE"),
    lossy="01", ratio=12.0, samples=3, bits=8,
)  # fmt: skip
LOSSY = replace(CT, transfer_syntax="1.2.840.10008.1.2.4.51", lossy="01", ratio=8.0)


def judged(*kinds: Facts, ingest: Ingest = DEVICE, **more: Any) -> judging.Judgement:
    return judge(Counter(kinds), ingest, **more)


def fired(judgement: judging.Judgement, rule: str) -> set[str]:
    (row,) = (row for row in judgement["rules"] if row["id"] == rule)
    return set(row["codes"])


def test_every_outcome_has_words_in_both_languages_and_a_result_in_both_sets() -> None:
    assert [rule.id for rule in QA_V2.rules] == [f"R{number}" for number in range(1, 13)]
    for rule in QA_V2.rules:
        for outcome in rule.outcomes.values():
            assert set(outcome.results) == set(SETS)
            assert set(outcome.results.values()) <= set(RESULTS)
            assert outcome.words.ja != outcome.words.en
            # a verdict is the prefecture's (EVD-08)
            assert not {"補助対象", "準拠"} & {outcome.words.ja}
            if "fail" in outcome.results.values() and rule.id not in {"R7", "R10", "R11", "R12"}:
                assert "送" in outcome.words.ja, "it says what to do"


@pytest.mark.requirement("DIR-02", "EVD-09")
def test_a_ct_of_a_device_is_direct_and_every_rule_is_kept() -> None:
    judgement = judged(*[CT] * 3, MPR, SC, DOSE, ends=Ends("1", "2"))
    assert judgement["direct"] is True
    assert judgement["roles"] == dict(zip(ROLES, (3, 1, 1, 1), strict=True))
    assert (judgement["rule_set"], judgement["set"]) == (CURRENT.name, "radiology")
    rows = {row["id"]: row for row in judgement["rules"]}
    assert list(rows) == [rule.id for rule in QA_V2.rules]
    assert [name for name, row in rows.items() if row["result"] == "open"] == ["R7", "R10", "R12"]
    assert all(row["ja"] and row["en"] and row["count"] >= 0 for row in rows.values())
    assert judgement == json.loads(json.dumps(judgement)), "it is kept as JSON"


@pytest.mark.requirement("DIR-03", "DIR-04")
@pytest.mark.parametrize(
    ("kinds", "rule", "code"),
    [
        ([SC], "R1", "only-accessory"),
        ([SC, PDF, DOSE], "R1", "only-accessory"),
        ([PHOTO], "R1", "only-photograph"),
        ([replace(PHOTO, sop_class=ROOT + "77.1.4.1")], "R1", "only-photograph"),
        ([MPR], "R3", "none-acquired"),
        ([MPR, SC], "R3", "none-acquired"),
        ([CT, replace(SC, conversion="DV")], "R2", "video"),
        ([CT, replace(SC, conversion="DF")], "R2", "film"),
        ([CT, replace(SC, conversion="SI")], "R2", "scan"),
        ([CT, replace(SC, conversion="DRW")], "R2", "drawing"),
        ([replace(CT, has=frozenset(), conversion="DV")], "R2", "video"),
        ([replace(CT, samples=3, bits=8)], "R4", "colour"),
        ([replace(CT, bits=8, has=CT.has - {"RescaleSlope"})], "R4", "windowed"),
        ([LOSSY], "R6", "lossy"),
        ([replace(LOSSY, lossy="")], "R6", "unflagged"),
        ([replace(CT, video_format="NTSC")], "R9", "captured"),
        ([replace(CT, manufacturers=("Epiphan Systems",))], "R9", "captured"),
    ],
)
def test_what_must_not_go_is_held_by_the_rule_that_says_so(
    kinds: list[Facts], rule: str, code: str
) -> None:
    judgement = judged(*kinds)
    assert judgement["direct"] is False
    assert judging.holds(judgement)
    assert code in fired(judgement, rule)
    failing = [row["id"] for row in judgement["rules"] if row["result"] == "fail"]
    assert judgement["basis"]["code"].partition(":")[0] == failing[0]
    sent = judging.released(judgement, "reference", "院長", "比較のため", "2026-11-27T00:00:00Z")
    assert (sent["direct"], sent["as"]) == (False, "reference")
    assert not judging.holds(sent)
    assert sent["rules"] == judgement["rules"], "no result is changed by a release"


@pytest.mark.parametrize(
    ("kind", "rule", "code"),
    [
        (replace(CT, image_type=()), "R3", "absent"),
        (replace(CT, has=frozenset()), "R4", "sparse"),
        (replace(CT, bits=8), "R4", "eight-bits"),
        (replace(CT, conversion="DV"), "R2", "unlikely"),
        (replace(CT, exif=True), "R5", "exif"),
        (replace(CT, burned_in="YES"), "R8", "burned"),
        (replace(CT, transfer_syntax="1.2.840.10008.1.2.4.91"), "R6", "unclear"),
        (replace(CT, has=frozenset(), image_type=(), samples=0, bits=0), "R4", "sparse"),
    ],
)
def test_a_ct_is_not_held_because_something_is_absent_or_odd(
    kind: Facts, rule: str, code: str
) -> None:
    judgement = judged(kind)
    assert judgement["direct"] is True
    assert code in fired(judgement, rule)


@pytest.mark.requirement("DIR-05")
@pytest.mark.parametrize(
    ("kinds", "radiology", "pathology"),
    [
        ([WSI], False, True),
        ([WSI, PHOTO], False, True),
        ([PHOTO], False, None),
        ([replace(WSI, sop_class=ROOT + "77.1.2", conversion="DV")], False, True),
    ],
)
def test_the_same_instances_have_two_verdicts_in_two_sets(
    kinds: list[Facts], radiology: bool, pathology: bool | None
) -> None:
    verdicts: dict[SetName, bool | None] = {"radiology": radiology, "pathology": pathology}
    for name, verdict in verdicts.items():
        assert judged(*kinds, of=name)["direct"] is verdict


@pytest.mark.requirement("DIR-05")
def test_gross_photographs_are_accessories_and_make_no_case_direct() -> None:
    case = judged(WSI, PHOTO)
    assert (case["set"], case["roles"]["accessory"]) == ("pathology", 1)
    alone = judged(PHOTO, of="pathology")
    assert (alone["direct"], judging.holds(alone)) == (None, False)
    assert fired(alone, "R1") >= {"attached"}
    label = replace(WSI, image_type=("ORIGINAL", "PRIMARY", "LABEL", "NONE"))
    assert judged(label, of="pathology")["roles"]["accessory"] == 1


@pytest.mark.requirement("DIR-01")
@pytest.mark.parametrize(
    ("ingest", "site", "direct", "code"),
    [
        (Ingest("A", "modality"), Site(), True, "path"),
        (Ingest("B", "archive"), Site(), True, "path"),
        (Ingest("C", "scanner"), Site(), True, "path"),
        (Ingest("D", "import", attested_by="技師"), Site(), True, "attested"),
        (Ingest("E", "import"), Site(), None, "unattested"),
        (Ingest("E", "import"), Site(hold_unattested=True), False, "refused"),
    ],
)
def test_grades(ingest: Ingest, site: Site, direct: bool | None, code: str) -> None:
    judgement = judged(CT, ingest=ingest, site=site)
    assert (judgement["grade"], judgement["direct"]) == (ingest.grade, direct)
    assert fired(judgement, "R9") == {code}
    assert judgement["ingest"]["channel"] == ingest.channel


@pytest.mark.requirement("DIR-09")
@pytest.mark.parametrize(("ratio", "direct"), [(0, False), (7, False), (8, True), (20, True)])
def test_a_site_may_take_lossy_ct_up_to_a_ratio(ratio: int, direct: bool) -> None:
    assert judged(LOSSY, site=Site(lossy_ratio=ratio))["direct"] is direct
    assert judged(replace(LOSSY, ratio=0.0), site=Site(lossy_ratio=20))["direct"] is False


@pytest.mark.requirement("DIR-13")
@pytest.mark.parametrize(
    ("ends", "accept", "direct", "code"),
    [
        (Ends("1", "2"), False, True, "other"),
        (Ends("1", "1"), False, False, "equal"),
        (Ends("1", "1"), True, True, "equal-accepted"),
        (Ends("1", None), False, True, "unknown"),
        (None, False, True, "open"),
    ],
)
def test_the_other_end(ends: Ends | None, accept: bool, direct: bool, code: str) -> None:
    site = Site(accept_equal=accept)
    assert judged(CT, ends=ends, site=site)["direct"] is direct
    assert fired(judged(CT, ends=ends, site=site), "R11") == {code}
    if ends is not None:  # chosen later, it is judged the same
        assert judging.towards(judged(CT), ends, site) == judged(CT, ends=ends, site=site)


def test_a_prior_may_be_digitized_and_a_later_series_joins_its_study() -> None:
    film = replace(SC, conversion="DF")
    assert judged(CT, film, prior=True)["direct"] is True
    later = judged(MPR, SC, joins=True)
    assert (later["direct"], judging.holds(later)) == (None, False)
    assert "joined" in fired(later, "R3")


@pytest.mark.requirement("DIR-16")
def test_only_what_rests_on_a_guess_can_be_confirmed_as_direct() -> None:
    guess = judged(replace(CT, bits=8, has=frozenset()))
    assert (guess["direct"], judging.confirmable(guess)) == (False, True)
    sent = judging.released(guess, "direct", "放射線科長", "元の値と照合", "t")
    assert (sent["direct"], sent["released"]["by"]) == (True, "放射線科長")
    assert "windowed" in fired(sent, "R4"), "the finding stays"
    for sure in (judged(PHOTO), judged(CT, replace(SC, conversion="DV"))):
        assert not judging.confirmable(sure)
        assert judging.released(sure, "direct", "x", "y", "t")["direct"] is False


@pytest.mark.requirement("DIR-08", "DIR-12")
@pytest.mark.parametrize(
    ("facts", "results"),
    [
        (TransferFacts(), ("open", "open", "open")),
        (TransferFacts(delivered=True), ("pass", "open", "pass")),
        (TransferFacts(delivered=True, receipt=True), ("pass", "pass", "pass")),
        (TransferFacts(delivered=True, receipt=False), ("pass", "fail", "pass")),
        (TransferFacts(delivered=True, signs=False), ("pass", "open", "pass")),
        (TransferFacts(True, 3, 0, True, True), ("pass", "pass", "pass")),
        (TransferFacts(True, 3, 0, None, None), ("open", "open", "pass")),
        (TransferFacts(True, 3, 0, False, True), ("fail", "pass", "pass")),
        (TransferFacts(True, 3, 1, True, True), ("fail", "pass", "pass")),
        (TransferFacts(screen=True), ("open", "open", "fail")),
    ],
)
def test_the_way_settles_what_was_open(facts: TransferFacts, results: tuple[str, ...]) -> None:
    before = judged(CT)
    after = settle(before, facts)
    rows = {row["id"]: row["result"] for row in after["rules"]}
    assert tuple(rows[name] for name in ("R7", "R10", "R12")) == results
    assert after["direct"] is ("fail" not in results)
    assert before == judged(CT), "nothing is changed in place"
    assert settle(judged(PHOTO), facts)["direct"] is False, "no receipt makes a photograph direct"
