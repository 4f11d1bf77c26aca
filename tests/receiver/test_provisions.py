"""Records of what third parties provided: the receiving end knows no legal basis."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC
from pathlib import Path

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from receiver import index, provisions
from receiver.cli import app
from tests.receiver.filled import NORTH, ct_image
from tests.receiver.linking import Linked

pytestmark = pytest.mark.evidence


@pytest.mark.requirement("AUD-08")
def test_what_came_is_told_and_what_does_not_travel_is_not_known(
    linked: Linked, tmp_path: Path
) -> None:
    images = [ct_image("given", 1), ct_image("given", 2)]
    for image in images:
        image.InstitutionName = "北見病院 放射線科"
    transfer = linked.open(images)
    linked.filled.arrive(images)
    linked.close(transfer, images, tmp_path)
    (tmp_path / "node" / "index.sqlite").symlink_to(linked.filled.data / "index.sqlite")
    data = tmp_path / "node"

    found = provisions.records(data, zone=UTC).as_json()
    assert found["article"] == "30"
    (row,) = found["records"]
    assert (row["third_party"], row["third_party_code"]) == NORTH
    assert (row["transfer"], row["images"], row["modality"]) == (transfer, 2, "CT")
    assert row["patient_id"] == str(images[0].PatientID)
    assert row["acquired"] == "画像に記された施設: 北見病院 放射線科"
    assert (row["duty"], row["consent"], row["address"]) == ("unknown", None, None)
    assert "decided_by" not in row
    day = row["date"]
    assert len(provisions.records(data, day, day, UTC).rows) == 1
    assert not provisions.records(data, "2020-01-01", "2020-01-02", UTC).rows

    place = tmp_path / "records.csv"
    answer = CliRunner().invoke(
        app, ["provision-records", "--csv", str(place), "--operator", "A", "--data", str(data)]
    )
    assert answer.exit_code == 0, answer.output
    head, line = csv.reader(io.StringIO(place.read_bytes().decode("utf-8-sig"), newline=""))
    said = dict(zip(head, line, strict=True))
    assert (said["取得の経緯"], said["記録義務"]) == (row["acquired"], "判断できない")
    assert said["同意・根拠"] == "記録なし"
    answer = CliRunner().invoke(app, ["provision-records", "--json", "--data", str(data)])
    assert json.loads(answer.stdout)["records"][0]["transfer"] == transfer

    with linked.filled.index.write() as db:
        db.execute(update(index.transfers).values(test=True))
    tests = provisions.records(data, zone=UTC)
    assert (tests.rows, tests.tests) == ([], 1)
