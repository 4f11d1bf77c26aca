"""Records of what was given to third parties: what this end has kept, and nothing else."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from common.audit import files
from common.errors import UsageError
from common.states import TransferState as S
from sender import provisions
from sender.cli import app
from sender.safety.basis import BASES
from tests.sender.test_outbox import fill, instance, values
from tests.sender.test_reporting import Site

pytestmark = pytest.mark.evidence
ATTRIBUTES = {
    "00080060": {"vr": "CS", "Value": ["CT"]},
    "00080080": {"vr": "LO", "Value": ["北見病院"]},
    "00080020": {"vr": "DA", "Value": ["20261110"]},
    "00100010": {
        "vr": "PN",
        "Value": [{"Alphabetic": "TAKAHASHI^HANAKO", "Ideographic": "髙橋^花子"}],
    },
    "00100020": {"vr": "LO", "Value": ["=0012"]},
    "00100030": {"vr": "DA", "Value": ["19500101"]},
    "00100040": {"vr": "CS"},  # there, and empty
}
HANAKO = "髙橋 花子 / TAKAHASHI HANAKO"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    with closing(made.box):
        yield made


def give(site: Site, number: int, basis: str | None, **changes: Any) -> str:
    """Send a study of two images, the first of which arrived."""
    day = changes.pop("day", "2026-11-15")
    begun = changes.pop("begun", True)
    request: dict[str, Any] = changes.pop("request", {})
    if basis:
        ja, en = BASES[basis]
        request["basis"] = {"code": basis, "ja": ja, "en": en, "by": "job"}
    given = values(
        attributes=json.dumps(ATTRIBUTES), request=json.dumps(request), study=f"1.2.9.{number}",
        **changes,
    )  # fmt: skip
    images = [instance(number * 10 + n) for n in range(2)]
    (name,) = fill(site.box, (given, images))
    if begun:
        site.box.set_state(name, S.SENDING, started=f"{day}T01:00:00.000+00:00")
        site.box.acknowledged(name, [images[0].sop_uid])
    return name


def told(site: Site, first: str = "", last: str = "") -> list[dict[str, Any]]:
    found = provisions.records(site.data, first, last, UTC).as_json()
    rows: list[dict[str, Any]] = found["records"]
    return rows


@pytest.mark.requirement("AUD-08", "PRI-01")
def test_a_record_says_what_was_kept_and_what_was_not(site: Site) -> None:
    name = give(site, 1, "explicit", request={"forms": [{"name": "紹介状"}]})
    (row,) = told(site)
    assert row["date"] == "2026-11-15"
    assert (row["third_party"], row["third_party_code"]) == ("=旭川病院", "0110000018")
    assert (row["patient_id"], row["name"], row["birth_date"]) == ("=0012", HANAKO, "19500101")
    assert row["items"]["ja"] == "患者ID、氏名、生年月日、検査日、画像 (CT) 1 件、依頼情報"
    assert row["consent"]["code"] == "explicit"
    assert row["decided_by"] == "送信ごとの指定"
    assert (row["duty"], row["images"], row["transfer"]) == ("required", 1, name)
    # nothing is invented
    assert [row[key] for key in ("address", "representative", "issuer", "sex")] == [None] * 4


@pytest.mark.requirement("AUD-08")
@pytest.mark.parametrize(
    ("basis", "duty", "clause"),
    [
        ("posted", "required", "法27条1項本文"),
        ("explicit", "required", "法27条1項本文"),
        ("emergency", "exempt", "法27条1項2号"),
        ("law", "exempt", "法27条1項1号"),
        (None, "unknown", "記録にない"),
    ],
)
def test_the_basis_alone_decides_whether_a_record_is_owed(
    site: Site, basis: str | None, duty: str, clause: str
) -> None:
    give(site, 1, basis)
    (row,) = told(site)
    assert row["duty"] == duty
    assert clause in row["reason"]["ja"]
    assert (row["consent"] is None) == (basis is None)


def test_every_basis_has_its_duty() -> None:
    from common.provision import DUTIES

    assert set(DUTIES) - {None} == set(BASES)


@pytest.mark.requirement("AUD-08")
def test_a_span_of_days_and_what_was_never_begun(site: Site) -> None:
    give(site, 1, "posted", day="2026-11-14")
    give(site, 2, "posted", day="2026-11-15")
    give(site, 3, "posted", day="2026-11-16")
    give(site, 4, "posted", begun=False)
    give(site, 5, "posted", test=True)
    assert [row["study_uid"] for row in told(site)] == ["1.2.9.1", "1.2.9.2", "1.2.9.3"]
    assert [row["study_uid"] for row in told(site, "2026-11-15", "2026-11-15")] == ["1.2.9.2"]
    assert told(site, "2026-11-17") == []
    assert provisions.records(site.data, zone=UTC).tests == 1
    for span in (("2026-11-31", ""), ("", "2026-1-1"), ("2026-11-02", "2026-11-01")):
        with pytest.raises(UsageError):
            told(site, *span)


@pytest.mark.requirement("AUD-08", "AUD-01")
def test_the_verb_writes_a_table_for_a_spreadsheet_and_it_is_audited(
    site: Site, tmp_path: Path
) -> None:
    give(site, 1, "emergency", partner="gone")  # a partner that is no more
    place = tmp_path / "記録.csv"
    line = ["provision-records", "--csv", str(place), "--operator", "佐藤"]
    answer = CliRunner().invoke(app, [*line, "--data", str(site.data)])
    assert answer.exit_code == 0, answer.output
    raw = place.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    assert b"\r\n" in raw
    assert place.stat().st_mode & 0o077 == 0  # patient data
    head, row = csv.reader(io.StringIO(raw.decode("utf-8-sig"), newline=""))
    said = dict(zip(head, row, strict=True))
    assert said["本人: 患者ID"] == "'=0012"  # no formula
    assert said["本人: 氏名"] == HANAKO
    assert (said["第三者の名称"], said["第三者の住所"]) == ("gone", "記録なし")
    assert said["記録義務"] == "対象外"
    assert "同意を得ることが困難" in said["その理由"]
    (noted,) = [
        one.words
        for one in files.lines(site.data / "audit", "console")
        if one.words and one.words["event"] == "provision-exported"
    ]
    assert (noted["by"], noted["to"], noted["records"]) == ("佐藤", "csv", 1)
    assert "0012" not in json.dumps(noted)
    answer = CliRunner().invoke(app, ["provision-records", "--json", "--data", str(site.data)])
    assert json.loads(answer.stdout)["article"] == "29"
