"""A month's report: four columns from four sources, and nothing of a patient."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from common import usage
from common.errors import NotAnImage, UsageError
from common.link import Receipt, words
from common.news import Reading
from common.proof import jws
from common.proof.identity import Institution, Node
from common.proof.role import Role
from common.states import TransferState as S
from sender import reporting
from sender.outbox import Outbox, fault
from sender.partners import Partner
from tests.common.test_words import CLAIMS
from tests.sender.test_outbox import fill, instance, values

pytestmark = pytest.mark.evidence
NOVEMBER = "2026-11-15T01:00:00.000+00:00"
NAME = "TAKAHASHI^HANAKO=髙橋^花子"
WAYS = ["addresses", "limits", "file"]


class Site:
    """A sender with two partners, of which one is no todoke."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "sender"
        ends = (
            ("=北見病院", "0110000026", Role.REQUESTER),
            ("旭川病院", "0110000018", Role.SUPPORTER),
        )
        self.sender, self.receiver = (
            Node.create(folder / role.room, Institution(name, code), role, hosts=["localhost"])
            for name, code, role in ends
        )
        todoke = Partner(
            "=旭川病院", "todoke", "0110000018", ("localhost",), "localhost", 1, 2, "A", "B", "",
            self.receiver.signing_certificate, "", Path(),
        )  # fmt: skip
        plain = Partner(
            "PACS", "dicom", None, ("localhost",), "localhost", 1, 0, "A", "B", "", "", "", Path()
        )
        for key, one in (("asahikawa", todoke), ("pacs", plain)):
            path = self.data / "partners" / f"{key}.json"
            path.parent.mkdir(exist_ok=True)
            said = {"version": 1, **asdict(one)}
            del said["file"]
            path.write_text(json.dumps(said), "utf-8")
        self.box = Outbox(self.data)

    def sent(self, number: int, state: S = S.RECEIPTED, **changes: Any) -> str:
        """Make a transfer of three images that has come to a state."""
        modality = changes.pop("modality", "CT")
        by = changes.pop("signer", self.receiver)
        created = changes.pop("created", NOVEMBER)
        attributes = {
            "00080060": {"vr": "CS", "Value": [modality]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": NAME}]},
        }
        given = values(attributes=json.dumps(attributes), study=f"1.2.9.{number}", **changes)
        (name,) = fill(self.box, (given, [instance(number * 10 + n) for n in range(3)]))
        self.box.keep(name, created=created)
        if state is S.QUEUED:
            return name
        self.box.set_state(name, S.SENDING, started="2026-11-15T01:00:01.000+00:00")
        if state in (S.HELD, S.FAILED):
            error = fault(NotAnImage(path=f"/画像/{NAME}.dcm"))
            self.box.set_state(name, state, error=error)
            return name
        self.box.set_state(name, S.DELIVERED)
        self.box.keep(name, delivered="2026-11-15T01:00:03.500+00:00")
        if state is S.RECEIPTED:
            receipt = Receipt(name, "0110000026", "0110000018", "c", ())
            self.box.set_state(name, S.RECEIPTED, receipt=jws.sign(words(receipt), by))
        return name

    def month(self, name: str = "2026-11") -> dict[str, Any]:
        return reporting.month(self.data, name, UTC).as_json()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    with closing(made.box):
        yield made


AT = "2026-11-20T00:00:00.000+00:00"


@pytest.mark.requirement("SUB-10", "EVD-04", "SUB-06", "DIR-12")
def test_each_column_has_a_source_of_its_own(site: Site) -> None:
    read, opened, receipted = (site.sent(n) for n in range(3))
    looked_at = site.sent(3, S.DELIVERED)  # a reader looks before the receipt, or without one
    forged = site.sent(4, signer=site.sender)  # no receipt of the partner's
    site.sent(5, S.QUEUED)
    readings = [Reading(read, S.DONE, AT), Reading(opened, S.OPENED, AT)]
    readings.append(Reading(looked_at, S.OPENED, AT))
    site.box.hear("asahikawa", readings, AT)
    (line,) = site.month()["lines"]
    assert {name: line[name] for name in ("transfers", *usage.COLUMNS)} == {
        "transfers": 6, "sent": 5, "countersigned": 3, "opened": 3, "done": 1,
    }  # fmt: skip
    assert (line["images"], line["bytes"], line["seconds"]) == (15, 15_000, 12.5)
    assert site.box.transfer(read).state is S.DONE
    assert site.box.transfer(looked_at).state is S.DELIVERED
    assert site.box.transfer(forged).state is S.RECEIPTED
    assert site.box.transfer(receipted).state is S.RECEIPTED


@pytest.mark.requirement("SUB-06", "SUB-10")
def test_partners_modalities_and_purposes_are_counted_apart(site: Site) -> None:
    for number, (modality, purpose, partner) in enumerate(
        [("CT", "diagnosis", "asahikawa"), ("CT", "advice", "asahikawa"),
         ("MR", "diagnosis", "asahikawa"), ("CT", "diagnosis", "pacs"), ("CT", "diagnosis", "gone"),
         (NAME, "diagnosis", "asahikawa")]  # what is no modality may be somebody's name
    ):  # fmt: skip
        site.sent(number, S.DELIVERED, modality=modality, purpose=purpose, partner=partner)
    told = site.month()
    assert [
        (x["partner_code"], x["partner_name"], x["modality"], x["purpose"], x["sent"])
        for x in told["lines"]
    ] == [
        ("", "PACS", "CT", "diagnosis", 1), ("", "gone", "CT", "diagnosis", 1),
        ("0110000018", "=旭川病院", "?", "diagnosis", 1),
        ("0110000018", "=旭川病院", "CT", "advice", 1),
        ("0110000018", "=旭川病院", "CT", "diagnosis", 1),
        ("0110000018", "=旭川病院", "MR", "diagnosis", 1),
    ]  # fmt: skip
    assert told["total"]["sent"] == 6
    assert told["total"]["images"] == 18


@pytest.mark.requirement("EVD-04")
def test_tests_and_other_months_count_nowhere(site: Site) -> None:
    site.sent(1, test=True)
    site.sent(2, created="2026-10-31T23:59:59.999+00:00")
    site.sent(3, created="2026-12-01T00:00:00.000+00:00")
    told = site.month()
    assert told["empty"]
    assert told["lines"] == []
    assert told["test"] == 1
    assert "2026-11 の伝送はありません" in reporting.month(site.data, "2026-11", UTC).csv().decode()
    assert not site.month("2026-12")["empty"]
    with pytest.raises(UsageError):
        site.month("2026-13")


@pytest.mark.requirement("EVD-04", "PRI-05", "EVD-08")
def test_failures_have_their_reason_and_no_form_of_it_names_a_patient(site: Site) -> None:
    site.sent(1, S.HELD)
    site.sent(2, S.FAILED)
    site.sent(3)
    made = reporting.month(site.data, "2026-11", UTC)
    told = made.as_json()
    (failure,) = told["failures"]
    assert (failure["number"], failure["count"]) == (NotAnImage.number, 2)
    forms = [
        json.dumps(told, ensure_ascii=False),
        *(made.csv(lang).decode() for lang in ("ja", "en")),
    ]
    for form in forms:
        assert not CLAIMS.search(form)
        for part in ("TAKAHASHI", "HANAKO", "髙橋", "花子", "1.2.9", "/画像"):
            assert part not in form


@pytest.mark.requirement("SUB-10")
def test_a_spreadsheet_gets_a_table_and_no_formula(site: Site) -> None:
    site.sent(1)
    text = reporting.month(site.data, "2026-11", UTC).csv().decode("utf-8-sig")
    head, line, tests = csv.reader(io.StringIO(text))
    row = dict(zip(head, line, strict=True))
    assert row["相手"] == "'=旭川病院"
    assert (row["送信"], row["受領証"], row["開封"], row["完了"]) == ("1", "1", "0", "0")
    assert (row["目的"], row["画像数"], row["容量 (バイト)"]) == ("診断", "3", "3000")
    assert tests == ["試験 (集計に含めない)", "0"]


@pytest.mark.requirement("UX-01")
def test_what_a_partner_says_of_others_transfers_changes_nothing(site: Site) -> None:
    mine = site.sent(1)
    site.box.hear("pacs", [Reading(mine, S.DONE, AT), Reading("0" * 32, S.DONE, AT)], AT)
    assert site.box.readings() == {}
    assert site.box.transfer(mine).state is S.RECEIPTED
    assert site.box.heard_until("pacs") == AT
    assert site.box.heard_until("asahikawa") == ""
