"""The published vectors of records: what our sender takes for a countersignature, and what not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from common.errors import FalseCountersignature
from common.proof import jws, record, verify
from sender import record_sending

pytestmark = [pytest.mark.evidence, pytest.mark.requirement("EVD-01", "DIR-06")]
VECTORS = Path(__file__).parents[2] / "docs" / "reference" / "link-vectors"
SAID: list[dict[str, Any]] = json.loads((VECTORS / "statements.json").read_text("utf-8"))
KEYS = json.loads((VECTORS / "keys.json").read_text("utf-8"))
(RECORD,) = [one["jws"] for one in SAID if one["kind"] == "record"]
ANSWERS = [one for one in SAID if one["kind"] == "countersignature"]


def test_the_record_has_the_published_form_and_names_the_other_statements() -> None:
    said = record.read_record(jws.verify(RECORD, KEYS["sender"]["certificate"]))
    of = {kind: one["jws"] for one in SAID if one["name"] == "right" and (kind := one["kind"])}
    assert said.statements == {
        kind: jws.name(of[kind]) for kind in ("opening", "closing", "receipt")
    }
    read = jws.verify(of["receipt"], KEYS["receiver"]["certificate"])["instances"]
    leaves = [{**one, "role": "acquired"} for one in read]
    assert said.instances["root"] == record.root(leaves)
    assert verify.Statement.read(RECORD).payload == record.words(said) | {
        "not_proven": list(said.not_proven)
    }


@pytest.mark.parametrize("one", ANSWERS, ids=lambda one: str(one["name"]))
def test_our_sender_believes_the_right_answer_alone(one: dict[str, Any]) -> None:
    signer = KEYS["receiver"]["certificate"]
    if not one["refused"]:
        record_sending.believe(RECORD, one["jws"], signer)
        return
    with pytest.raises(FalseCountersignature):
        record_sending.believe(RECORD, one["jws"], signer)


def test_one_answer_is_right_and_the_others_are_not() -> None:
    assert [one["name"] for one in ANSWERS if not one["refused"]] == ["right"]
    assert len(ANSWERS) == 8
